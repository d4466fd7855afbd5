package image

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/errs"
)

// Store keeps what images say of themselves in a folder, by their digests, so that
// an image is read once, and its registry is asked only where a name is now.
type Store struct {
	Dir string
	Max int64 // bytes
}

// Open is [Open] through the store.
func (s Store) Open(ctx context.Context, image string, a Access) (*Opened, error) {
	ref, err := a.reference(image)
	if err != nil {
		return nil, err
	}
	// Also with a digest the registry is asked: what is kept was read for another, who
	// may have had a right to the image that this one has not.
	digest, err := headDigest(ctx, image, a)
	if err != nil {
		return nil, err
	}
	out := &Opened{}
	file := filepath.Join(s.Dir, strings.ReplaceAll(digest, ":", "-")+".json")
	text, err := os.ReadFile(file)
	if err == nil && json.Unmarshal(text, out) == nil && out.Manifest.check() == nil {
		now := time.Now()
		_ = os.Chtimes(file, now, now)
		out.Image, out.Digest = ref.Name(), digest
		return out, nil
	}
	if out, err = Open(ctx, ref.Context().Name()+"@"+digest, a); err != nil {
		return nil, err
	}
	out.Image = ref.Name()
	return out, s.put(file, out)
}

func (s Store) put(file string, o *Opened) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return errs.E(errs.Unavailable, "the folder of images: %w", err)
	}
	part, err := os.CreateTemp(s.Dir, "part-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = part.Write(text)
	if cerr := part.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(part.Name(), file); err != nil {
		return err
	}
	return layerCache{s.Dir, s.Max}.prune()
}
