package image

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"refline/internal/errs"
)

// Labels of an image that [Build] made, beside those of the base.
const (
	labelSource     = "org.opencontainers.image.source"
	labelRevision   = "org.opencontainers.image.revision"
	labelVersion    = "org.opencontainers.image.version"
	labelCreated    = "org.opencontainers.image.created"
	labelBaseName   = "org.opencontainers.image.base.name"
	labelBaseDigest = "org.opencontainers.image.base.digest"
	// labelAbout names the layer that has the manifest, also in images that were
	// made from this one.
	labelAbout = "dev.refline.about"
)

// Options say what is built.
type Options struct {
	Dir      string // the files of the commit, as a checkout has them
	Manifest Manifest
	Base     string   // an image, or a file that docker save wrote
	To       string   // REGISTRY/NAME[:TAG]; "" for none
	File     string   // for docker load; "" for none
	Platform []string // os/arch[/variant]; empty for linux and this computer's processor

	Access    Access
	Temp      string // folder for the layers until they are sent
	Cache     string // folder of base layers; "" for none
	CacheSize int64  // bytes that stay there
	Notice    func(text string)
}

// Built is what [Build] made.
type Built struct {
	Image     string   `json:"image,omitempty"`  // registry/name:tag
	Digest    string   `json:"digest"`           // of the image, or of the index of several platforms
	Pinned    string   `json:"pinned,omitempty"` // registry/name@digest
	File      string   `json:"file,omitempty"`
	Base      string   `json:"base"`
	Platforms []string `json:"platforms"`
	Files     int      `json:"files"` // that were added
	Uploaded  int64    `json:"uploaded_bytes"`
}

// Build makes an image for each platform and pushes it. Errors: Invalid for what
// cannot be in an image, NotFound for a base that is not there or not for a
// platform, Denied without a login, Unavailable for a registry that does not answer.
func Build(ctx context.Context, o Options) (*Built, error) {
	b := &builder{o: o}
	if err := b.check(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = b.cache().prune() }() // too much on the disk is no loss of the image
	dir, err := os.MkdirTemp(o.Temp, "refline-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if b.layers, err = makeLayers(dir, &o); err != nil {
		return nil, err
	}
	out := &Built{Base: o.Base, Files: len(b.layers.files)}
	var images []v1.Image
	for _, p := range b.platforms {
		img, err := b.image(p)
		if err != nil {
			return nil, err
		}
		images, out.Platforms = append(images, img), append(out.Platforms, p.String())
	}
	return out, b.deliver(ctx, images, out)
}

type builder struct {
	o         Options
	target    name.Tag
	platforms []v1.Platform
	remote    []remote.Option
	sent      atomic.Int64
	layers    *layers
}

func (b *builder) cache() layerCache { return layerCache{b.o.Cache, b.o.CacheSize} }

// check reads what can be wrong before there is any work.
func (b *builder) check(ctx context.Context) error {
	var err error
	if err := b.o.Manifest.check(); err != nil {
		return err
	}
	if b.o.To != "" {
		if b.target, err = b.o.Access.target(b.o.To); err != nil {
			return err
		}
	}
	if b.remote, err = b.o.Access.options(ctx, &b.sent); err != nil {
		return err
	}
	list := b.o.Platform
	if len(list) == 0 {
		list = []string{"linux/" + runtime.GOARCH}
	}
	for _, text := range list {
		p, err := v1.ParsePlatform(text)
		if err != nil || p.OS == "" || p.Architecture == "" {
			return errs.E(errs.Invalid, "%q is not a platform such as linux/amd64 or linux/arm64/v8", text)
		}
		if !slices.ContainsFunc(b.platforms, func(q v1.Platform) bool { return q.Equals(*p) }) {
			b.platforms = append(b.platforms, *p)
		}
	}
	if b.o.File != "" && len(b.platforms) > 1 {
		return errs.E(errs.Invalid, "a file for docker load holds one platform; give one, or push to a registry")
	}
	return nil
}

// base opens the base image for a platform.
func (b *builder) base(p v1.Platform) (v1.Image, error) {
	if info, err := os.Stat(b.o.Base); err == nil && info.Mode().IsRegular() {
		img, err := tarball.ImageFromPath(b.o.Base, nil)
		if err != nil {
			return nil, errs.E(errs.Invalid, "base %s is not a file that docker save writes: %w", b.o.Base, err)
		}
		return img, b.fits(img, p)
	}
	if strings.HasSuffix(b.o.Base, ".tar") {
		return nil, errs.E(errs.NotFound, "no file %s to build on", b.o.Base)
	}
	ref, err := b.o.Access.reference(b.o.Base)
	if err != nil {
		return nil, err
	}
	doing := "base " + b.o.Base
	found, err := remote.Get(ref, append(slices.Clone(b.remote), remote.WithPlatform(p))...)
	if err != nil {
		return nil, explain(err, doing, ref)
	}
	if found.MediaType.IsIndex() {
		if err := b.offers(found, p); err != nil {
			return nil, err
		}
	}
	img, err := found.Image()
	if err != nil {
		return nil, explain(err, doing, ref)
	}
	return &cachedImage{img, b.cache()}, b.fits(img, p)
}

// offers reports whether an index has a platform.
func (b *builder) offers(found *remote.Descriptor, p v1.Platform) error {
	index, err := found.ImageIndex()
	if err != nil {
		return err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return err
	}
	var have []string
	for _, d := range m.Manifests {
		switch {
		case d.Platform == nil || d.Platform.OS == "unknown":
		case d.Platform.Satisfies(p):
			return nil
		default:
			have = append(have, d.Platform.String())
		}
	}
	return errs.E(errs.NotFound, "base %s has nothing for %s; it has: %s", b.o.Base, p, strings.Join(have, ", "))
}

// fits reports whether an image is for a platform.
func (b *builder) fits(img v1.Image, p v1.Platform) error {
	c, err := img.ConfigFile()
	if err != nil {
		return errs.E(errs.Invalid, "base %s: its configuration: %w", b.o.Base, err)
	}
	if is := c.Platform(); is != nil && is.OS != "" && (is.OS != p.OS || is.Architecture != p.Architecture) {
		return errs.E(errs.NotFound, "base %s is for %s, not for %s; give another base, or --platform %s", b.o.Base, is, p, is)
	}
	return nil
}

// image is the base with what is added.
func (b *builder) image(p v1.Platform) (v1.Image, error) {
	base, err := b.base(p)
	if err != nil {
		return nil, err
	}
	kind, err := base.MediaType()
	if err != nil {
		return nil, err
	}
	source, err := openLayer(b.layers.source, layerType(kind))
	if err != nil {
		return nil, err
	}
	about, err := openLayer(b.layers.about, layerType(kind))
	if err != nil {
		return nil, err
	}
	from := b.o.Manifest.Source
	when := v1.Time{Time: from.Time.UTC().Truncate(time.Second)}
	history := v1.History{Created: when, CreatedBy: "refline image build", Comment: "commit " + from.Commit}
	img, err := mutate.Append(base, mutate.Addendum{Layer: source, History: history}, mutate.Addendum{Layer: about, History: history})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created = when
	if config.Architecture == "" {
		config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	}
	if config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	if err := b.label(config.Config.Labels, base, about); err != nil {
		return nil, err
	}
	config.Config.Entrypoint, config.Config.Cmd, config.Config.WorkingDir = []string{runFile}, nil, SourceFolder
	return mutate.ConfigFile(img, config)
}

func (b *builder) label(labels map[string]string, base v1.Image, about v1.Layer) error {
	digest, err := base.Digest()
	if err != nil {
		return err
	}
	id, err := about.DiffID()
	if err != nil {
		return err
	}
	from := b.o.Manifest.Source
	for name, value := range map[string]string{
		labelSource: from.Repository, labelRevision: from.Commit, labelVersion: from.Ref, labelCreated: from.Time.UTC().Format(time.RFC3339),
		labelBaseName: b.o.Base, labelBaseDigest: digest.String(), labelAbout: id.String(),
	} {
		delete(labels, name) // one of the base says nothing of this image
		if value != "" {
			labels[name] = value
		}
	}
	return nil
}

// deliver writes and pushes.
func (b *builder) deliver(ctx context.Context, images []v1.Image, out *Built) error {
	if b.o.File != "" {
		tag := b.target
		if b.o.To == "" {
			tag, _ = name.NewTag("refline/" + imageName(b.o.Manifest.Flows[0].Name) + ":" + b.o.Manifest.Source.Commit[:min(12, len(b.o.Manifest.Source.Commit))])
		}
		if err := tarball.WriteToFile(b.o.File, tag, images[0]); err != nil {
			return fmt.Errorf("write %s: %w", b.o.File, err)
		}
		out.File, out.Image = b.o.File, tag.Name()
	}
	digest, err := b.push(ctx, images)
	if err != nil {
		return err
	}
	out.Digest, out.Uploaded = digest.String(), b.sent.Load()
	if b.o.To != "" {
		out.Image, out.Pinned = b.target.Name(), b.target.Digest(out.Digest).Name()
	}
	return nil
}

// push sends the image, or an index of several, and the SBOM that refers to it. It
// returns the digest, also if nothing is pushed.
func (b *builder) push(_ context.Context, images []v1.Image) (v1.Hash, error) {
	doing := "push " + b.o.To
	if len(images) == 1 {
		digest, err := images[0].Digest()
		if err != nil || b.o.To == "" {
			return digest, err
		}
		if err := remote.Write(b.target, images[0], b.remote...); err != nil {
			return digest, explain(err, doing, b.target)
		}
		return digest, b.pushSBOM(images[0])
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, img := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &b.platforms[i]}})
	}
	digest, err := index.Digest()
	if err != nil || b.o.To == "" {
		return digest, err
	}
	if err := remote.WriteIndex(b.target, index, b.remote...); err != nil {
		return digest, explain(err, doing, b.target)
	}
	return digest, b.pushSBOM(index)
}

// imageName is a name that an image may have.
func imageName(text string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.ToLower(text))
	if clean = strings.Trim(clean, "-"); clean == "" {
		return "flow"
	}
	return clean
}
