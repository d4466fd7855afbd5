package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"refline/internal/errs"
	"refline/internal/executor"
)

// Sees reports by its error whether the engine finds dir, a folder of this
// computer, where jobs would be mounted from. It makes an empty image and a
// container of it that is never started, and removes both.
func (e *Executor) Sees(ctx context.Context, dir string) (err error) {
	c, err := e.connect(ctx)
	if err != nil {
		return err
	}
	const image = "refline-doctor:empty"
	var nothing bytes.Buffer
	if err := tar.NewWriter(&nothing).Close(); err != nil {
		return err
	}
	answer, err := c.api.ImageImport(ctx, client.ImageImportSource{Source: &nothing, SourceName: "-"}, image, client.ImageImportOptions{})
	if err != nil {
		return c.broken(err)
	}
	_, err = io.Copy(io.Discard, answer)
	if err = errors.Join(err, answer.Close()); err != nil {
		return c.broken(err)
	}
	defer func() {
		_, rerr := c.api.ImageRemove(context.WithoutCancel(ctx), image, client.ImageRemoveOptions{Force: true})
		if err == nil && rerr != nil {
			err = c.broken(rerr)
		}
	}()
	made, err := c.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: image, Cmd: []string{"true"}, Labels: c.labels(executor.Spec{RunID: "doctor", JobID: "doctor"})},
		HostConfig: &container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeBind, Source: dir, Target: "/seen", ReadOnly: true}}},
	})
	if err != nil {
		return errs.E(errs.Unavailable, "the engine at %s does not see %s: %w", c.host, dir, err)
	}
	return c.removeContainers(context.WithoutCancel(ctx), []string{made.ID})
}

// Address is where the engine answers; empty when none does.
func (e *Executor) Address() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn == nil {
		return ""
	}
	return e.conn.host
}
