package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"refline/internal/errs"
)

// Bounds of what is read of an image that anybody may have made.
const (
	maxAbout    = 64 << 20 // of a layer
	maxManifest = 16 << 20
	maxConfig   = 8 << 20 // the library bounds manifests of registries, not this
)

// Opened is an image of a registry and what it says of itself.
type Opened struct {
	Image     string // registry/name:tag, or registry/name@digest
	Digest    string
	Manifest  Manifest
	Platforms []string
	Base      string // "" if it does not say
	BaseOf    string // digest of the base
	Size      int64  // of its layers, compressed; of the first platform
}

// Pinned is the name of the image by its digest.
func (o *Opened) Pinned() (string, error) { return Pin(o.Image, o.Digest) }

// Pin returns the name of an image by a digest.
func Pin(image, digest string) (string, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return "", errs.E(errs.Invalid, "%.300q is not the name of an image", image)
	}
	return ref.Context().Name() + "@" + digest, nil
}

// FullName completes the name of an image: python is
// index.docker.io/library/python:latest.
func FullName(image string) (string, error) {
	ref, err := Access{}.reference(image)
	if err != nil {
		return "", err
	}
	return ref.Name(), nil
}

// Host is the registry of an image.
func Host(image string) (string, error) {
	ref, err := Access{}.reference(image)
	if err != nil {
		return "", err
	}
	return ref.Context().RegistryStr(), nil
}

// Digest asks the registry for the digest that a name has now.
func Digest(ctx context.Context, image string, a Access) (string, error) {
	ref, err := a.reference(image)
	if err != nil {
		return "", err
	}
	if d, ok := ref.(name.Digest); ok {
		return d.DigestStr(), nil
	}
	return headDigest(ctx, image, a)
}

// headDigest asks the registry for an image, and so whether the caller may have it.
func headDigest(ctx context.Context, image string, a Access) (string, error) {
	ref, err := a.reference(image)
	if err != nil {
		return "", err
	}
	options, err := a.options(ctx, nil)
	if err != nil {
		return "", err
	}
	found, err := remote.Head(ref, options...)
	if err == nil {
		return found.Digest.String(), nil
	}
	got, err := remote.Get(ref, options...) // its error has a text, and some registries know no HEAD
	if err != nil {
		return "", explain(err, "image "+image, ref)
	}
	return got.Digest.String(), nil
}

// Open reads the manifest of an image that [Build] made.
func Open(ctx context.Context, image string, a Access) (*Opened, error) {
	ref, err := a.reference(image)
	if err != nil {
		return nil, err
	}
	options, err := a.options(ctx, nil)
	if err != nil {
		return nil, err
	}
	doing := "image " + image
	found, err := remote.Get(ref, options...)
	if err != nil {
		return nil, explain(err, doing, ref)
	}
	out := &Opened{Image: ref.Name(), Digest: found.Digest.String()}
	img, err := out.pick(found)
	if err != nil {
		return nil, explain(err, doing, ref)
	}
	if err := out.read(img); err != nil {
		return nil, explain(err, doing, ref)
	}
	return out, nil
}

// Config is what an image does by itself.
type Config struct {
	Entrypoint, Command []string
	Exposed             []string // ports, such as 5432/tcp
}

// ReadConfig asks the registry of an image what it does by itself.
func ReadConfig(ctx context.Context, image string, a Access) (Config, error) {
	ref, err := a.reference(image)
	if err != nil {
		return Config{}, err
	}
	options, err := a.options(ctx, nil)
	if err != nil {
		return Config{}, err
	}
	doing := "image " + image
	found, err := remote.Get(ref, options...)
	if err != nil {
		return Config{}, explain(err, doing, ref)
	}
	img, err := (&Opened{}).pick(found)
	if err != nil {
		return Config{}, explain(err, doing, ref)
	}
	c, err := configOf(img)
	if err != nil {
		return Config{}, explain(err, doing, ref)
	}
	return Config{Entrypoint: c.Config.Entrypoint, Command: c.Config.Cmd, Exposed: slices.Sorted(maps.Keys(c.Config.ExposedPorts))}, nil
}

// pick chooses one image of several platforms: what is read is the same in all.
func (o *Opened) pick(found *remote.Descriptor) (v1.Image, error) {
	if !found.MediaType.IsIndex() {
		img, err := found.Image()
		if err != nil {
			return nil, err
		}
		if c, err := configOf(img); err == nil && c.Platform() != nil {
			o.Platforms = []string{c.Platform().String()}
		}
		return img, nil
	}
	index, err := found.ImageIndex()
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var first *v1.Hash
	for _, d := range m.Manifests {
		if d.MediaType.IsImage() && (d.Platform == nil || d.Platform.OS != "unknown") {
			if first == nil {
				first = &d.Digest
			}
			if d.Platform != nil {
				o.Platforms = append(o.Platforms, d.Platform.String())
			}
		}
	}
	if first == nil {
		return nil, errs.E(errs.Invalid, "it has no image for any platform")
	}
	return index.Image(*first)
}

// configOf reads the configuration of an image. Its size is what the manifest says, and
// all of it is read into memory.
func configOf(img v1.Image) (*v1.ConfigFile, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	if m.Config.Size > maxConfig {
		return nil, errs.E(errs.Invalid, "its configuration has %d MiB, more than %d", m.Config.Size>>20, maxConfig>>20)
	}
	return img.ConfigFile()
}

func (o *Opened) read(img v1.Image) error {
	config, err := configOf(img)
	if err != nil {
		return err
	}
	labels := config.Config.Labels
	o.Base, o.BaseOf = labels[labelBaseName], labels[labelBaseDigest]
	at := slices.IndexFunc(config.RootFS.DiffIDs, func(h v1.Hash) bool { return h.String() == labels[labelAbout] })
	list, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range list {
		size, err := l.Size()
		if err != nil {
			return err
		}
		o.Size += size
	}
	if at < 0 || at >= len(list) {
		return errs.E(errs.Invalid, "it has no flows: refline image build makes images that have; another image is the image of a runtime")
	}
	return o.readManifest(list[at])
}

func (o *Opened) readManifest(l v1.Layer) error {
	content, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer content.Close()
	archive := tar.NewReader(io.LimitReader(content, maxAbout))
	for {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return errs.E(errs.Invalid, "its layer about flows has no %s", manifestFile)
		case err != nil:
			return errs.E(errs.Invalid, "its layer about flows cannot be read: %w", err)
		case path.Clean("/"+h.Name) != manifestFile || h.Typeflag != tar.TypeReg:
			continue
		case h.Size > maxManifest:
			return errs.E(errs.Invalid, "its %s has more than %d MiB", manifestFile, maxManifest>>20)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return errs.E(errs.Unavailable, "its %s: %w", manifestFile, err)
		}
		if err := json.Unmarshal(data, &o.Manifest); err != nil {
			return errs.E(errs.Invalid, "its %s: %w", manifestFile, err)
		}
		return o.Manifest.check()
	}
}
