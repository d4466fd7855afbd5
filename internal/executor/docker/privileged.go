package docker

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/moby/moby/api/types/mount"

	"refline/internal/errs"
	"refline/internal/executor"
)

// isPrivileged reports whether the user gave containers of an image all rights.
func (s *sandbox) isPrivileged(image string) bool { return matchesAny(s.opts.Privileged, image) }

func matchesAny(patterns []string, image string) bool {
	for _, p := range patterns {
		if ok, _ := doublestar.Match(p, image); ok {
			return true
		}
	}
	return false
}

// CheckPrivileged returns what is wrong with a pattern of Options.Privileged.
func CheckPrivileged(pattern string) error {
	if pattern == "" || !doublestar.ValidatePattern(pattern) {
		return errs.E(errs.Invalid, "%q is not a pattern of images; want the name of an image, or ** for all", pattern)
	}
	return nil
}

// isEngine reports an image of Docker's own engine, which needs all rights:
// docker:dind, docker:27.1-dind, registry.example.com/docker:dind.
func isEngine(image string) bool {
	_, tag, _ := strings.Cut(path.Base(image), ":")
	return path.Base(parseReference(image).path) == "docker" && strings.Contains(tag, "dind")
}

// warnUnprivileged warns that an engine as a service has no rights.
func (s *sandbox) warnUnprivileged(image string) {
	if isEngine(image) && !s.isPrivileged(image) {
		note(s.spec.Log, "warning: service %s is a Docker engine and does not start without all rights over this computer; to give them: --docker-privileged '%s'", image, image)
	}
}

// certificatesVariable names the folder in which a Docker engine as a service writes
// certificates; those of its clients are in client/.
const certificatesVariable = "DOCKER_TLS_CERTDIR"

// shareCertificates gives the job the client certificates of its own Docker engine.
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
		return nil // two engines cannot share a folder
	}
	return nil
}

// variable returns a variable of a service, also one that only its image has; "" if it
// is not set.
func (one *service) variable(name string) string {
	all := executor.Service{Env: one.spec.Env}
	if one.image.Config != nil {
		all.Env = slices.Concat(one.image.Config.Env, one.spec.Env)
	}
	return all.Variable(name)
}
