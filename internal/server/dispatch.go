package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"refline/internal/api"
	"refline/internal/credential"
	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/image"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/stack/planfile"
	"refline/internal/store"
)

// dispatcher says what an attempt needs, when its runner takes it: which commit,
// which variables and secrets, whose artifacts.
type dispatcher struct{ s *Server }

var _ Dispatcher = dispatcher{}

// Job implements [Dispatcher].
func (d dispatcher) Job(ctx context.Context, fence int64) (api.JobSpec, error) {
	return d.job(ctx, fence, false)
}

// Secrets implements [Dispatcher].
func (d dispatcher) Secrets(ctx context.Context, fence int64) ([]api.JobSecret, error) {
	spec, err := d.job(ctx, fence, true)
	return spec.MaskedValues(), err
}

// job says what an attempt needs. again is for an attempt that has it already: then
// the audit does not say that it was sent.
func (d dispatcher) job(ctx context.Context, fence int64, again bool) (api.JobSpec, error) {
	var spec api.JobSpec
	w, err := d.work(ctx, fence)
	if err != nil {
		return spec, err
	}
	spec = api.JobSpec{
		Fence: fence, Run: w.run.ID, Attempt: w.attempt.Attempt.Attempt, Project: w.project.Name, Job: w.job,
		Protected: w.run.Protected, Keep: artifactKey(fence), KeepCaches: true, KeepResults: resultsKey(fence),
	}
	if spec.TakeResults, err = d.results(ctx, w); err != nil {
		return spec, err
	}
	if err := d.secrets(ctx, w, &spec, again); err != nil {
		return spec, err
	}
	spec.Variables.Below, spec.Variables.Above = w.facts.JobVariables(w.compiled.Pipeline, w.job, w.variables)
	spec.Variables.Above = append(spec.Variables.Above, d.own(w)...)
	approved, err := d.s.approved(ctx, w.run.ID, w.attempt.Pos)
	if err != nil {
		return spec, err
	}
	if len(approved.Digests) > 0 {
		spec.Variables.Above = append(spec.Variables.Above, pipeline.Variable{Name: planfile.ApprovedVariable, Value: strings.Join(approved.Digests, " "), Raw: true})
	}
	if err := d.sources(ctx, w, &spec); err != nil {
		return spec, err
	}
	if err := d.runtime(ctx, w, &spec); err != nil {
		return spec, err
	}
	err = d.source(ctx, w, &spec)
	return spec, err
}

// work is an attempt with what it belongs to.
type work struct {
	attempt   store.Lease
	run       store.Run
	project   store.Project
	flow      *store.Flow
	facts     definition.RunFacts
	compiled  *compiledRun
	job       *pipeline.Job
	variables definition.Variables
}

func (d dispatcher) work(ctx context.Context, fence int64) (*work, error) {
	s := d.s
	w := &work{}
	var err error
	if w.attempt, err = s.store.Lease(ctx, fence); err != nil {
		return nil, err
	}
	if w.run, err = s.store.Run(ctx, w.attempt.Run); err != nil {
		return nil, err
	}
	if w.project, err = s.store.Project(ctx, w.run.Project); err != nil {
		return nil, err
	}
	if w.run.Flow != 0 {
		f, err := s.store.Flow(ctx, w.run.Flow)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		if err == nil {
			w.flow = &f
		}
	}
	if w.facts, err = s.runFacts(ctx, w.run.ID); err != nil {
		return nil, err
	}
	if w.compiled, err = s.compiledRun(ctx, w.run); err != nil {
		return nil, err
	}
	w.job = &w.compiled.Pipeline.Jobs[w.attempt.Pos]
	return w, nil
}

// secrets adds what the attempt may have by the rule, and notes it in the audit.
func (d dispatcher) secrets(ctx context.Context, w *work, spec *api.JobSpec, again bool) error {
	// The environment's name may hold variables, but no secret ones.
	environment := w.facts.Environment(w.compiled.Pipeline, w.job, definition.Variables{})
	got, err := d.s.secrets.ForAttempt(ctx, Attempt{
		Fence: w.attempt.ID, Run: w.run.ID, Again: again, Job: w.job.Name, Project: w.project.ID, Runner: strconv.FormatInt(w.attempt.Runner, 10),
		Request: secret.Request{Event: string(w.run.Source), ProtectedRef: w.run.Protected && stillProtected(w.project, w.facts), Environment: environment,
			Level: w.facts.Trust.Level, Fork: w.facts.Trust.Fork},
	})
	if err != nil {
		return err
	}
	w.variables = definition.Variables{Project: got.Variables, Reveal: true}
	for _, v := range got.Variables {
		if v.Masked {
			spec.Secrets = append(spec.Secrets, api.JobSecret{Name: v.Name, Value: v.Value.RevealString()})
		}
	}
	for _, k := range got.Keys {
		if spec.Agent == nil {
			spec.Agent = &api.JobCredentials{}
		}
		spec.Agent.Keys = append(spec.Agent.Keys, wireKey(k))
	}
	return nil
}

func wireKey(k NamedKey) api.JobKey {
	return api.JobKey{Name: k.Name, Key: string(k.Text), KnownHosts: string(k.KnownHosts), Hosts: k.Hosts, Repos: k.Repos}
}

// own are the variables that only a server has.
func (d dispatcher) own(w *work) []pipeline.Variable {
	vars := []pipeline.Variable{
		{Name: "REFLINE_RUN_ID", Value: strconv.FormatInt(w.run.ID, 10), Raw: true},
		{Name: "REFLINE_PROJECT", Value: w.project.Name, Raw: true},
		{Name: "CI_PIPELINE_IID", Value: strconv.FormatInt(w.run.Number, 10), Raw: true},
	}
	if w.flow != nil {
		vars = append(vars, pipeline.Variable{Name: "REFLINE_FLOW", Value: w.flow.Name, Raw: true})
	}
	return vars
}

// sources says whose artifacts and dotenv variables the job takes.
func (d dispatcher) sources(ctx context.Context, w *work, spec *api.JobSpec) error {
	from := w.compiled.Graph.ArtifactSources(w.attempt.Pos)
	if len(from.Jobs) == 0 && len(from.Parent) == 0 {
		return nil
	}
	if err := d.fromRun(ctx, w.run.ID, from.Jobs, spec); err != nil {
		return err
	}
	if len(from.Parent) == 0 || w.run.Parent == 0 {
		return nil
	}
	parent, err := d.s.store.Run(ctx, w.run.Parent)
	if err != nil {
		return err
	}
	c, err := d.s.compiledRun(ctx, parent)
	if err != nil {
		return err
	}
	var positions []int
	for i := range c.Pipeline.Jobs {
		for _, name := range from.Parent {
			if c.Pipeline.Jobs[i].Name == name {
				positions = append(positions, i)
			}
		}
	}
	var artifacts api.JobSpec // of a parent's job no dotenv variables come
	if err := d.fromRun(ctx, parent.ID, positions, &artifacts); err != nil {
		return err
	}
	spec.Take = append(artifacts.Take, spec.Take...)
	return nil
}

// dotenv are the variables that the jobs before one reported.
func (d dispatcher) dotenv(ctx context.Context, run store.Run, pos int) ([]pipeline.Variable, error) {
	c, err := d.s.compiledRun(ctx, run)
	if err != nil {
		return nil, err
	}
	var spec api.JobSpec
	err = d.fromRun(ctx, run.ID, c.Graph.ArtifactSources(pos).Jobs, &spec)
	return spec.Variables.Dotenv, err
}

// fromRun adds what the last attempts of jobs left.
func (d dispatcher) fromRun(ctx context.Context, run int64, positions []int, spec *api.JobSpec) error {
	if len(positions) == 0 {
		return nil
	}
	rows, err := d.s.store.RunJobs(ctx, run)
	if err != nil {
		return err
	}
	attempt := map[int]int64{}
	var ids []int64
	for _, row := range rows {
		attempt[row.Pos] = row.AttemptID
	}
	for _, pos := range positions {
		if id := attempt[pos]; id != 0 {
			ids = append(ids, id)
		}
	}
	list, err := d.s.store.AttemptResults(ctx, ids)
	if err != nil {
		return err
	}
	results := map[int64]api.JobResult{}
	for _, r := range list {
		var result api.JobResult
		if err := json.Unmarshal([]byte(r.Body), &result); err != nil {
			return errs.E(errs.Internal, "the result of attempt %d: %w", r.Attempt, err)
		}
		results[r.Attempt] = result
	}
	for _, pos := range positions {
		r, ok := results[attempt[pos]]
		if !ok {
			continue
		}
		if r.Artifacts {
			spec.Take = append(spec.Take, artifactKey(attempt[pos]))
		}
		spec.Variables.Dotenv = append(spec.Variables.Dotenv, r.Dotenv...)
	}
	return nil
}

// runtime adds the flow's runtime as it is now.
func (d dispatcher) runtime(ctx context.Context, w *work, spec *api.JobSpec) error {
	if w.flow == nil || w.flow.Runtime == "" {
		return nil
	}
	r, err := d.s.store.Runtime(ctx, w.flow.Runtime)
	if err != nil {
		return err
	}
	spec.Runtime = api.JobRuntime{Name: r.Name, Executor: r.Executor, Image: r.Image}
	if r.Pull != "" {
		spec.Runtime.Pull = []string{r.Pull}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		spec.Runtime.Env = append(spec.Runtime.Env, pipeline.Variable{Name: name, Value: r.Env[name], Raw: true})
	}
	return nil
}

// Launch implements [Dispatcher].
func (d dispatcher) Launch(ctx context.Context, fence int64) (api.LaunchSpec, error) {
	w, err := d.work(ctx, fence)
	if err != nil {
		return api.LaunchSpec{}, err
	}
	var job api.JobSpec
	if err := d.runtime(ctx, w, &job); err != nil {
		return api.LaunchSpec{}, err
	}
	out := api.LaunchSpec{
		Fence: fence, Run: w.run.ID, Project: w.project.Name, Job: w.job.Name, Timeout: w.job.Timeout, Runtime: job.Runtime,
	}
	// Names of images may hold variables, but no secret ones: they are in the pod's manifest.
	below, above := w.facts.JobVariables(w.compiled.Pipeline, w.job, definition.Variables{})
	lookup := pipeline.Lookup(pipeline.Merge(job.Runtime.Env, pipeline.JobVariables(w.job, below, nil, above)))
	if out.Services, err = d.launchServices(ctx, w, lookup); err != nil {
		return out, err
	}
	if w.job.Image != nil && w.job.Image.Name != "" {
		image := *w.job.Image
		image.Name = pipeline.Resolve(image.Name, lookup)
		out.Image, out.FlowImage = &image, w.facts.Image != ""
	}
	if w.flow != nil && w.flow.Runtime != "" {
		r, err := d.s.store.Runtime(ctx, w.flow.Runtime)
		if err != nil {
			return out, err
		}
		out.Kubernetes = r.Kubernetes
	}
	return out, nil
}

// source adds the commit and how the repository is reached.
func (d dispatcher) source(ctx context.Context, w *work, spec *api.JobSpec) error {
	set := w.facts.GitSettings(w.compiled.Pipeline, w.job, w.variables)
	if set.Strategy == "none" || set.Strategy == "empty" {
		return nil
	}
	if w.facts.Image != "" {
		spec.ImageSource = image.SourceFolder
		return nil
	}
	f := w.facts.Facts
	at, err := d.s.address(ctx, w.project)
	if err != nil {
		return err
	}
	src := &api.JobSource{
		URL: at.url, Shown: at.shown, Kind: "branch", Ref: cmp.Or(f.Tag, f.Branch), Commit: w.run.SHA, Before: f.BeforeSHA,
		Depth: defaultDepth, Submodules: strings.TrimPrefix(set.Submodules, "none"), NoFiles: set.NoCheckout,
		LFS: !set.SkipLFS, SubmodulePaths: set.SubmodulePaths, ForceHTTPS: set.ForceHTTPS,
	}
	switch {
	case f.Tag != "":
		src.Kind = "tag"
	case f.Branch == "":
		src.Kind, src.Ref = "commit", ""
	}
	if set.Depth != "" {
		depth, err := strconv.Atoi(set.Depth)
		if err != nil || depth < 0 {
			return errs.E(errs.Invalid, "job %s: GIT_DEPTH=%s is not a number of commits", w.job.Name, set.Depth)
		}
		src.Depth = depth
	}
	reach, err := d.s.credentials(ctx, w.project)
	if err != nil {
		return fmt.Errorf("reach the repository of %s: %w", w.project.Name, err)
	}
	for _, k := range reach.Keys {
		src.Access.Keys = append(src.Access.Keys, wireKey(NamedKey{w.project.DeployKey, *k}))
	}
	for _, t := range append(reach.Tokens, at.tokens...) {
		src.Access.Logins = append(src.Access.Logins, api.JobLogin{Host: t.Host, User: t.User, Token: t.Text.RevealString()})
	}
	spec.Source = src
	return nil
}

// credentials are those of a project's repository.
func (s *Server) credentials(ctx context.Context, p store.Project) (credential.Set, error) {
	var c credential.Set
	if p.DeployKey != "" {
		k, err := s.secrets.CheckoutKey(ctx, p.ID, p.DeployKey)
		if err != nil {
			return c, err
		}
		c.Keys = append(c.Keys, &k.Key)
	}
	if p.TokenVariable != "" {
		token, err := s.secrets.CheckoutVariable(ctx, p.ID, p.TokenVariable)
		if err != nil {
			return c, err
		}
		at, err := s.address(ctx, p)
		if err != nil {
			return c, err
		}
		c.Tokens = append(c.Tokens, credential.Token{Host: hostPortOf(at.url), Name: p.TokenVariable, Text: token})
	}
	return c, nil
}
