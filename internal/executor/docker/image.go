package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"refline/internal/errs"
	"refline/internal/executor"
)

// The pull policies, as GitLab names them.
const (
	pullAlways       = "always"
	pullIfNotPresent = "if-not-present"
	pullNever        = "never"
)

// fetch brings the image to the engine by the first pull policy that works, and
// inspects it.
func (e *Executor) fetch(ctx context.Context, c *connection, image executor.Image, auth string, log io.Writer) (client.ImageInspectResult, error) {
	platform, err := parsePlatform(image.Platform)
	if err != nil {
		return client.ImageInspectResult{}, err
	}
	policies := image.PullPolicy
	if len(policies) == 0 {
		policies = []string{pullIfNotPresent}
	}
	for _, p := range policies {
		if !slices.Contains([]string{pullAlways, pullIfNotPresent, pullNever}, p) {
			return client.ImageInspectResult{}, errs.E(errs.Invalid, "image %s: pull policy %q: want always, if-not-present or never", image.Name, p)
		}
	}
	for i, policy := range policies {
		found, ferr := e.fetchBy(ctx, c, image.Name, policy, platform, auth, log)
		if ferr == nil {
			return found, nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return found, cause
		}
		err = ferr
		if i < len(policies)-1 {
			note(log, "%v; trying the pull policy %s", err, policies[i+1])
		}
	}
	return client.ImageInspectResult{}, err
}

func (e *Executor) fetchBy(ctx context.Context, c *connection, name, policy string, platform *ocispec.Platform, auth string, log io.Writer) (client.ImageInspectResult, error) {
	if policy != pullAlways {
		found, err := c.inspectImage(ctx, name, platform)
		if err == nil || policy == pullNever || !errs.Is(err, errs.NotFound) {
			return found, err
		}
	}
	if strings.HasPrefix(name, "sha256:") {
		return client.ImageInspectResult{}, errs.E(errs.NotFound, "image %s is not on the engine, and an image cannot be pulled by its id", name)
	}
	key := strings.Join([]string{name, platformName(platform), auth}, "\n")
	err := e.pulls.once(ctx, key, func() error { return c.pull(ctx, name, policy, platform, auth, log) })
	if err != nil {
		return client.ImageInspectResult{}, err
	}
	return c.inspectImage(ctx, name, platform)
}

// inspectImage returns NotFound also for an image of another platform.
func (c *connection) inspectImage(ctx context.Context, name string, platform *ocispec.Platform) (client.ImageInspectResult, error) {
	found, err := c.api.ImageInspect(ctx, name)
	switch {
	case cerrdefs.IsNotFound(err):
		return found, errs.E(errs.NotFound, "image %s is not on the engine at %s", name, c.host)
	case isBadName(err):
		return found, errs.E(errs.Invalid, "image %q: %w", name, err)
	case err != nil:
		return found, c.engineError(err)
	}
	if platform != nil && (found.Os != platform.OS || found.Architecture != platform.Architecture) {
		return found, errs.E(errs.NotFound, "image %s is on the engine for %s/%s, not for %s", name, found.Os, found.Architecture, platformName(platform))
	}
	return found, nil
}

func (c *connection) pull(ctx context.Context, name, policy string, platform *ocispec.Platform, auth string, log io.Writer) error {
	note(log, "pulling image %s (pull policy %s)", name, policy)
	opts := client.ImagePullOptions{RegistryAuth: auth}
	if platform != nil {
		opts.Platforms = []ocispec.Platform{*platform}
	}
	progress, err := c.api.ImagePull(ctx, name, opts)
	if err != nil {
		return pullError(ctx, name, err)
	}
	defer progress.Close()
	counted := pullCount{noted: time.Now()}
	for message, err := range progress.JSONMessages(ctx) {
		if err == nil && message.Error != nil {
			err = message.Error
		}
		if err != nil {
			return pullError(ctx, name, err)
		}
		if strings.HasPrefix(message.Status, "Digest:") || strings.HasPrefix(message.Status, "Status:") {
			note(log, "%s", message.Status)
		}
		if text := counted.add(message, time.Now()); text != "" {
			note(log, "pulling image %s: %s", name, text)
		}
	}
	return nil
}

// pullNoteEvery is the time between lines about the progress of a pull.
const pullNoteEvery = 10 * time.Second

// pullCount sums up the progress of an image's layers.
type pullCount struct {
	noted  time.Time
	layers map[string][2]int64 // bytes so far, and in all
}

// add returns a line if it is time for one: "34 of 120 MB".
func (p *pullCount) add(m jsonstream.Message, now time.Time) string {
	if m.Progress != nil && m.Progress.Total > 0 && m.Status == "Downloading" {
		if p.layers == nil {
			p.layers = map[string][2]int64{}
		}
		p.layers[m.ID] = [2]int64{m.Progress.Current, m.Progress.Total}
	} else if l, ok := p.layers[m.ID]; ok { // now verified or unpacked
		p.layers[m.ID] = [2]int64{l[1], l[1]}
	}
	if now.Sub(p.noted) < pullNoteEvery || len(p.layers) == 0 {
		return ""
	}
	p.noted = now
	var here, all int64
	for _, l := range p.layers {
		here, all = here+l[0], all+l[1]
	}
	const mega = 1e6
	return fmt.Sprintf("%.0f of %.0f MB", float64(here)/mega, float64(all)/mega)
}

// pullError gives an engine's error a kind. Registries answer the same for a missing
// and for a private image, so the message has both.
func pullError(ctx context.Context, name string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	text := strings.ToLower(err.Error())
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	registry := parseReference(name).registry
	switch {
	case isBadName(err):
		return errs.E(errs.Invalid, "image %q: %w", name, err)
	case cerrdefs.IsUnauthorized(err) || cerrdefs.IsPermissionDenied(err),
		has("unauthorized", "denied", "authentication required", "no basic auth", "403 forbidden"):
		return errs.E(errs.Denied, "image %s may not be pulled, or does not exist: %w; check the name, then `docker login %s` or DOCKER_AUTH_CONFIG", name, err, registry)
	case cerrdefs.IsNotFound(err) || has("not found", "manifest unknown", "no matching manifest", "name unknown", "does not exist"):
		return errs.E(errs.NotFound, "image %s is not in its registry: %w; check name, tag and platform", name, err)
	case client.IsErrConnectionFailed(err):
		return errs.E(errs.Unavailable, "image %s: %w", name, err)
	default:
		return errs.E(errs.Unavailable, "image %s could not be pulled from %s: %w", name, registry, err)
	}
}

func isBadName(err error) bool {
	return err != nil && (cerrdefs.IsInvalidArgument(err) || strings.Contains(err.Error(), "invalid reference format"))
}

func parsePlatform(text string) (*ocispec.Platform, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return nil, errs.E(errs.Invalid, "platform %q: want os/architecture or os/architecture/variant, such as linux/arm64", text)
	}
	p := &ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

func platformName(p *ocispec.Platform) string {
	if p == nil {
		return ""
	}
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// pulls lets jobs that start together pull an image once.
type pulls struct {
	mu      sync.Mutex
	running map[string]*pull
}

type pull struct {
	done chan struct{}
	err  error
}

var errOther = errors.New("the pull by another job was canceled")

// once calls f, or waits if another job does so for the same key. If that one was
// canceled, f is called after all.
func (p *pulls) once(ctx context.Context, key string, f func() error) error {
	for {
		p.mu.Lock()
		if other := p.running[key]; other != nil {
			p.mu.Unlock()
			select {
			case <-other.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if errors.Is(other.err, errOther) {
				continue
			}
			return other.err
		}
		one := &pull{done: make(chan struct{})}
		if p.running == nil {
			p.running = map[string]*pull{}
		}
		p.running[key] = one
		p.mu.Unlock()

		err := f()
		one.err = err
		if ctx.Err() != nil {
			one.err = errOther
		}
		p.mu.Lock()
		delete(p.running, key)
		p.mu.Unlock()
		close(one.done)
		return err
	}
}
