package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/definition"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

const (
	inputsKept    = 20 * time.Second // a page that is opened again does not ask the repository again
	inputsMost    = 100              // answers that are kept
	inputsAtOnce  = 4                // repositories that are asked at the same time
	inputsTimeout = 30 * time.Second
)

// inputViews keeps what flows take for a short time, and asks once for those who want
// the same.
type inputViews struct {
	mu    sync.Mutex
	byKey map[string]*inputView
	slots chan struct{}
}

type inputView struct {
	ready chan struct{}
	at    time.Time
	out   api.FlowInputs
	err   error
}

// take returns the view of a key, and whether the caller has to make it.
func (v *inputViews) take(key string, now time.Time) (view *inputView, own bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byKey == nil {
		v.byKey, v.slots = map[string]*inputView{}, make(chan struct{}, inputsAtOnce)
	}
	for k, old := range v.byKey {
		if !old.at.IsZero() && (now.Sub(old.at) > inputsKept || old.err != nil) {
			delete(v.byKey, k)
		}
	}
	if view = v.byKey[key]; view != nil {
		return view, false
	}
	view = &inputView{ready: make(chan struct{})}
	if len(v.byKey) < inputsMost {
		v.byKey[key] = view
	}
	return view, true
}

// done keeps what was made.
func (v *inputViews) done(view *inputView, now time.Time, out api.FlowInputs, err error) {
	v.mu.Lock()
	view.at, view.out, view.err = now, out, err
	v.mu.Unlock()
	close(view.ready)
}

// flowInputs says what a flow takes at a ref. It asks the repository where the ref is
// and compiles the file there.
func (s *Server) flowInputs(ctx context.Context, p store.Project, f store.Flow, kind, ref string) (api.FlowInputs, error) {
	if kind != "" && ref == "" {
		return api.FlowInputs{}, errs.E(errs.Invalid, "ref_kind %s needs a ref", kind)
	}
	key := fmt.Sprintf("%d %d %v %s %q", f.ID, f.Version, trustOf(ctx).Level, kind, ref)
	view, own := s.inputs.take(key, s.options.Now())
	if !own {
		select {
		case <-view.ready:
			return view.out, view.err
		case <-ctx.Done():
			return api.FlowInputs{}, context.Cause(ctx)
		}
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), inputsTimeout) // others wait for it too
	defer cancel()
	out, err := s.readInputs(within, p, f, kind, ref)
	if err != nil && within.Err() != nil {
		err = errs.E(errs.Unavailable, "the inputs of flow %s were not read within %s: %w", f.Name, inputsTimeout, err)
	}
	s.inputs.done(view, s.options.Now(), out, err)
	return out, err
}

func (s *Server) readInputs(ctx context.Context, p store.Project, f store.Flow, kind, name string) (api.FlowInputs, error) {
	select {
	case s.inputs.slots <- struct{}{}:
		defer func() { <-s.inputs.slots }()
	case <-ctx.Done():
		return api.FlowInputs{}, context.Cause(ctx)
	}
	n := scheduler.Launch{Project: p, Flow: &f, Trigger: pipeline.TriggerAPI, Trust: trustOf(ctx)}
	if name != "" {
		ref := git.Ref{Kind: git.Kind(kind), Name: name}
		if kind == "" {
			var err error
			if ref, err = s.refNamed(ctx, p, name); err != nil {
				return api.FlowInputs{}, err
			}
		}
		n.Ref = ref
	}
	r, err := s.launcher.Compile(ctx, n, 0)
	if err != nil {
		return api.FlowInputs{}, err
	}
	out := api.FlowInputs{RefKind: string(r.Commit.Kind), Ref: r.Commit.Name, Commit: r.Commit.Commit, Inputs: []api.FlowInputField{}}
	if r.Image != nil {
		out.RefKind, out.Ref = store.RefImage, r.Image.Name
	}
	wireInputs(&out, r.Definition, f.Inputs)
	return out, nil
}

// refNamed finds what a name is: a branch, else a tag, else a commit.
func (s *Server) refNamed(ctx context.Context, p store.Project, name string) (git.Ref, error) {
	remote, end, err := s.remote(ctx, p)
	if err != nil {
		return git.Ref{}, err
	}
	defer end()
	var first error
	for _, kind := range []git.Kind{git.KindBranch, git.KindTag, git.KindCommit} {
		ref := git.Ref{Kind: kind, Name: name}
		_, err := remote.Resolve(ctx, ref)
		switch {
		case err == nil:
			return ref, nil
		case !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Invalid):
			return git.Ref{}, err
		}
		first = cmp.Or(first, err)
	}
	return git.Ref{}, fmt.Errorf("no branch, tag or commit %q: %w", name, first)
}

// wireInputs describes the inputs of a compiled file, with the flow's own values.
func wireInputs(out *api.FlowInputs, d *definition.Definition, values map[string]any) {
	out.Path, out.Script, out.Other = d.File, d.Script, d.OtherInputs
	for _, in := range d.Inputs() {
		out.Inputs = append(out.Inputs, api.FlowInputField{
			Name: in.Name, Type: in.Type, Description: in.Description, Options: in.Options, Ruled: in.Ruled, Regex: in.Regex, Min: in.Min, Max: in.Max,
			MinOpen: in.MinOpen, MaxOpen: in.MaxOpen, Optional: in.Optional, Required: in.Required, Default: in.Default, DefaultCode: in.DefaultCode,
		})
	}
	list := slices.DeleteFunc(slices.Clone(d.Findings), func(f diag.Finding) bool { return strings.HasPrefix(f.Subject, pipeline.InputSubject("")) })
	out.Findings = api.Findings(list)
	for i := range out.Inputs {
		if v, ok := values[out.Inputs[i].Name]; ok {
			text := pipeline.InputText(v)
			out.Inputs[i].Value, out.Inputs[i].Required = &text, false
		}
	}
}
