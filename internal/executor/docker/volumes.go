package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/treecopy"
)

// A remote engine, on another computer, in a virtual machine or in a container
// beside this program's, may be unable to mount folders of this computer. Each mount
// of a job is then a volume. The transfer container, which is never started, has all
// volumes; archives are copied to and from it.

// transferDir is where a transfer container has its volumes.
const transferDir = "/refline"

// volume is one mount of a job as a copy on the engine.
type volume struct {
	executor.Mount
	name     string
	transfer string // path in the transfer container, empty if it is not there
	sent     treecopy.Sent
	size     map[string]int64 // of the paths that were fetched while a command ran
}

// sharedVolume is a copy of a folder that all jobs of this process use.
type sharedVolume struct {
	mu   sync.Mutex
	name string // empty until it is filled
}

// mountsMatch reports whether the mounts of the job's container have the content of
// the folders here. Checking one is enough: an engine without such a folder has
// refused to create the container, or has made an empty folder.
func (s *sandbox) mountsMatch(ctx context.Context) (bool, error) {
	for _, m := range slices.Backward(s.spec.Mounts) {
		info, err := anyEntry(m.Source)
		if err != nil {
			return false, err
		}
		if info == nil || m.Shared { // empty folders look alike; a shared one may exist on both computers
			continue
		}
		found, err := s.conn.api.ContainerStatPath(ctx, s.container, client.ContainerStatPathOptions{Path: path.Join(m.Target, info.Name())})
		if cerrdefs.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, s.conn.engineError(err)
		}
		// Another computer may have the same path with other files.
		return found.Stat.Mtime.Unix() == info.ModTime().Unix() && (!info.Mode().IsRegular() || found.Stat.Size == info.Size()), nil
	}
	return true, nil
}

// anyEntry returns an entry of a folder, nil if it is empty.
func anyEntry(dir string) (os.FileInfo, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, errs.E(errs.NotFound, "folder to mount: %w", err)
	}
	defer f.Close()
	names, err := f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return os.Lstat(filepath.Join(dir, names[0]))
}

// copyToEngine makes the volumes of the job and fills them.
func (s *sandbox) copyToEngine(ctx context.Context) error {
	if err := s.conn.mayCopy(ctx); err != nil {
		return err
	}
	s.conn.noteRemote(s.spec.Log)
	var own []*volume
	for i, m := range s.spec.Mounts {
		v := &volume{Mount: m, name: s.name("files-" + strconv.Itoa(i))}
		var err error
		if m.Shared && m.ReadOnly {
			v.name, err = s.sharedCopy(ctx, m)
		} else {
			v.transfer = path.Join(transferDir, strconv.Itoa(i))
			own = append(own, v)
			err = s.createVolume(ctx, v.name)
		}
		if err != nil {
			return err
		}
		s.volumes = append(s.volumes, v)
	}
	var err error
	if s.transfer, err = s.createTransfer(ctx, s.labels, own); err != nil {
		return err
	}
	failures := make([]error, len(own))
	var group sync.WaitGroup
	for i, v := range own {
		group.Go(func() { failures[i] = s.fill(ctx, s.transfer, v) })
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil || !s.foreignUser {
		return err
	}
	return s.makeVolumesWritable(ctx, own)
}

// mayCopy refuses Podman: its archive of a volume in a container that does not run
// is incomplete, so a job's files would be lost silently.
func (c *connection) mayCopy(ctx context.Context) error {
	version, err := c.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return c.engineError(err)
	}
	for _, one := range version.Components {
		if strings.HasPrefix(one.Name, "Podman") {
			return errs.E(errs.Unavailable, "the engine at %s is Podman and cannot mount folders of this computer, and files cannot be copied to its volumes and back; share the folders with it (podman machine init --volume), or use Docker", c.host)
		}
	}
	return nil
}

// makeVolumesWritable lets any user write to the root of each volume. An archive sets
// the modes of what is inside, but not of the root.
func (s *sandbox) makeVolumesWritable(ctx context.Context, volumes []*volume) error {
	volumes = slices.DeleteFunc(slices.Clone(volumes), func(v *volume) bool { return v.ReadOnly })
	var archive bytes.Buffer
	out := tar.NewWriter(&archive)
	for _, v := range volumes {
		_ = out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path.Base(v.transfer) + "/", Mode: 0o777, ModTime: time.Now()})
	}
	_ = out.Close() // to memory
	_, err := s.conn.api.CopyToContainer(ctx, s.transfer, client.CopyToContainerOptions{DestinationPath: transferDir, Content: &archive})
	if err != nil {
		return fmt.Errorf("make the job's folder writable for the container's user: %w", s.conn.engineError(err))
	}
	return nil
}

// sharedCopy returns the volume with the copy of a shared folder. Executor.Close
// removes it.
func (s *sandbox) sharedCopy(ctx context.Context, m executor.Mount) (name string, err error) {
	shared := s.conn.shared(m.Source)
	shared.mu.Lock() // until the copy is complete: the next job uses it
	defer shared.mu.Unlock()
	if shared.name != "" {
		return shared.name, nil
	}
	labels := map[string]string{labelOwner: s.conn.owner.String()} // not those of one job
	v := &volume{Mount: m, name: "refline-shared-" + strings.ToLower(rand.Text()[:8]), transfer: path.Join(transferDir, "shared")}
	if err := s.conn.createVolume(ctx, v.name, labels); err != nil {
		return "", err
	}
	transfer, err := s.createTransfer(ctx, labels, []*volume{v})
	if err == nil {
		err = s.fill(ctx, transfer, v)
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	err = errors.Join(err, s.conn.removeContainers(clean, []string{transfer}))
	if err != nil {
		return "", errors.Join(err, s.conn.removeVolume(clean, v.name))
	}
	shared.name = v.name
	return v.name, nil
}

// createVolume makes a volume that is removed with the job.
func (s *sandbox) createVolume(ctx context.Context, name string) error {
	s.made = append(s.made, name)
	return s.conn.createVolume(ctx, name, s.labels)
}

func (c *connection) createVolume(ctx context.Context, name string, labels map[string]string) error {
	// As with containers, a canceled request may still create it.
	_, err := c.api.VolumeCreate(context.WithoutCancel(ctx), client.VolumeCreateOptions{Name: name, Labels: labels})
	if err != nil {
		return fmt.Errorf("volume for the job's files: %w", c.engineError(err))
	}
	return nil
}

func (c *connection) removeVolume(ctx context.Context, name string) error {
	err := retry(ctx, func() error {
		_, err := c.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{Force: true})
		return err
	})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove volume %s: %w", name, c.engineError(err))
	}
	return nil
}

func (s *sandbox) createTransfer(ctx context.Context, labels map[string]string, volumes []*volume) (string, error) {
	host := &container.HostConfig{LogConfig: container.LogConfig{Type: "none"}, NetworkMode: "none"}
	for _, v := range volumes {
		host.Mounts = append(host.Mounts, mount.Mount{
			Type: mount.TypeVolume, Source: v.name, Target: v.transfer, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		})
	}
	return s.create(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: s.spec.Image.Name, Entrypoint: []string{"sh"}, Labels: labels},
		HostConfig: host, Platform: s.platform, Name: "refline-transfer-" + strings.ToLower(rand.Text()[:8]),
	})
}

// fill copies a folder into its volume.
func (s *sandbox) fill(ctx context.Context, transfer string, v *volume) error {
	read, write := io.Pipe()
	p := treecopy.Packer{WorldWritable: s.foreignUser && !v.ReadOnly}
	done := make(chan error, 1)
	go func() {
		err := p.Pack(write, v.Source)
		_ = write.CloseWithError(err)
		done <- err
	}()
	_, err := s.conn.api.CopyToContainer(ctx, transfer, client.CopyToContainerOptions{DestinationPath: v.transfer, Content: read})
	_ = read.CloseWithError(errors.New("the engine stopped reading"))
	packErr := <-done
	v.sent = p.Sent
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case err != nil && packErr != nil:
		return fmt.Errorf("copy %s to the engine: %w", v.Source, packErr)
	case err != nil:
		return fmt.Errorf("copy %s to the engine: %w", v.Source, s.conn.engineError(err))
	}
	if p.Socket != "" {
		note(s.spec.Log, "warning: the engine at %s is remote, so the job cannot reach the socket %s of this computer", s.conn.host, path.Join(v.Target, p.Socket))
	}
	if len(p.Unreadable) > 0 {
		note(s.spec.Log, "warning: %d paths are not copied to the engine: %v", len(p.Unreadable), p.Unreadable[0])
	}
	return nil
}
