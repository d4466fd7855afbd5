package docker

import (
	"context"
	"crypto/rand"
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
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"refline/internal/errs"
	"refline/internal/executor"
)

// closeTime is how long Close may take when its context is done already.
const closeTime = time.Minute

type sandbox struct {
	conn       *connection
	spec       executor.Spec
	privileged []string // Options.Privileged
	labels     map[string]string
	platform   *ocispec.Platform
	suffix     string    // keeps names apart
	started    time.Time // files that changed since are the job's
	// foreignUser says that the container's user is neither root nor this one.
	foreignUser bool
	container   string // id of the job's container
	network     string // id of the job's network, empty without services
	services    []*service
	volumes     []*volume     // in place of the mounts, when the engine is apart
	courier     string        // id of the container that fills and reads them
	extra       []mount.Mount // volumes that are not for files of this computer
	made        []string      // names of the volumes to remove
	shell       string
	ran         bool

	closing sync.Mutex
	closed  bool
}

// Start fetches the images, brings up the services and makes the job's
// container; see [executor.Executor].
func (e *Executor) Start(ctx context.Context, spec executor.Spec) (executor.Sandbox, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if spec.Image.Name == "" {
		return nil, errs.E(errs.Invalid, "a job in a container needs an image; write image: in the job or choose one for the run")
	}
	c, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	spec.Log = &lockedWriter{w: spec.Log}
	s := &sandbox{conn: c, spec: spec, labels: c.labels(spec), suffix: strings.ToLower(rand.Text()[:8]), started: time.Now(), privileged: e.opts.Privileged}
	if err := s.start(ctx, e); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if cerr := s.Close(ctx); cerr != nil {
			note(spec.Log, "warning: %v", cerr)
		}
		return nil, err
	}
	return s, nil
}

func (s *sandbox) start(ctx context.Context, e *Executor) error {
	for _, m := range s.spec.Mounts {
		if _, err := os.Stat(m.Source); err != nil { // some engines would make a folder
			return errs.E(errs.NotFound, "folder to mount at %s: %w", m.Target, err)
		}
	}
	var err error
	if s.platform, err = parsePlatform(s.spec.Image.Platform); err != nil {
		return err
	}
	fetch := func(image executor.Image) (client.ImageInspectResult, error) {
		auth, err := e.opts.registryAuth(ctx, parseReference(image.Name), s.spec.DockerAuthConfig)
		if err != nil {
			// An image that is here, or public, needs none.
			note(s.spec.Log, "warning: %v", err)
		}
		return e.fetch(ctx, s.conn, image, auth, s.spec.Log)
	}
	for _, spec := range s.spec.Services {
		found, err := fetch(spec.Image)
		if err != nil {
			return fmt.Errorf("service %s: %w", spec.Name, err)
		}
		s.services = append(s.services, &service{spec: spec, image: found})
	}
	image, err := fetch(s.spec.Image)
	if err != nil {
		return err
	}
	user := s.spec.Image.User
	if user == "" && image.Config != nil {
		user = image.Config.User
	}
	s.foreignUser = isForeign(user)
	if len(s.services) > 0 {
		if err := s.createNetwork(ctx); err != nil {
			return err
		}
	}
	if err := s.shareCertificates(ctx); err != nil {
		return err
	}
	if err := s.createContainer(ctx); err != nil {
		return err
	}
	if err := s.startServices(ctx); err != nil {
		return err
	}
	if s.shell, err = s.conn.shellOf(image.ID, func() (string, error) { return s.findShell(ctx) }); err != nil {
		return err
	}
	return s.awaitServices(ctx)
}

// isForeign is for the user of a container, as user[:group].
func isForeign(user string) bool {
	user, _, _ = strings.Cut(user, ":")
	return user != "" && user != "root" && user != "0" && user != strconv.Itoa(os.Getuid())
}

// createContainer makes the container that all commands of the job run in. The
// first one of a run tells whether the engine sees the job's folders.
func (s *sandbox) createContainer(ctx context.Context) error {
	if s.conn.sees() == sightApart {
		return s.createApart(ctx)
	}
	err := s.createJob(ctx)
	if errors.Is(err, errUnseen) {
		return s.createApart(ctx)
	}
	if err == nil && s.conn.sees() == sightUnknown {
		var same bool
		if same, err = s.seesMounts(ctx); err == nil && !same {
			if err := s.conn.removeContainer(context.WithoutCancel(ctx), s.container); err != nil {
				return s.conn.broken(err)
			}
			s.container = ""
			return s.createApart(ctx)
		}
	}
	if err != nil {
		return err
	}
	s.conn.found(sightShared)
	return s.openMounts()
}

func (s *sandbox) createApart(ctx context.Context) error {
	s.conn.found(sightApart)
	if err := s.copyIn(ctx); err != nil {
		return err
	}
	return s.createJob(ctx)
}

func (s *sandbox) createJob(ctx context.Context) error {
	conf := s.shellConfig(s.spec.Image.Entrypoint)
	conf.User = s.spec.Image.User
	host := s.hostConfig()
	host.Mounts = s.mounts()
	host.Privileged = s.mayAll(s.spec.Image.Name)
	var err error
	s.container, err = s.create(ctx, client.ContainerCreateOptions{
		Config: conf, HostConfig: host, Platform: s.platform, Name: s.name("job"),
	})
	return err
}

func (s *sandbox) openMounts() error {
	if !s.foreignUser {
		return nil
	}
	for _, m := range s.spec.Mounts {
		if !m.ReadOnly {
			if err := openToAll(m.Source); err != nil {
				return err
			}
		}
	}
	return nil
}

// shellConfig is a container whose command is a shell that reads its program
// from its input. An entrypoint that is cleared gives way to the shell.
func (s *sandbox) shellConfig(entrypoint []string) *container.Config {
	conf := &container.Config{
		Image: s.spec.Image.Name, Entrypoint: entrypoint, Cmd: []string{"sh"}, Labels: s.labels,
		OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	}
	if entrypoint != nil && (len(entrypoint) == 0 || len(entrypoint) == 1 && entrypoint[0] == "") {
		conf.Entrypoint, conf.Cmd = []string{"sh"}, nil
	}
	return conf
}

// hostConfig keeps the engine from writing a log of what is streamed anyway.
func (s *sandbox) hostConfig() *container.HostConfig {
	host := &container.HostConfig{LogConfig: container.LogConfig{Type: "none"}}
	if s.network != "" {
		host.NetworkMode = container.NetworkMode(s.network)
	}
	if selinux() { // else the job may not read its own mounts
		host.SecurityOpt = []string{"label=disable"}
	}
	return host
}

func selinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return runtime.GOOS == "linux" && err == nil
}

// mounts are the folders of the job, or the volumes with their copies.
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

// errUnseen says that the engine has no folder of the name of one here.
var errUnseen = errors.New("folder not seen by the engine")

// unseen are words of engines that do not find a folder, or may not show it.
var unseen = []string{
	"bind source path does not exist", // Docker
	"statfs /",                        // Podman
	"Mounts denied",                   // Docker Desktop: "is not shared from the host"
}

// create makes a container of the job and says what is wrong when it cannot.
func (s *sandbox) create(ctx context.Context, opts client.ContainerCreateOptions) (string, error) {
	// A request that is cut off may be done all the same, and nobody would know
	// of the container.
	made, err := s.conn.api.ContainerCreate(context.WithoutCancel(ctx), opts)
	if err == nil {
		for _, w := range made.Warnings {
			note(s.spec.Log, "warning of the engine: %s", w)
		}
		return made.ID, nil
	}
	text := err.Error()
	switch {
	case slices.ContainsFunc(unseen, func(words string) bool { return strings.Contains(text, words) }):
		return "", errs.E(errs.Unavailable, "%w: %w", errUnseen, err)
	case cerrdefs.IsInvalidArgument(err), strings.Contains(text, "No command specified"), strings.Contains(text, "no command or entrypoint"):
		return "", errs.E(errs.Invalid, "image %s: %w", opts.Config.Image, err)
	case cerrdefs.IsNotFound(err):
		return "", errs.E(errs.NotFound, "image %s: %w", opts.Config.Image, err)
	}
	return "", s.conn.broken(err)
}

// name is for people who look at the engine; labels are what counts.
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
			return "", s.conn.broken(err)
		}
	}
	return "", errs.E(errs.Invalid, "image %s has no shell (looked for %s); a job's script needs one", s.spec.Image.Name, strings.Join(shells, ", "))
}

func (s *sandbox) Shell() string { return s.shell }

// Close gives files back and removes what was made; see [executor.Sandbox].
func (s *sandbox) Close(ctx context.Context) error {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
	}
	var all []error
	if s.ran {
		// Nothing may still write what is given back.
		all = append(all, s.conn.kill(ctx, s.container), s.giveBack(ctx))
	}
	ids := []string{s.container, s.courier}
	for _, one := range s.services {
		ids = append(ids, one.container)
	}
	all = append(all, s.conn.removeContainers(ctx, ids))
	for _, name := range s.made {
		all = append(all, s.conn.removeVolume(ctx, name))
	}
	if s.network != "" {
		all = append(all, s.conn.removeNetwork(ctx, s.network))
	}
	for _, err := range all {
		if errors.Is(err, errGone) { // each would say so
			return fmt.Errorf("%w; what the job left there is removed by a later run", err)
		}
	}
	return errors.Join(all...)
}

// removeContainers removes all at once; ids may be empty or unknown.
func (c *connection) removeContainers(ctx context.Context, ids []string) error {
	failures := make([]error, len(ids))
	var group sync.WaitGroup
	for i, id := range ids {
		if id == "" {
			continue
		}
		group.Go(func() {
			if err := c.removeContainer(ctx, id); err != nil {
				failures[i] = fmt.Errorf("remove container %.12s: %w", id, c.broken(err))
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

func (c *connection) removeContainer(ctx context.Context, id string) error {
	err := again(ctx, func() error {
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
		return fmt.Errorf("remove network %.12s: %w", id, c.broken(err))
	}
	return nil
}

// kill ends a container; one that does not run is fine.
func (c *connection) kill(ctx context.Context, id string) error {
	_, err := c.api.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "KILL"})
	if err == nil || cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return nil
	}
	// Podman has no kind of its own for "it does not run".
	found, ierr := c.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if ierr == nil && found.Container.State != nil && !found.Container.State.Running {
		return nil
	}
	return fmt.Errorf("kill container %.12s: %w", id, c.broken(err))
}

// broken gives a kind to an error of the engine that is nobody's fault here.
func (c *connection) broken(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if isGone(err) {
		var request *url.Error // which has the whole of a request's address
		if errors.As(err, &request) {
			err = request.Err
		}
		return errs.E(errs.Unavailable, "%w: %s: %w", errGone, c.host, err)
	}
	return errs.E(errs.Unavailable, "engine at %s: %w", c.host, err)
}

// errGone says that an engine which was there does not answer any more.
var errGone = errors.New("the engine does not answer any more")

func isGone(err error) bool {
	var request *url.Error
	return client.IsErrConnectionFailed(err) || errors.As(err, &request) && !request.Timeout() || errors.Is(err, io.ErrUnexpectedEOF)
}
