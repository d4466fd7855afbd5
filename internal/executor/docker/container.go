package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"refline/internal/errs"
)

// isForeign reports whether a container's user[:group] is neither root nor the user
// who runs this program.
func isForeign(user string) bool {
	user, _, _ = strings.Cut(user, ":")
	return user != "" && user != "root" && user != "0" && user != strconv.Itoa(os.Getuid())
}

// createContainer makes the container that all commands of the job run in. The
// first one of a run shows whether the engine can mount the job's folders.
func (s *sandbox) createContainer(ctx context.Context) error {
	if s.conn.files() == filesRemote {
		return s.createRemote(ctx)
	}
	err := s.createJob(ctx)
	if errors.Is(err, errPathMissing) {
		return s.createRemote(ctx)
	}
	if err == nil && s.conn.files() == filesUnknown {
		var same bool
		if same, err = s.mountsMatch(ctx); err == nil && !same {
			if err := s.conn.removeContainer(context.WithoutCancel(ctx), s.container); err != nil {
				return s.conn.engineError(err)
			}
			s.container = ""
			return s.createRemote(ctx)
		}
	}
	if err != nil {
		return err
	}
	s.conn.setFiles(filesShared)
	return s.makeMountsWritable()
}

func (s *sandbox) createRemote(ctx context.Context) error {
	s.conn.setFiles(filesRemote)
	if err := s.copyToEngine(ctx); err != nil {
		return err
	}
	return s.createJob(ctx)
}

func (s *sandbox) createJob(ctx context.Context) error {
	conf := s.shellConfig(s.spec.Image.Entrypoint)
	conf.User = s.spec.Image.User
	host := s.hostConfig()
	host.Mounts = s.mounts()
	host.Privileged = s.isPrivileged(s.spec.Image.Name)
	opts := client.ContainerCreateOptions{Config: conf, HostConfig: host, Platform: s.platform, Name: s.name("job")}
	if s.network != "" {
		opts.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			s.network: {Aliases: []string{"build"}}, // the job's name for services, as on GitLab
		}}
	}
	var err error
	if s.container, err = s.create(ctx, opts); err != nil {
		return err
	}
	return s.joinNetwork(ctx, s.container, nil)
}

func (s *sandbox) makeMountsWritable() error {
	if !s.foreignUser {
		return nil
	}
	for _, m := range s.spec.Mounts {
		if !m.ReadOnly {
			if err := makeWorldWritable(m.Source); err != nil {
				return err
			}
		}
	}
	return nil
}

// shellConfig is a container whose command is a shell that reads its program from
// standard input. If the entrypoint is cleared, the shell takes its place.
func (s *sandbox) shellConfig(entrypoint []string) *container.Config {
	conf := &container.Config{
		Image: s.spec.Image.Name, Entrypoint: entrypoint, Cmd: []string{"sh"}, Env: s.spec.Env, Labels: s.labels,
		OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	}
	if entrypoint != nil && (len(entrypoint) == 0 || len(entrypoint) == 1 && entrypoint[0] == "") {
		conf.Entrypoint, conf.Cmd = []string{"sh"}, nil
	}
	return conf
}

// hostConfig turns the engine's own log off: the output is streamed.
func (s *sandbox) hostConfig() *container.HostConfig {
	host := &container.HostConfig{LogConfig: container.LogConfig{Type: "none"}}
	if s.network != "" {
		host.NetworkMode = container.NetworkMode(s.network)
	}
	if selinux() { // otherwise the job may not read its own mounts
		host.SecurityOpt = []string{"label=disable"}
	}
	return host
}

func selinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return runtime.GOOS == "linux" && err == nil
}

// mounts are the folders of the job, or volumes with copies of them.
func (s *sandbox) mounts() []mount.Mount {
	var list []mount.Mount
	for _, v := range s.volumes {
		list = append(list, mount.Mount{
			Type: mount.TypeVolume, Source: v.name, Target: v.Target, ReadOnly: v.ReadOnly, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		})
	}
	list = append(list, s.extra...)
	if s.volumes != nil {
		return list
	}
	for _, m := range s.spec.Mounts {
		list = append(list, mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	return list
}

// errPathMissing reports that the engine has no folder with the name of one here.
var errPathMissing = errors.New("the engine has no such folder")

// isPathMissing looks at an error of creating a container.
func isPathMissing(err error) bool {
	return err != nil && slices.ContainsFunc(missingPathTexts, func(words string) bool { return strings.Contains(err.Error(), words) })
}

// missingPathTexts are in errors of engines that do not find a folder, or may not
// mount it.
var missingPathTexts = []string{
	"bind source path does not exist", // Docker
	"statfs /",                        // Podman
	"Mounts denied",                   // Docker Desktop: "is not shared from the host"
}

// create makes a container of the job. Its errors have a kind.
func (s *sandbox) create(ctx context.Context, opts client.ContainerCreateOptions) (string, error) {
	// A canceled request may still create the container, whose id would be lost.
	made, err := s.conn.api.ContainerCreate(context.WithoutCancel(ctx), opts)
	if err == nil {
		for _, w := range made.Warnings {
			note(s.spec.Log, "warning from the engine: %s", w)
		}
		return made.ID, nil
	}
	text := err.Error()
	switch {
	case isPathMissing(err):
		return "", errs.E(errs.Unavailable, "%w: %w", errPathMissing, err)
	case cerrdefs.IsInvalidArgument(err), strings.Contains(text, "No command specified"), strings.Contains(text, "no command or entrypoint"):
		return "", errs.E(errs.Invalid, "image %s: %w", opts.Config.Image, err)
	case cerrdefs.IsNotFound(err):
		return "", errs.E(errs.NotFound, "image %s: %w", opts.Config.Image, err)
	}
	return "", s.conn.engineError(err)
}

// name is for people; labels identify what belongs to a job.
func (s *sandbox) name(role string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, s.spec.JobID)
	return fmt.Sprintf("refline-%s-%s-%s", id, role, s.suffix)
}

// shells in the order that GitLab's runner looks for them.
var shells = []string{
	"/usr/local/bin/bash", "/usr/bin/bash", "/bin/bash",
	"/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh", "/busybox/sh",
}

func (s *sandbox) findShell(ctx context.Context) (string, error) {
	for _, path := range shells {
		_, err := s.conn.api.ContainerStatPath(ctx, s.container, client.ContainerStatPathOptions{Path: path})
		if err == nil {
			return path, nil
		}
		if !cerrdefs.IsNotFound(err) {
			return "", s.conn.engineError(err)
		}
	}
	return "", errs.E(errs.Invalid, "image %s has no shell (looked for %s); a job's script needs one", s.spec.Image.Name, strings.Join(shells, ", "))
}

// removeContainers removes containers in parallel; ids may be empty or unknown.
func (c *connection) removeContainers(ctx context.Context, ids []string) error {
	failures := make([]error, len(ids))
	var group sync.WaitGroup
	for i, id := range ids {
		if id == "" {
			continue
		}
		group.Go(func() {
			if err := c.removeContainer(ctx, id); err != nil {
				failures[i] = fmt.Errorf("remove container %.12s: %w", id, c.engineError(err))
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

func (c *connection) removeContainer(ctx context.Context, id string) error {
	err := retry(ctx, func() error {
		_, err := c.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		return err
	})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

func (c *connection) removeNetwork(ctx context.Context, id string) error {
	_, err := c.api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove network %.12s: %w", id, c.engineError(err))
	}
	return nil
}

// kill ends a container. One that does not run is not an error.
func (c *connection) kill(ctx context.Context, id string) error {
	_, err := c.api.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "KILL"})
	if err == nil || cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return nil
	}
	// Podman has no error kind for a container that does not run.
	found, ierr := c.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if ierr == nil && found.Container.State != nil && !found.Container.State.Running {
		return nil
	}
	return fmt.Errorf("kill container %.12s: %w", id, c.engineError(err))
}

// engineError gives a kind to an error of the engine itself.
func (c *connection) engineError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if isConnectionLost(err) {
		var request *url.Error // its text has the whole address of the request
		if errors.As(err, &request) {
			err = request.Err
		}
		return errs.E(errs.Unavailable, "%w: %s: %w", errEngineLost, c.host, err)
	}
	return errs.E(errs.Unavailable, "engine at %s: %w", c.host, err)
}

// errEngineLost reports that an engine answered before and no longer does.
var errEngineLost = errors.New("the engine no longer answers")

func isConnectionLost(err error) bool {
	var request *url.Error
	return client.IsErrConnectionFailed(err) || errors.As(err, &request) && !request.Timeout() || errors.Is(err, io.ErrUnexpectedEOF)
}
