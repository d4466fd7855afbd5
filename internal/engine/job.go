package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/mask"
	"refline/internal/pipeline"
)

const runnerArch = runtime.GOOS + "/" + runtime.GOARCH

// Limits that GitLab sets too.
const (
	defaultTimeout     = time.Hour
	afterScriptTimeout = 5 * time.Minute
)

// JobInput is all that one attempt of one job needs, as values. A local run and
// a server's runner fill it alike.
type JobInput struct {
	RunID   string // labels what executors make
	ID      string // CI_JOB_ID, unique in the run
	Version string // of the program, as CI_RUNNER_VERSION
	Started time.Time
	Job     *pipeline.Job

	// Variables are all of the job's, in order of precedence with the highest
	// last, unexpanded; without those that only the machine knows.
	Variables []pipeline.Variable
	// Environ is what a job on the host inherits, as os.Environ gives it.
	Environ []string

	// Tree is cloned into the job's workspace. InPlace, when set, is a folder
	// that is used as it is instead.
	Tree    *Tree
	InPlace string
	// ReadOnly are folders of the host that an isolated sandbox must see at
	// the same place: the objects that the workspace's .git borrows.
	ReadOnly []string
	// Dir is a folder for this attempt alone; it need not exist, and it is
	// gone when RunJob returns.
	Dir string

	Take   []string // folders of artifacts to restore, in order
	Keep   string   // the folder that becomes this job's artifacts
	Caches *Caches  // nil: none
	// Setup prepares what the script needs of the machine and returns folders
	// to put first in PATH; may be nil.
	Setup func(ctx context.Context, workspace string, log io.Writer) (bin string, err error)

	Executor executor.Executor
	Secrets  *mask.Set
	Log      io.Writer // gets masked bytes only
	// Emit gets steps and notes; it is called from several goroutines.
	Emit func(Event)
	// Stop asks for a graceful end when done: the script is stopped and
	// after_script still runs. The context of RunJob ends everything at once.
	Stop context.Context
}

// JobResult is what became of one attempt. A red job is a result; Err tells
// what was in the way when the job could not be run as it should.
type JobResult struct {
	Status    pipeline.Status // Success, Failed or Canceled
	Reason    pipeline.Reason
	ExitCode  int
	Coverage  *float64
	Dotenv    []pipeline.Variable
	Artifacts bool // Keep holds something
	Err       error
}

// RunJob runs one attempt of one job from an empty folder to its artifacts.
func RunJob(ctx context.Context, in JobInput) JobResult {
	a := &attempt{JobInput: in}
	defer a.cleanUp()
	a.log = in.Secrets.Writer(in.Log)
	if in.Job.Coverage != "" {
		a.coverage = newCoverage(in.Job.Coverage)
	}
	res := a.run(ctx)
	if err := a.log.Close(); err != nil && res.Err == nil {
		res.Err = err
	}
	if res.Err != nil {
		res.Err = errs.E(errs.KindOf(res.Err), "%s", in.Secrets.String(res.Err.Error()))
	}
	return res
}

// attempt is the state of RunJob.
type attempt struct {
	JobInput
	log       *mask.Writer
	coverage  *coverage
	paths     jobPaths
	workspace string // on the host
	temp      string // on the host
	clone     *Workspace
	sandbox   executor.Sandbox
	env       []string
	lookup    map[string]string
	dotenv    []pipeline.Variable
}

func (a *attempt) run(ctx context.Context) JobResult {
	system := func(err error) JobResult {
		if ctx.Err() != nil || a.Stop.Err() != nil {
			return JobResult{Status: pipeline.Canceled}
		}
		return JobResult{Status: pipeline.Failed, Reason: reasonOf(err), Err: err}
	}
	if err := a.prepare(ctx); err != nil {
		return system(err)
	}
	if err := a.start(ctx); err != nil {
		return system(err)
	}
	steps := a.followSteps(ctx)
	res := a.script(ctx)
	a.afterScript(ctx, res)
	steps()
	a.finish(ctx, &res)
	return res
}

// reasonOf turns an error in the way of a job into GitLab's word for it.
func reasonOf(err error) pipeline.Reason {
	var r *reasonError
	switch {
	case errors.As(err, &r):
		return r.reason
	default:
		return pipeline.RunnerSystemFailure
	}
}

type reasonError struct {
	reason pipeline.Reason
	err    error
}

func (e *reasonError) Error() string { return e.err.Error() }
func (e *reasonError) Unwrap() error { return e.err }

// prepare makes the folders, the environment, the workspace, and fills it with
// caches and artifacts.
func (a *attempt) prepare(ctx context.Context) error {
	a.temp = filepath.Join(a.Dir, "tmp")
	if err := os.MkdirAll(a.temp, 0o700); err != nil {
		return err
	}
	a.workspace = filepath.Join(a.Dir, "work")
	if a.InPlace != "" {
		a.workspace = a.InPlace
	}
	a.setPaths()
	vars := pipeline.Merge(machineVariables(a.JobInput, a.paths), a.Variables)
	var err error
	if a.env, err = environment(vars, a.temp, a.paths.temp); err != nil {
		return err
	}
	a.lookup = lookupOf(a.env)
	if err := os.WriteFile(filepath.Join(a.temp, "events.jsonl"), nil, 0o666); err != nil {
		return err
	}
	if a.InPlace == "" {
		if a.clone, err = a.Tree.Clone(ctx, a.workspace); err != nil {
			return fmt.Errorf("workspace: %w", err)
		}
		if err := a.restoreCaches(ctx); err != nil {
			return err
		}
	}
	return a.takeArtifacts(ctx)
}

func (a *attempt) setPaths() {
	if !a.Executor.Isolated() {
		a.paths = jobPaths{project: a.workspace, builds: filepath.Dir(a.workspace), temp: a.temp}
		return
	}
	project := "/builds/project"
	for _, v := range a.Variables {
		if v.Name == "CI_PROJECT_PATH" && v.Value != "" {
			project = "/builds/" + v.Value
		}
	}
	a.paths = jobPaths{project: project, builds: "/builds", temp: project + ".tmp"}
}

func lookupOf(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, kv := range env {
		for i := range len(kv) {
			if kv[i] == '=' {
				m[kv[:i]] = kv[i+1:]
				break
			}
		}
	}
	return m
}

// expand replaces variables as GitLab's runner does: $$ is a dollar, what is
// not set is empty.
func (a *attempt) expand(s string) string {
	return pipeline.Expand(s, func(name string) (string, bool) {
		v, ok := a.lookup[name]
		return v, ok
	})
}

func (a *attempt) section(name, title string, f func() error) error {
	io.WriteString(a.log, sectionStart(name, title, time.Now().Unix()))
	err := f()
	io.WriteString(a.log, sectionEnd(name, time.Now().Unix()))
	return err
}

func (a *attempt) restoreCaches(ctx context.Context) error {
	if a.Caches == nil || len(a.Job.Caches) == 0 {
		return nil
	}
	return a.section("restore_cache", "Restoring cache", func() error {
		for _, c := range a.Job.Caches {
			if err := a.Caches.Restore(ctx, c, a.workspace, a.expand, a.log); err != nil {
				fmt.Fprintf(a.log, "cache not restored: %v\n", err) // a cache is a help, not a promise
			}
		}
		return ctx.Err()
	})
}

func (a *attempt) takeArtifacts(ctx context.Context) error {
	if len(a.Take) == 0 {
		return nil
	}
	return a.section("download_artifacts", "Taking artifacts", func() error {
		for _, dir := range a.Take {
			if err := Restore(ctx, dir, a.workspace); err != nil {
				return fmt.Errorf("artifacts: %w", err)
			}
		}
		return nil
	})
}

// start brings the sandbox up and runs hooks and the machine's set-up in it.
func (a *attempt) start(ctx context.Context) error {
	ctx, cancel := mergeDone(ctx, a.Stop)
	defer cancel()
	spec := executor.Spec{RunID: a.RunID, JobID: a.ID, Log: a.log, DockerAuthConfig: a.lookup["DOCKER_AUTH_CONFIG"]}
	if a.Job.Image != nil {
		spec.Image = a.image(*a.Job.Image)
	}
	for _, s := range a.Job.Services {
		spec.Services = append(spec.Services, a.service(s))
	}
	spec.Mounts = []executor.Mount{
		{Source: a.workspace, Target: a.paths.project},
		{Source: a.temp, Target: a.paths.temp},
	}
	for _, dir := range a.ReadOnly {
		spec.Mounts = append(spec.Mounts, executor.Mount{Source: dir, Target: dir, ReadOnly: true})
	}
	var err error
	if a.sandbox, err = a.Executor.Start(ctx, spec); err != nil {
		reason := pipeline.RunnerSystemFailure
		if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Denied) {
			reason = pipeline.ImagePullFailure
		}
		return &reasonError{reason, err}
	}
	if a.Setup != nil {
		bin, err := a.Setup(ctx, a.workspace, a.log)
		if err != nil {
			return err
		}
		if bin != "" {
			a.env = append(a.env, "PATH="+bin+string(os.PathListSeparator)+envValue(a.Environ, "PATH"))
		}
	}
	if len(a.Job.PreGetSources) > 0 {
		code, err := a.exec(ctx, "pre_get_sources", shellScript(a.Job.PreGetSources), nil)
		if err != nil {
			return err
		}
		if code != 0 {
			return errs.E(errs.Invalid, "hooks:pre_get_sources_script ended with exit code %d", code)
		}
	}
	return nil
}

func envValue(environ []string, name string) string {
	for _, kv := range environ {
		if len(kv) > len(name) && kv[len(name)] == '=' && kv[:len(name)] == name {
			return kv[len(name)+1:]
		}
	}
	return ""
}

func (a *attempt) image(i pipeline.Image) executor.Image {
	return executor.Image{
		Name: a.expand(i.Name), Entrypoint: a.expandAll(i.Entrypoint), PullPolicy: i.PullPolicy,
		Platform: a.expand(i.Platform), User: a.expand(i.User),
	}
}

func (a *attempt) service(s pipeline.Service) executor.Service {
	out := executor.Service{Image: a.image(s.Image), Command: a.expandAll(s.Command)}
	for _, alias := range s.Aliases {
		out.Aliases = append(out.Aliases, a.expand(alias))
	}
	// A service sees the job's variables and, before them, its own.
	out.Env = append(out.Env, a.env...)
	for _, v := range s.Variables {
		value := v.Value
		if !v.Raw {
			value = a.expand(value)
		}
		out.Env = append(out.Env, v.Name+"="+value)
	}
	return out
}

func (a *attempt) expandAll(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = a.expand(s)
	}
	return out
}

// exec writes a script into the job's temporary folder and runs it.
func (a *attempt) exec(ctx context.Context, name, script string, extra []string) (int, error) {
	if err := os.WriteFile(filepath.Join(a.temp, name+".sh"), []byte(script), 0o700); err != nil {
		return 0, err
	}
	env := a.env
	if !a.Executor.Isolated() {
		env = append(hostEnvironment(a.Environ), env...)
	}
	out := io.Writer(a.log)
	if a.coverage != nil {
		out = a.coverage.tee(a.log)
	}
	return a.sandbox.Exec(ctx, executor.Command{
		Args: a.shell(a.paths.temp + "/" + name + ".sh"), Dir: a.paths.project,
		Env: append(env, extra...), Stdout: out, Stderr: out,
	})
}

// shell is the command that runs a script file: bash where there is one.
func (a *attempt) shell(script string) []string {
	if a.Executor.Isolated() {
		return []string{"sh", "-c", `if command -v bash >/dev/null 2>&1; then exec bash "$0"; else exec sh "$0"; fi`, script}
	}
	return []string{hostShell(), script}
}

// script runs before_script and script in one shell, under the job's timeout.
func (a *attempt) script(ctx context.Context) JobResult {
	timeout := a.Job.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := mergeDone(ctx, a.Stop)
	defer cancel()
	tctx, done := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer done()
	entries := append(append([]string{}, a.Job.BeforeScript...), a.Job.Script...)
	code, err := a.exec(tctx, "script", shellScript(entries), nil)
	switch {
	case ctx.Err() != nil:
		return JobResult{Status: pipeline.Canceled}
	case errors.Is(context.Cause(tctx), errTimeout):
		fmt.Fprintf(a.log, "\nstopped: the job's timeout of %s is over\n", timeout)
		return JobResult{Status: pipeline.Failed, Reason: pipeline.JobTimeout}
	case err != nil:
		return JobResult{Status: pipeline.Failed, Reason: reasonOf(err), Err: err}
	case code != 0:
		return JobResult{Status: pipeline.Failed, Reason: pipeline.ScriptFailure, ExitCode: code}
	}
	return JobResult{Status: pipeline.Success}
}

var errTimeout = errors.New("the job's timeout is over")

// afterScript runs in a shell of its own, after failure and cancel too but not
// after a timeout; what becomes of it does not matter to the job.
func (a *attempt) afterScript(ctx context.Context, res JobResult) {
	if len(a.Job.AfterScript) == 0 || res.Reason == pipeline.JobTimeout || res.Err != nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, afterScriptTimeout)
	defer cancel()
	_ = a.section("after_script", "Running after_script", func() error {
		code, err := a.exec(ctx, "after_script", shellScript(a.Job.AfterScript), []string{"CI_JOB_STATUS=" + string(res.Status)})
		switch {
		case err != nil:
			fmt.Fprintf(a.log, "after_script: %v\n", err)
		case code != 0:
			fmt.Fprintf(a.log, "after_script ended with exit code %d; this does not change the job\n", code)
		}
		return nil
	})
}

// finish keeps caches and artifacts by what became of the script.
func (a *attempt) finish(ctx context.Context, res *JobResult) {
	if a.coverage != nil {
		res.Coverage = a.coverage.value()
	}
	if res.Status == pipeline.Canceled || ctx.Err() != nil {
		return
	}
	// Everything the sandbox wrote must belong to us before it is read.
	if err := a.sandbox.Close(ctx); err != nil {
		a.note(fmt.Sprintf("not cleaned up: %v", err))
	}
	failed := res.Status == pipeline.Failed
	a.saveCaches(ctx, failed)
	if err := a.keepArtifacts(ctx, failed, res); err != nil && !failed {
		res.Status, res.Reason, res.Err = pipeline.Failed, pipeline.RunnerSystemFailure, err
	}
}

// wanted tells whether something with this when is kept.
func wanted(when pipeline.When, failed bool) bool {
	switch when {
	case pipeline.Always:
		return true
	case pipeline.OnFailure:
		return failed
	default:
		return !failed
	}
}

func (a *attempt) saveCaches(ctx context.Context, failed bool) {
	if a.Caches == nil || a.InPlace != "" {
		return
	}
	var due []pipeline.Cache
	for _, c := range a.Job.Caches {
		if wanted(c.When, failed) {
			due = append(due, c)
		}
	}
	if len(due) == 0 {
		return
	}
	_ = a.section("archive_cache", "Keeping cache", func() error {
		for _, c := range due {
			if err := a.Caches.Save(ctx, c, a.workspace, a.Tree, a.expand, a.log); err != nil {
				fmt.Fprintf(a.log, "cache not kept: %v\n", err)
			}
		}
		return nil
	})
}

func (a *attempt) keepArtifacts(ctx context.Context, failed bool, res *JobResult) error {
	art := a.Job.Artifacts
	if art == nil {
		return nil
	}
	kept := *art
	if !wanted(art.When, failed) {
		kept.Paths, kept.Untracked = nil, false // reports are always kept
	}
	if len(kept.Paths) == 0 && !kept.Untracked && len(kept.Reports) == 0 {
		return nil
	}
	return a.section("upload_artifacts", "Keeping artifacts", func() error {
		report, err := Collect(ctx, a.workspace, &kept, a.Tree, a.expand, a.Keep)
		if err != nil {
			return fmt.Errorf("artifacts: %w", err)
		}
		for _, line := range report.Notes {
			fmt.Fprintln(a.log, line)
		}
		fmt.Fprintf(a.log, "%d files, %d bytes\n", report.Files, report.Bytes)
		res.Artifacts = report.Files > 0
		res.Dotenv = report.Dotenv
		return nil
	})
}

// followSteps reads $REFLINE_EVENTS until the returned function is called.
func (a *attempt) followSteps(ctx context.Context) (stop func()) {
	r := &stepReader{
		path: filepath.Join(a.temp, "events.jsonl"),
		note: a.note,
		emit: func(raw json.RawMessage) {
			a.Emit(Event{Kind: StepEvent, Job: a.Job.Name, Step: json.RawMessage(a.Secrets.String(string(raw)))})
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); r.follow(ctx) }()
	return func() { cancel(); <-done; r.finish() }
}

func (a *attempt) note(text string) {
	a.Emit(Event{Kind: JobNote, Job: a.Job.Name, Text: a.Secrets.String(text)})
}

// cleanUp gives everything back, also after a cancel.
func (a *attempt) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if a.sandbox != nil {
		if err := a.sandbox.Close(ctx); err != nil {
			a.note(fmt.Sprintf("not cleaned up: %v", err))
		}
	}
	if a.clone != nil {
		if err := a.clone.Close(); err != nil {
			a.note(fmt.Sprintf("workspace not removed: %v", err))
		}
	}
	if err := os.RemoveAll(a.Dir); err != nil {
		a.note(fmt.Sprintf("temporary folder not removed: %v", err))
	}
}

// mergeDone is done when either context is.
func mergeDone(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() { stop(); cancel(nil) }
}
