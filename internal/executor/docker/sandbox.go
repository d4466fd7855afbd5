package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"refline/internal/errs"
	"refline/internal/executor"
)

// closeTime limits Close if its context is already done.
const closeTime = time.Minute

type sandbox struct {
	conn     *connection
	spec     executor.Spec
	opts     Options
	labels   map[string]string
	platform *ocispec.Platform
	suffix   string    // makes names unique
	started  time.Time // files that changed later are the job's
	// foreignUser: the container's user is neither root nor this one.
	foreignUser bool
	container   string // id of the job's container
	network     string // id of the job's network, empty without services
	services    []*service
	volumes     []*volume     // in place of the mounts with a remote engine
	transfer    string        // id of the container that fills and reads them
	extra       []mount.Mount // volumes without files of this computer
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
		return nil, errs.E(errs.Invalid, "a job in a container needs an image; set image: in the job, or --default-image")
	}
	c, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	spec.Log = &lockedWriter{w: spec.Log}
	s := &sandbox{conn: c, spec: spec, labels: c.labels(spec), suffix: strings.ToLower(rand.Text()[:8]), started: time.Now(), opts: e.opts}
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
		if _, err := os.Stat(m.Source); err != nil { // some engines would create it
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
			// A public image, or one on the engine, needs none.
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
	if err := s.checkNetwork(ctx); err != nil {
		return err
	}
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

func (s *sandbox) Shell() string { return s.shell }

// Close restores the ownership of files and removes what was made; see
// [executor.Sandbox].
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
	s.writeServiceLogs(ctx)
	if s.ran {
		// Nothing may write any more when files are given back.
		killed := s.conn.kill(ctx, s.container)
		all = append(all, s.restoreOwnership(ctx), killed) // the more important first
	}
	ids := []string{s.container, s.transfer}
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
		if errors.Is(err, errEngineLost) { // all have the same cause
			return fmt.Errorf("%w; a later run removes what the job left there", err)
		}
	}
	return errors.Join(all...)
}
