package image

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"refline/internal/lock"
)

// layerCache keeps layers of base images, so that a base is downloaded once. A file
// has the digest for its name and is there whole or not at all.
type layerCache struct {
	dir string // "" for none
	max int64
}

// cachedImage is a base image whose layers are read through the cache. A layer that
// the target's registry has is not read at all.
type cachedImage struct {
	v1.Image
	cache layerCache
}

func (i *cachedImage) Layers() ([]v1.Layer, error) {
	list, err := i.Image.Layers()
	if err != nil || i.cache.dir == "" {
		return list, err
	}
	for n, l := range list {
		list[n] = i.cache.layer(l)
	}
	return list, nil
}

// LayerByDigest implements [v1.Image].
func (i *cachedImage) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if config, err := i.ConfigName(); err == nil && h == config {
		return partial.ConfigLayer(i)
	}
	l, err := i.Image.LayerByDigest(h)
	if err != nil || i.cache.dir == "" {
		return l, err
	}
	return i.cache.layer(l), nil
}

func (c layerCache) layer(l v1.Layer) v1.Layer {
	if m, is := l.(*remote.MountableLayer); is { // stays one, so that a registry need not be sent what it has
		return &remote.MountableLayer{Layer: &cachedLayer{m.Layer, c}, Reference: m.Reference}
	}
	return &cachedLayer{l, c}
}

type cachedLayer struct {
	v1.Layer
	cache layerCache
}

// Compressed implements [v1.Layer].
func (l *cachedLayer) Compressed() (io.ReadCloser, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(l.cache.dir, digest.Algorithm+"-"+digest.Hex)
	if f, err := os.Open(file); err == nil {
		now := time.Now()
		_ = os.Chtimes(file, now, now) // what is used last is kept longest
		return f, nil
	}
	if err := l.fetch(file); err != nil {
		return nil, err
	}
	return os.Open(file)
}

// Uncompressed implements [v1.Layer].
func (l *cachedLayer) Uncompressed() (io.ReadCloser, error) {
	inner, err := partial.CompressedToLayer(l)
	if err != nil {
		return nil, err
	}
	return inner.Uncompressed()
}

// fetch downloads the layer beside its place; the reader compares the digest.
func (l *cachedLayer) fetch(file string) error {
	if err := os.MkdirAll(l.cache.dir, 0o700); err != nil {
		return err
	}
	from, err := l.Layer.Compressed()
	if err != nil {
		return err
	}
	defer from.Close()
	part, err := os.CreateTemp(l.cache.dir, "part-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = io.Copy(part, from)
	if cerr := part.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(part.Name(), file)
}

// stalePart is when a half download is of a process that was killed.
const stalePart = 24 * time.Hour

// prune removes what was not used for longest until the cache is within its size.
func (c layerCache) prune() error {
	if c.dir == "" {
		return nil
	}
	held, err := lock.Try(filepath.Join(c.dir, ".lock"))
	if err != nil || held == nil {
		return nil // another process does it, or there is no cache
	}
	defer lock.Release(held)
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var list []fs.FileInfo
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || e.Name() == ".lock" {
			continue
		}
		list, total = append(list, info), total+info.Size()
	}
	slices.SortFunc(list, func(a, b fs.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	for _, info := range list {
		stale := len(info.Name()) > 5 && info.Name()[:5] == "part-" && time.Since(info.ModTime()) > stalePart
		if total <= c.max && !stale {
			continue
		}
		if err := os.Remove(filepath.Join(c.dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= info.Size()
	}
	return nil
}
