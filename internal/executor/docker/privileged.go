package docker

import (
	"context"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/moby/moby/api/types/mount"

	"refline/internal/errs"
)

// mayAll reports whether the user lets containers of an image do everything.
func (s *sandbox) isPrivileged(image string) bool { return matchesAny(s.opts.Privileged, image) }

func matchesAny(patterns []string, image string) bool {
	for _, p := range patterns {
		if ok, _ := doublestar.Match(p, image); ok {
			return true
		}
	}
	return false
}

// CheckPrivileged tells what is wrong with a pattern of Options.Privileged.
func CheckPrivileged(pattern string) error {
	if pattern == "" || !doublestar.ValidatePattern(pattern) {
		return errs.E(errs.Invalid, "%q is not a pattern of images; for one image write its name, for all **", pattern)
	}
	return nil
}

// isEngine is for the images of Docker's own engine, which is of no use without
// all rights: docker:dind, docker:27.1-dind, registry.example.com/docker:dind.
func isEngine(image string) bool {
	_, tag, _ := strings.Cut(path.Base(image), ":")
	return path.Base(parseReference(image).path) == "docker" && strings.Contains(tag, "dind")
}

// tellPrivilege says what an engine as service lacks.
func (s *sandbox) warnUnprivileged(image string) {
	if isEngine(image) && !s.isPrivileged(image) {
		note(s.spec.Log, "warning: service %s is a Docker engine and will not start without rights over this computer; if the pipeline may have them: --docker-privileged '%s'", image, image)
	}
}

// certificatesVariable names the folder in which a Docker engine as service
// puts certificates, those for its clients in the folder client.
const certificatesVariable = "DOCKER_TLS_CERTDIR"

// shareCertificates lets the job see the certificates that its own Docker engine
// makes for clients.
func (s *sandbox) shareCertificates(ctx context.Context) error {
	for _, one := range s.services {
		s.warnUnprivileged(one.spec.Name)
		dir := one.variable(certificatesVariable)
		if !path.IsAbs(dir) || !isEngine(one.spec.Name) || !s.isPrivileged(one.spec.Name) {
			continue
		}
		name := s.name("certificates")
		if err := s.createVolume(ctx, name); err != nil {
			return err
		}
		s.extra = append(s.extra, mount.Mount{Type: mount.TypeVolume, Source: name, Target: path.Join(dir, "client")})
		return nil // one folder cannot be of two engines
	}
	return nil
}

// variable is one of a service's environment, "" when it is not set.
func (one *service) variable(name string) (value string) {
	env := one.spec.Env
	if one.image.Config != nil {
		env = append(append([]string{}, one.image.Config.Env...), env...)
	}
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}
