package runner

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"refline/internal/api"
	"refline/internal/credential"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/secret"
)

// input turns what the server says of an attempt into what the engine wants.
type input struct {
	a       *attempt
	spec    *api.JobSpec
	job     *pipeline.Job
	secrets *mask.Set
	in      engine.JobInput
	slot    int
	taken   bool // of slot
	closers []func()
}

// close gives back what was taken.
func (i *input) close() {
	for _, f := range slices.Backward(i.closers) {
		f()
	}
	if !i.taken {
		return
	}
	if _, err := os.Lstat(i.in.Dir); errors.Is(err, fs.ErrNotExist) {
		i.a.r.slots.Free(i.slot) // else the folder could not be removed, and no other job gets it
	}
}

// masked is an error whose text holds no secret.
func (i *input) masked(err error) error {
	if i.secrets == nil {
		return err
	}
	var r *reasonError
	masked := errs.E(errs.KindOf(err), "%s", i.secrets.String(err.Error()))
	if errors.As(err, &r) {
		return &reasonError{r.reason, masked}
	}
	return masked
}

// prepare makes all that the job needs beside what the engine makes.
func (i *input) prepare() error {
	i.setJob()
	i.setSecrets()
	r := i.a.r
	ctx, cancel := engine.WithStop(i.a.job, i.a.asked)
	defer cancel()
	ctx, cancelTime := context.WithTimeoutCause(ctx, i.job.Timeout.D(), &reasonError{pipeline.ReasonJobExecutionTimeout,
		errs.E(errs.Unavailable, "the job's timeout of %s is over before its sources are there", i.job.Timeout.D())})
	defer cancelTime()
	ex, name, err := i.executor(ctx)
	if err != nil {
		return err
	}
	i.a.journal.Executor = name
	i.slot, i.taken = r.slots.Take(), true
	i.in = engine.JobInput{
		RunID: strconv.FormatInt(i.spec.Run, 10), ID: strconv.FormatInt(i.spec.Fence, 10), Started: time.Now(), Job: i.job,
		Runner: r.whoAmI(), Binary: r.o.Binary,
		Variables: i.spec.MergedVariables(), Environ: append(slices.Clone(r.o.Environ), i.spec.Environ...),
		Dir: r.folder("builds", strconv.Itoa(i.slot+1)), Slot: i.slot, Later: r.removeLater,
		Take: i.spec.Take, Keep: i.spec.Keep, KeepResults: i.spec.KeepResults, TakeResults: i.spec.TakeResults, Project: i.spec.Project, PythonEnv: r.o.PythonEnv, PythonPackage: r.o.PythonPackage,
		Executor: ex, Secrets: i.secrets, Log: i.a.log, LogLimit: i.spec.LogLimit, Emit: i.a.events.take, Stop: i.a.asked,
	}
	i.in.ImageSource = i.spec.ImageSource
	i.setStores()
	i.in.Agent = i.agent(ex)
	return i.sources(ctx)
}

// run runs the job.
func (i *input) run() engine.JobResult { return engine.RunJob(i.a.job, i.in) }

// setJob takes what the runtime gives a job that does not say it itself.
func (i *input) setJob() {
	job := *i.spec.Job
	rt := i.spec.Runtime
	if (job.Image == nil || job.Image.Name == "") && rt.Image != "" {
		image := pipeline.Image{}
		if job.Image != nil {
			image = *job.Image
		}
		image.Name = rt.Image
		job.Image = &image
	}
	if job.Image != nil && len(job.Image.PullPolicy) == 0 && len(rt.Pull) > 0 {
		image := *job.Image
		image.PullPolicy = rt.Pull
		job.Image = &image
	}
	if job.Timeout <= 0 {
		job.Timeout = i.spec.Timeout
	}
	if job.Timeout <= 0 {
		job.Timeout = pipeline.Duration(time.Hour)
	}
	i.job = &job
}

// setSecrets masks what the server names, masked variables, and what the runner
// logs in with.
func (i *input) setSecrets() {
	i.secrets = &mask.Set{}
	for _, s := range i.spec.MaskedValues() {
		if err := i.secrets.Add(s.Name, []byte(s.Value)); err != nil {
			i.a.events.add(api.JobEvent{Kind: pipeline.ReportJobNote, Text: err.Error()})
		}
	}
}

// executor opens what the job runs in: what its runtime names, else a container if
// it has an image.
func (i *input) executor(ctx context.Context) (executor.Executor, string, error) {
	r := i.a.r
	unsupported := func(format string, args ...any) error {
		return &reasonError{pipeline.ReasonRunnerUnsupported, errs.E(errs.Invalid, format, args...)}
	}
	image := i.job.Image != nil && i.job.Image.Name != ""
	want := i.spec.Runtime.Executor
	var fault error
	for _, k := range r.kinds.Kinds() {
		switch {
		case k.Open == nil, want != "" && k.Name != want:
			continue
		case k.Isolated && !image && want == "":
			continue
		case i.spec.ImageSource != "" && !k.Isolated && !r.o.HostImages && want == k.Name:
			return nil, "", unsupported("job %q: its files are in an image, and it is to run without containers; give the flow a runtime with --executor docker or kubernetes, or none", i.job.Name)
		case k.Isolated && !image:
			return nil, "", unsupported("job %q has no image and its runtime names none, but it is to run in %s", i.job.Name, k.Name)
		case !k.Isolated && image && want == "" && !r.o.HostImages:
			continue
		}
		ex, err := r.kinds.Open(ctx, k.Name)
		if err == nil {
			return ex, k.Name, nil
		}
		fault = errors.Join(fault, err)
	}
	switch {
	case fault != nil:
		return nil, "", errs.E(errs.Unavailable, "job %q: runner %s cannot use its executor: %w", i.job.Name, r.o.Name, fault)
	case want != "":
		return nil, "", unsupported("job %q is to run in %s, which runner %s does not have; give its runtime tags of a runner that has it", i.job.Name, want, r.o.Name)
	case image:
		return nil, "", unsupported("job %q wants the image %s, and runner %s has no containers", i.job.Name, i.job.Image.Name, r.o.Name)
	default:
		return nil, "", unsupported("job %q has no image, and runner %s runs jobs in containers only", i.job.Name, r.o.Name)
	}
}

// agent starts what the job logs in with.
func (i *input) agent(ex executor.Executor) engine.AgentStarter {
	if i.spec.Agent == nil {
		return nil
	}
	set := credentialSet(*i.spec.Agent)
	if set.Empty() {
		return nil
	}
	return func(p engine.AgentPlace) (env []string, end func() error, err error) {
		count, _ := strconv.Atoi(p.Env["GIT_CONFIG_COUNT"])
		return set.Serve(credential.Place{
			Dir: p.Dir, Seen: p.Seen, Shared: ex.Isolated(), ConfigCount: count,
			Refused: func(reason string) { p.Note("agent refused " + reason) },
		})
	}
}

func credentialSet(c api.JobCredentials) credential.Set {
	var set credential.Set
	for _, k := range c.Keys {
		set.Keys = append(set.Keys, &credential.Key{Text: []byte(k.Key), KnownHosts: []byte(k.KnownHosts), Hosts: k.Hosts, Repos: k.Repos})
	}
	for _, l := range c.Logins {
		set.Tokens = append(set.Tokens, credential.Token{Host: l.Host, User: userOf(l), Name: "token for " + l.Host, Text: secret.NewString(l.Token)})
	}
	return set
}

// userOf is the user name beside a token; most servers take any.
func userOf(l api.JobLogin) string {
	if l.User == "" {
		return "oauth2"
	}
	return l.User
}

// sources makes the files that the job starts from.
func (i *input) sources(ctx context.Context) error {
	if i.spec.Source == nil {
		return nil
	}
	dir := i.a.r.folder("checkouts", strconv.FormatInt(i.spec.Fence, 10))
	c := checkout{r: i.a.r, source: *i.spec.Source, dir: dir, note: func(text string) {
		i.a.events.add(api.JobEvent{Kind: pipeline.ReportJobNote, Text: i.secrets.String(text)})
	}}
	tree, remote, err := c.make(ctx, i.listsFiles())
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && i.a.asked.Err() == nil {
			err = cause
		}
		return err
	}
	i.closers = append(i.closers, func() { _ = os.RemoveAll(dir) })
	i.in.Tree, i.in.ReadOnly = tree, remote.Borrowed()
	i.in.LastCommit = func(path string) string { return remote.LastCommit(i.a.job, i.spec.Source.Commit, path) }
	return nil
}

// listsFiles reports whether it matters after the job which files were in the
// checkout.
func (i *input) listsFiles() bool {
	return i.job.Artifacts != nil && i.job.Artifacts.Untracked ||
		slices.ContainsFunc(i.job.Caches, func(c pipeline.Cache) bool { return c.Untracked })
}

// mirrors is where the runner's mirrors are.
func (r *runner) mirrors() string { return filepath.Join(r.o.Dir, "git") }
