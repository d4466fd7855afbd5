package image

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// PackOptions say what [Pack] makes.
type PackOptions struct {
	// Folders become the layers of the image of a platform, the lowest first.
	Folders map[string][]string
	Config  PackConfig
	Time    time.Time         // of everything in it
	Files   map[string]string // by platform, for docker load; may be empty
	Name    string            // REGISTRY/NAME:TAG, also in Files
	Push    bool
	Access  Access
	Temp    string
}

// PackConfig is how containers of the image start.
type PackConfig struct {
	Entrypoint, Cmd, Env []string
	User, Dir            string
	Owned                []string // paths that belong to the user, such as var/lib/refline
	UID                  int      // of them
	Labels               map[string]string
	Volumes              []string
}

// Pack makes an image of folders, with the permissions of their files and everything
// owned by user 0 but for what the configuration says. The same files and time give
// the same digest. It returns the digest of the image, or of the index of several.
func Pack(ctx context.Context, o PackOptions) (string, error) {
	if len(o.Folders) == 0 {
		return "", errs.E(errs.Invalid, "no platform to make an image for")
	}
	tag, err := name.NewTag(o.Name, o.Access.nameOptions()...)
	if err != nil {
		return "", errs.E(errs.Invalid, "%q is not the name of an image: %w", o.Name, err)
	}
	dir, err := os.MkdirTemp(o.Temp, "refline-image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	platforms := slices.Sorted(maps.Keys(o.Folders))
	images := make([]v1.Image, len(platforms))
	for i, p := range platforms {
		if images[i], err = o.pack(dir, p); err != nil {
			return "", err
		}
		if file := o.Files[p]; file != "" {
			if err := tarball.WriteToFile(file, tag, images[i]); err != nil {
				return "", fmt.Errorf("write %s: %w", file, err)
			}
		}
	}
	return o.push(ctx, tag, platforms, images)
}

func (o *PackOptions) pack(dir, platform string) (v1.Image, error) {
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, errs.E(errs.Invalid, "%q is not a platform such as linux/amd64", platform)
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	when := v1.Time{Time: o.Time.UTC().Truncate(time.Second)}
	for i, folder := range o.Folders[platform] {
		file := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.tar.gz", p.OS, p.Architecture, i))
		if _, err := writeLayer(file, o.Time, func(w *treeWriter) error {
			w.keepModes, w.owned, w.uid = true, o.Config.Owned, o.Config.UID
			return w.addTree(folder, "")
		}); err != nil {
			return nil, err
		}
		layer, err := openLayer(file, types.OCILayer)
		if err != nil {
			return nil, err
		}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: when, CreatedBy: "make image"}}); err != nil {
			return nil, err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant, config.Created = p.OS, p.Architecture, p.Variant, when
	c := &config.Config
	c.Entrypoint, c.Cmd, c.Env, c.User, c.WorkingDir, c.Labels = o.Config.Entrypoint, o.Config.Cmd, o.Config.Env, o.Config.User, o.Config.Dir, o.Config.Labels
	for _, v := range o.Config.Volumes {
		if c.Volumes == nil {
			c.Volumes = map[string]struct{}{}
		}
		c.Volumes[v] = struct{}{}
	}
	return mutate.ConfigFile(img, config)
}

func (o *PackOptions) push(ctx context.Context, tag name.Tag, platforms []string, images []v1.Image) (string, error) {
	var sent atomic.Int64
	options, err := o.Access.options(ctx, &sent)
	if err != nil {
		return "", err
	}
	if len(images) == 1 {
		digest, err := images[0].Digest()
		if err == nil && o.Push {
			err = explain(remote.Write(tag, images[0], options...), "push "+o.Name, tag)
		}
		return digest.String(), err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, img := range images {
		p, err := v1.ParsePlatform(platforms[i])
		if err != nil {
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	digest, err := index.Digest()
	if err == nil && o.Push {
		err = explain(remote.WriteIndex(tag, index, options...), "push "+o.Name, tag)
	}
	return digest.String(), err
}
