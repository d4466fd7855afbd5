package server

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/store"
)

var runtimeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`) })

// setRuntime makes or replaces a runtime.
func (s *Server) setRuntime(ctx context.Context, actor string, in api.Runtime) (api.Runtime, error) {
	switch {
	case !runtimeName().MatchString(in.Name):
		return in, errs.E(errs.Invalid, "%q cannot be the name of a runtime: letters, digits, _ . -, at most 63", in.Name)
	case in.Executor == "docker" && in.Image == "":
		return in, errs.E(errs.Invalid, "runtime %q: the executor docker needs an image (--image)", in.Name)
	case in.Executor == "process" && in.Image != "":
		return in, errs.E(errs.Invalid, "runtime %q: the executor process has no image; use --executor docker, or leave --image out", in.Name)
	case in.Executor == "kubernetes" && in.Image == "" && (in.Kubernetes == nil || len(in.Kubernetes.Template) == 0):
		return in, errs.E(errs.Invalid, "runtime %q: the executor kubernetes needs an image (--image, or in --template)", in.Name)
	case in.Executor != "kubernetes" && in.Kubernetes != nil:
		return in, errs.E(errs.Invalid, "runtime %q: settings of pods are for the executor kubernetes, not for %q", in.Name, in.Executor)
	case in.Executor != "docker" && in.Executor != "process" && in.Executor != "kubernetes":
		return in, errs.E(errs.Invalid, "runtime %q: the executor is process, docker or kubernetes, not %q", in.Name, in.Executor)
	}
	pods, err := json.Marshal(in.Kubernetes)
	if err != nil {
		return in, errs.E(errs.Invalid, "runtime %q: %w", in.Name, err)
	}
	if in.Kubernetes == nil {
		pods = nil
	}
	r := store.Runtime{
		Name: in.Name, Executor: in.Executor, Image: in.Image, Env: in.Env, Tags: slices.Compact(slices.Sorted(slices.Values(in.Tags))),
		Pull: in.Pull, Kubernetes: pods, Actor: actor, Updated: s.options.Now().UTC().Truncate(time.Millisecond),
	}
	if err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutRuntime(ctx, &r) }); err != nil {
		return in, err
	}
	return s.wireRuntime(ctx, r)
}

// wireRuntimeVersion is a version of a runtime without the flows that use it.
func wireRuntimeVersion(r store.Runtime) (api.Runtime, error) {
	out := api.Runtime{Name: r.Name, Executor: r.Executor, Image: r.Image, Env: r.Env, Tags: r.Tags, Pull: r.Pull, Version: r.Version, Actor: r.Actor, Updated: r.Updated}
	if len(r.Kubernetes) > 0 {
		if err := json.Unmarshal(r.Kubernetes, &out.Kubernetes); err != nil {
			return out, errs.E(errs.Internal, "runtime %q: %w", r.Name, err)
		}
	}
	return out, nil
}

func (s *Server) wireRuntime(ctx context.Context, r store.Runtime) (api.Runtime, error) {
	out, err := wireRuntimeVersion(r)
	if err != nil {
		return out, err
	}
	flows, err := s.store.Flows(ctx, store.FlowFilter{Runtime: r.Name})
	for _, f := range flows {
		out.Flows = append(out.Flows, f.Name)
	}
	return out, err
}
