package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"refline/internal/errs"
	"refline/internal/executor"
)

// SharesFilesystem reports whether the engine can mount dir, a folder of this
// computer. If it cannot, jobs work on copies; an error means that copies do not
// work either. It makes a folder in dir, an empty image and a container that is
// never started, and removes them.
func (e *Executor) SharesFilesystem(ctx context.Context, dir string) (seen bool, err error) {
	c, err := e.connect(ctx)
	if err != nil {
		return false, err
	}
	// Another computer may have the same path, but not a folder made just now.
	dir, err = os.MkdirTemp(dir, "doctor-")
	if err != nil {
		return false, errs.E(errs.Denied, "%w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Mkdir(filepath.Join(dir, "mark"), 0o700); err != nil {
		return false, errs.E(errs.Denied, "%w", err)
	}
	seen, err = c.mountShowsMark(ctx, dir)
	if err == nil && !seen {
		err = c.mayCopy(ctx)
	}
	return seen, err
}

// mountShowsMark reports whether a container has the entry "mark" of dir.
func (c *connection) mountShowsMark(ctx context.Context, dir string) (seen bool, err error) {
	const image = "refline-doctor:empty"
	var nothing bytes.Buffer
	if err := tar.NewWriter(&nothing).Close(); err != nil {
		return false, err
	}
	answer, err := c.api.ImageImport(ctx, client.ImageImportSource{Source: &nothing, SourceName: "-"}, image, client.ImageImportOptions{})
	if err != nil {
		return false, c.engineError(err)
	}
	_, err = io.Copy(io.Discard, answer)
	if err = errors.Join(err, answer.Close()); err != nil {
		return false, c.engineError(err)
	}
	defer func() {
		_, rerr := c.api.ImageRemove(context.WithoutCancel(ctx), image, client.ImageRemoveOptions{Force: true})
		if err == nil && rerr != nil {
			err = c.engineError(rerr)
		}
	}()
	made, err := c.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: image, Cmd: []string{"true"}, Labels: c.labels(executor.Spec{RunID: "doctor", JobID: "doctor"})},
		HostConfig: &container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeBind, Source: dir, Target: "/seen", ReadOnly: true}}},
	})
	if isPathMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, c.engineError(err)
	}
	defer func() {
		err = errors.Join(err, c.removeContainers(context.WithoutCancel(ctx), []string{made.ID}))
	}()
	_, err = c.api.ContainerStatPath(ctx, made.ID, client.ContainerStatPathOptions{Path: "/seen/mark"})
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, c.engineError(err)
	}
	return true, nil
}

// Address is the address of the engine, "" before it has answered.
func (e *Executor) Address() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn == nil {
		return ""
	}
	return e.conn.host
}
