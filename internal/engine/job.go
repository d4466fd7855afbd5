package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
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
	Binary  string // of the program, for jobs on the host: REFLINE_BIN
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
	// gone when RunJob returns, or when what it hands to Later has run.
	Dir string
	// Later takes over work that nobody has to wait for: removing Dir. May be
	// nil.
	Later func(func())

	Take    []string // folders of artifacts to restore, in order
	Keep    string   // the folder that becomes this job's artifacts
	Caches  *Caches  // nil: none
	Project string   // whose caches
	// LastCommit gives the commit that last changed a path, for
	// cache:key:files_commits; may be nil.
	LastCommit func(path string) string
	// Setup prepares what the script needs of the machine and returns a folder
	// to put first in PATH; env is what the job will run with. May be nil.
	Setup func(ctx context.Context, workspace string, env []string, log io.Writer) (bin string, err error)

	// Agent, when set, gives the job the use of an ssh key until it ends.
	Agent AgentStarter

	Executor executor.Executor
	Secrets  *mask.Set
	Log      io.Writer // gets masked bytes only
	// Emit gets steps and notes; it is called from several goroutines.
	Emit func(Event)
	// Stop asks for a graceful end when done: the script is stopped and
	// after_script still runs. The context of RunJob ends everything at once.
	Stop context.Context
}

func (in *JobInput) timeout() time.Duration {
	if in.Job.Timeout > 0 {
		return in.Job.Timeout
	}
	return defaultTimeout
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
		res.Err = fmt.Errorf("write the log: %w", err)
		if res.Status == pipeline.Success {
			res.Status, res.Reason = pipeline.Failed, pipeline.RunnerSystemFailure
		}
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
	scripts   string // on the host
	clone     *Workspace
	sandbox   executor.Sandbox
	env       []string
	lookup    map[string]string
	caches    []jobCache
	notes     atomic.Int64
	events    *os.Root     // the folder of the events file
	endAgent  func() error // nil: there is none
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

// exec runs one of the job's scripts in its workspace.
func (a *attempt) exec(ctx context.Context, name string, extra []string) (int, error) {
	return a.execIn(ctx, a.sandbox, a.paths.project, name, extra)
}

func (a *attempt) execIn(ctx context.Context, sandbox executor.Sandbox, dir, name string, extra []string) (int, error) {
	env := a.env
	if !a.Executor.Isolated() {
		env = append(hostEnvironment(a.Environ), env...)
	}
	out := io.Writer(a.log)
	if a.coverage != nil {
		out = a.coverage.tee(a.log)
	}
	return sandbox.Exec(ctx, executor.Command{
		Args: []string{sandbox.Shell(), a.paths.scripts + "/" + name}, Dir: dir,
		Env: append(env, extra...), Stdout: out, Stderr: out,
	})
}

// script runs the job's own commands under its timeout.
func (a *attempt) script(ctx context.Context) JobResult {
	timeout := a.timeout()
	ctx, cancel := mergeDone(ctx, a.Stop)
	defer cancel()
	tctx, done := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer done()
	code, err := a.commands(tctx)
	switch {
	case err == nil && code == 0:
		return JobResult{Status: pipeline.Success}
	case err == nil:
		return JobResult{Status: pipeline.Failed, Reason: pipeline.ScriptFailure, ExitCode: code}
	case ctx.Err() != nil:
		return JobResult{Status: pipeline.Canceled}
	case errors.Is(err, errTimeout):
		fmt.Fprintf(a.log, "\nstopped: the job's timeout of %s is over\n", timeout)
		return JobResult{Status: pipeline.Failed, Reason: pipeline.JobTimeout}
	default:
		return JobResult{Status: pipeline.Failed, Reason: reasonOf(err), Err: err}
	}
}

var errTimeout = errors.New("the job's timeout is over")

// commands runs before_script and script in one shell, or the steps of run:.
func (a *attempt) commands(ctx context.Context) (int, error) {
	if len(a.Job.Run) > 0 {
		return a.runSteps(ctx)
	}
	return a.exec(ctx, scriptMain, nil)
}

// afterScript runs in a shell of its own, after failure and cancel too but not
// after a timeout; what becomes of it does not matter to the job.
func (a *attempt) afterScript(ctx context.Context, res JobResult) {
	if len(a.Job.AfterScript) == 0 || res.Reason == pipeline.JobTimeout || res.Err != nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, afterScriptTimeout)
	defer cancel()
	_ = a.section("after_script", "Running after_script", func() error {
		code, err := a.exec(ctx, scriptAfter, []string{"CI_JOB_STATUS=" + string(res.Status)})
		switch {
		case errors.Is(err, context.Canceled):
			fmt.Fprintln(a.log, "after_script was stopped")
		case err != nil:
			fmt.Fprintf(a.log, "after_script: %v\n", err)
		case code != 0:
			fmt.Fprintf(a.log, "after_script ended with exit code %d; this does not change the job\n", code)
		}
		return nil
	})
}
