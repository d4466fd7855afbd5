package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/treecopy"
)

// copyFromEngine copies back what the caller reads afterwards.
func (s *sandbox) copyFromEngine(ctx context.Context) error {
	var all []error
	for _, v := range s.volumes {
		for _, p := range v.back() {
			all = append(all, s.fetchPath(ctx, v, p))
		}
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("%w: %w", executor.ErrLost, err)
	}
	return nil
}

func (v *volume) back() []string {
	switch {
	case v.ReadOnly:
		return nil
	case v.Back == nil:
		return []string{"."}
	}
	return v.Back
}

// fetchPath makes one path of a folder equal to the volume's.
func (s *sandbox) fetchPath(ctx context.Context, v *volume, p string) error {
	p, err := s.pathWithoutLinks(ctx, v, path.Clean(p))
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(v.Source)
	if err != nil {
		return err
	}
	defer root.Close()
	u := treecopy.Unpacker{Root: root, At: p, Since: s.started, Sent: v.sent}
	found, err := s.conn.api.CopyFromContainer(ctx, s.transfer, client.CopyFromContainerOptions{SourcePath: path.Join(v.transfer, p)})
	if cerrdefs.IsNotFound(err) && p != "." {
		// If the transfer container itself is missing, the job removed nothing.
		if _, err = s.conn.api.ContainerStatPath(ctx, s.transfer, client.ContainerStatPathOptions{Path: v.transfer}); err == nil {
			return u.RemoveMissing()
		}
	}
	if err != nil {
		return fmt.Errorf("copy %s from the engine: %w", p, s.conn.engineError(err))
	}
	defer found.Content.Close()
	if err := u.Unpack(found.Content); err != nil {
		return fmt.Errorf("copy %s from the engine: %w", p, err)
	}
	return nil
}

// pathWithoutLinks returns p, or "." if a parent of p is a link: what that leads to
// must be copied as well.
func (s *sandbox) pathWithoutLinks(ctx context.Context, v *volume, p string) (string, error) {
	if !filepath.IsLocal(p) {
		return "", errs.E(errs.Internal, "path %q is not inside the folder", p)
	}
	for at := path.Dir(p); at != "."; at = path.Dir(at) {
		found, err := s.conn.api.ContainerStatPath(ctx, s.transfer, client.ContainerStatPathOptions{Path: path.Join(v.transfer, at)})
		switch {
		case cerrdefs.IsNotFound(err):
		case err != nil:
			return "", s.conn.engineError(err)
		case found.Stat.Mode&os.ModeSymlink != 0:
			return ".", nil
		}
	}
	return p, nil
}

// livePause is the time between two checks of live paths.
const livePause = time.Second

// follow fetches live paths while a command runs. The function that it returns ends
// that and fetches the rest.
func (s *sandbox) follow(ctx context.Context) (end func() error) {
	var live []*volume
	for _, v := range s.volumes {
		if v.Live && !v.ReadOnly {
			live = append(live, v)
		}
	}
	if len(live) == 0 {
		return func() error { return nil }
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(livePause):
			}
			for _, v := range live {
				_ = s.fetchChanged(ctx, v) // the last fetch reports errors
			}
		}
	}()
	return func() error {
		close(stop)
		<-done
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		var all []error
		for _, v := range live {
			all = append(all, s.fetchChanged(last, v))
		}
		return errors.Join(all...)
	}
}

// fetchChanged fetches the paths whose size has changed.
func (s *sandbox) fetchChanged(ctx context.Context, v *volume) error {
	for _, p := range v.back() {
		found, err := s.conn.api.ContainerStatPath(ctx, s.transfer, client.ContainerStatPathOptions{Path: path.Join(v.transfer, p)})
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return s.conn.engineError(err)
		}
		if size, ok := v.size[p]; ok && size == found.Stat.Size {
			continue
		}
		if err := s.fetchPath(ctx, v, p); err != nil {
			return err
		}
		if v.size == nil {
			v.size = map[string]int64{}
		}
		v.size[p] = found.Stat.Size
	}
	return nil
}
