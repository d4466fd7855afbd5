package server

import (
	"context"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/image"
	"refline/internal/netguard"
	"refline/internal/scheduler"
	"refline/internal/source"
	"refline/internal/store"
)

// authConfig is the variable with logins of registries, as in GitLab.
const authConfig = "DOCKER_AUTH_CONFIG"

// imagesKept bounds what is kept of images in the data folder.
const imagesKept = 256 << 20

// registries is how the server reaches the registry of a project's image: through
// the guard, with the project's logins alone. A server that serves this computer's user
// alone has that user's logins too, and goes everywhere.
func (s *Server) registries(ctx context.Context, p store.Project) (image.Access, error) {
	var a image.Access
	if !s.options.AllowFile {
		a.NoUserLogins = true
		a.Transport = s.guard.Client(netguard.ClientOptions{OtherHosts: true, Proxy: http.ProxyFromEnvironment}).Transport
	}
	if p.ID == 0 { // a registration has not said yet which project it is for
		return a, nil
	}
	logins, err := s.secrets.CheckoutVariable(ctx, p.ID, authConfig)
	switch {
	case err == nil:
		a.Logins = []byte(logins.RevealString())
	case !errs.Is(err, errs.NotFound):
		return a, err
	}
	return a, nil
}

func (s *Server) imageStore() image.Store {
	return image.Store{Dir: filepath.Join(s.options.Data, "images"), Max: imagesKept}
}

// flowImage implements [scheduler.Launcher.Image].
func (s *Server) flowImage(ctx context.Context, p store.Project, f store.Flow) (scheduler.FlowImage, error) {
	opened, err := s.openImage(ctx, p, f.Ref)
	if err != nil {
		return scheduler.FlowImage{}, err
	}
	code, err := source.ParseFrozen(opened.Manifest.Definition)
	if err != nil {
		return scheduler.FlowImage{}, errs.E(errs.Invalid, "image %s: %w", f.Ref, err)
	}
	out := scheduler.FlowImage{Name: opened.Image, Digest: opened.Digest, Code: code}
	out.Pinned, err = opened.Pinned()
	return out, err
}

func (s *Server) openImage(ctx context.Context, p store.Project, name string) (*image.Opened, error) {
	access, err := s.registries(ctx, p)
	if err != nil {
		return nil, err
	}
	opened, err := s.imageStore().Open(ctx, name, access)
	if errs.Is(err, errs.Denied) && access.Transport != nil {
		if host, herr := image.Host(name); herr == nil {
			err = errs.E(errs.Denied, "%w; a registry at a private address needs --allow-net of the server, and a login of %s a variable %s of the project", err, host, authConfig)
		}
	}
	return opened, err
}

// imageFlow is the flow that a registration from an image means, and its project:
// the one that is named, else that of the repository which the image was built from.
func (s *Server) imageFlow(ctx context.Context, in api.FlowInput) (store.Project, store.Flow, error) {
	var p store.Project
	var f store.Flow
	if in.Ref != "" || in.RefKind != "" && in.RefKind != store.RefImage || in.PreferTag != "" {
		return p, f, errs.E(errs.Invalid, "a flow is of an image or of a ref, not of both")
	}
	var err error
	if in.Project != "" || in.Repository != "" {
		if p, err = s.projectFor(ctx, in.Project, in.Repository, !in.DryRun); err != nil {
			return p, f, err
		}
	}
	opened, err := s.openImage(ctx, p, in.Image)
	if err != nil {
		return p, f, err
	}
	if p.Name == "" {
		if opened.Manifest.Source.Repository == "" {
			return p, f, errs.E(errs.Invalid, "the image does not say of which repository it is; name the project: --project")
		}
		// An image may be of anybody: it chooses among the projects that the caller sees.
		if p, err = s.projectFor(ctx, "", opened.Manifest.Source.Repository, !in.DryRun); err != nil {
			return p, f, err
		}
	}
	entry, err := opened.Manifest.Flow(cleanPath(in.Path))
	if err != nil {
		return p, f, err
	}
	f = store.Flow{RefKind: store.RefImage, Ref: opened.Image, Pinned: opened.Digest, Path: entry.Path}
	return p, f, nil
}

// configLife is how long it is believed what an image does by itself.
const configLife = 10 * time.Minute

// imageConfigs remember what images do by themselves, by project: another may not have
// the right to see it.
type imageConfigs struct {
	mu    sync.Mutex
	known map[string]knownConfig
}

type knownConfig struct {
	config *api.ImageConfig // nil: the registry did not say
	until  time.Time
}

const mostConfigs = 500

// imageConfig is what an image does by itself, nil if its registry does not say so soon.
func (s *Server) imageConfig(ctx context.Context, p store.Project, name string) *api.ImageConfig {
	key, now := strconv.FormatInt(p.ID, 10)+" "+name, s.options.Now()
	s.images.mu.Lock()
	have, ok := s.images.known[key]
	s.images.mu.Unlock()
	if ok && now.Before(have.until) {
		return have.config
	}
	ctx, cancel := context.WithTimeout(ctx, imageTime)
	defer cancel()
	found := knownConfig{until: now.Add(configLife)}
	if access, err := s.registries(ctx, p); err == nil {
		if c, err := image.ReadConfig(ctx, name, access); err == nil {
			found.config = &api.ImageConfig{Entrypoint: c.Entrypoint, Command: c.Command, Exposed: c.Exposed}
		}
	}
	s.images.mu.Lock()
	defer s.images.mu.Unlock()
	if s.images.known == nil || len(s.images.known) >= mostConfigs {
		s.images.known = map[string]knownConfig{}
	}
	s.images.known[key] = found
	return found.config
}
