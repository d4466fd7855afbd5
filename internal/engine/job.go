package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"refline/internal/artifact"
	"refline/internal/cache"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/workspace"
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
	Runner  Runner
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
	Tree    *workspace.Tree
	InPlace string
	// ImageSource, when set, is a folder of the job's image whose files are copied
	// into the workspace instead of those of a Tree.
	ImageSource string
	// ReadOnly are folders of the host that an isolated sandbox must see at
	// the same place: the objects that the workspace's .git borrows.
	ReadOnly []string
	// Dir is a folder for this attempt alone; it must not exist, and it is gone
	// when RunJob returns. Tools and caches remember paths, so it should be the
	// same again and again.
	Dir string
	// Slot differs among jobs that run at the same time: CI_CONCURRENT_ID.
	Slot int
	// Later takes over work that need not be waited for: removing what was in
	// Dir, from a folder beside it. May be nil.
	Later func(func())

	Artifacts artifact.Store // nil: none
	Take      []string       // keys of artifacts to restore, in order
	Keep      string         // the key that this job's artifacts get
	// KeepResults is the key that the results of the job's tasks get if it is not green,
	// TakeResults that of an earlier attempt's; see $REFLINE_RESULTS. Empty: none.
	KeepResults, TakeResults string

	Caches  cache.Store // nil: none
	Project string      // whose caches
	// LastCommit gives the commit that last changed a path, for
	// cache:key:files_commits; may be nil.
	LastCommit func(path string) string
	// PythonEnv makes the environment of a Python script, as pythonenv.Make does:
	// it returns a folder to put first in PATH. nil: none is made.
	PythonEnv func(ctx context.Context, root, script string, log io.Writer, env []string) (bin string, err error)

	// PythonPackage returns a folder with the Python package refline, which becomes
	// the last of the job's PYTHONPATH. nil: the job has only what is installed.
	PythonPackage func() (dir string, err error)

	Shell         *Shell // nil: none is opened
	KeepWorkspace KeepWorkspace

	// Agent, when set, gives the job the use of an ssh key until it ends.
	Agent AgentStarter

	Executor executor.Executor
	Secrets  *mask.Set // nil: none
	Log      Log       // gets masked bytes only; nil: nothing is kept
	LogLimit int64     // bytes of the log that are kept; 0: DefaultLogLimit
	// Emit gets steps, notes and the bytes of the log; it is called from several
	// goroutines. May be nil.
	Emit func(pipeline.Report)
	// Stop asks for a graceful end when done: the script is stopped and
	// after_script still runs. The context of RunJob ends everything at once. May
	// be nil.
	Stop context.Context
}

// Runner is who runs the job, as the job's CI_RUNNER_ variables name it.
type Runner struct {
	ID          string
	Description string
	Tags        []string
	Version     string // of the program
}

// complete fills in what may be left out.
func (in *JobInput) complete() {
	if in.Secrets == nil {
		in.Secrets = &mask.Set{}
	}
	if in.Log == nil {
		in.Log = noLog{}
	}
	if in.LogLimit <= 0 {
		in.LogLimit = DefaultLogLimit
	}
	if in.Emit == nil {
		in.Emit = func(pipeline.Report) {}
	}
	if in.Stop == nil {
		in.Stop = context.Background()
	}
}

func (in *JobInput) timeout() time.Duration {
	if in.Job.Timeout > 0 {
		return in.Job.Timeout.D()
	}
	return defaultTimeout
}

// RunJob runs one attempt of one job from an empty folder to its artifacts and
// the last byte of its log.
func RunJob(ctx context.Context, in JobInput) JobResult {
	in.complete()
	given := in.Secrets
	in.Secrets = given.Fork() // what the job has masked from then on is its own
	a := &attempt{JobInput: in, given: given}
	defer a.cleanUp()
	log := &logWriter{ctx: context.WithoutCancel(ctx), log: in.Log, emit: in.Emit, limit: in.LogLimit}
	a.log = in.Secrets.CommandWriter(log)
	if in.Job.Coverage != "" {
		a.coverage = newCoverage(in.Job.Coverage)
	}
	res := a.run(ctx)
	a.keepWorkspace(ctx, &res)
	if err := a.log.Close(); err != nil && res.Err == nil {
		res.Err = fmt.Errorf("write the log: %w", err)
		if res.Status == pipeline.StatusSuccess {
			res.Status, res.Reason = pipeline.StatusFailed, pipeline.ReasonRunnerSystemFailure
		}
	}
	if res.Err != nil {
		res.Err = errs.E(errs.KindOf(res.Err), "%s", in.Secrets.String(res.Err.Error()))
	}
	log.finish(&res, a.findSecret)
	return res
}

// findSecret gives the name of a secret that r holds, "" for none.
func (a *attempt) findSecret(r io.Reader) (string, error) {
	found, err := a.given.Scan(r) // what the job added may be in the log before that
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].Name, nil
}

// attempt is the state of RunJob.
type attempt struct {
	JobInput
	given     *mask.Set // the secrets that it began with
	log       *mask.CommandWriter
	coverage  *coverage
	paths     jobPaths
	workspace string // on the host
	temp      string // on the host
	scripts   string // on the host
	clone     *workspace.Workspace
	sandbox   executor.Sandbox
	env       []string
	lookup    map[string]string
	caches    []jobCache
	cutShort  bool // the script's own timeout was over
	notes     atomic.Int64
	results   string       // $REFLINE_RESULTS on the host, "" for none
	python    string       // the folder of the Python package, "" for none
	reported  []string     // files that tasks keep, as the job sees them
	events    *os.Root     // the folder of the events file
	endAgent  func() error // nil: there is none
}

// run is the whole attempt, all of which counts against the job's timeout.
func (a *attempt) run(ctx context.Context) JobResult {
	within, clock, done := newJobClock(ctx, a.timeout())
	defer done()
	system := func(err error) JobResult {
		switch {
		case ctx.Err() != nil || a.Stop.Err() != nil:
			return JobResult{Status: pipeline.StatusCanceled}
		case timedOut(within):
			return a.overTime()
		}
		return JobResult{Status: pipeline.StatusFailed, Reason: reasonOf(err), Err: err}
	}
	if err := a.prepare(within); err != nil {
		return system(err)
	}
	if err := a.start(within); err != nil {
		return system(err)
	}
	steps := a.followSteps(within)
	res := a.script(within)
	a.openShell(ctx, clock, &res)
	a.afterScript(within, &res)
	steps(&res)
	a.finish(within, &res)
	return res
}

// reasonOf maps an error to GitLab's failure reason.
func reasonOf(err error) pipeline.Reason {
	var r *reasonError
	switch {
	case errors.As(err, &r):
		return r.reason
	default:
		return pipeline.ReasonRunnerSystemFailure
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

// script runs the job's own commands.
func (a *attempt) script(within context.Context) JobResult {
	ctx, cancel := WithStop(within, a.Stop)
	defer cancel()
	if limit := a.limit("RUNNER_SCRIPT_TIMEOUT", 0); limit > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errScriptTimeout)
		defer cancel()
	}
	code, err := a.commands(ctx)
	switch {
	case err == nil && code == 0:
		return JobResult{Status: pipeline.StatusSuccess}
	case err == nil:
		return JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure, ExitCode: code}
	case errors.Is(err, errTimeout):
		return a.overTime()
	case errors.Is(err, errScriptTimeout):
		fmt.Fprintf(a.log, "\nstopped: the script's time, %s by RUNNER_SCRIPT_TIMEOUT, is over\n", a.lookup["RUNNER_SCRIPT_TIMEOUT"])
		a.cutShort = true
		return JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonJobExecutionTimeout}
	case ctx.Err() != nil:
		return JobResult{Status: pipeline.StatusCanceled}
	default:
		return JobResult{Status: pipeline.StatusFailed, Reason: reasonOf(err), Err: err}
	}
}

var (
	errTimeout       = errors.New("the job's timeout is over")
	errScriptTimeout = errors.New("the script's timeout is over")
)

// timedOut reports whether ctx is done because the job's timeout is over.
func timedOut(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errTimeout) }

// overTime is the result of a job whose timeout is over, whatever it was doing.
func (a *attempt) overTime() JobResult {
	fmt.Fprintf(a.log, "\nstopped: the job's timeout of %s is over\n", a.timeout())
	return JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonJobExecutionTimeout}
}

// limit is the duration that a variable of GitLab's runner gives; otherwise
// when it gives none above zero.
func (a *attempt) limit(variable string, otherwise time.Duration) time.Duration {
	text := a.lookup[variable]
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		fmt.Fprintf(a.log, "%s=%s is not a duration such as 90s, 10m or 1h30m; it is ignored\n", variable, text)
	}
	if err != nil || d <= 0 {
		return otherwise
	}
	return d
}

// commands runs before_script and script in one shell, or the steps of run:.
func (a *attempt) commands(ctx context.Context) (int, error) {
	if len(a.Job.Run) > 0 {
		return a.runSteps(ctx)
	}
	return a.exec(ctx, scriptMain, nil)
}

// afterScript runs in a shell of its own, also after failure, cancel and the
// script's own timeout, but not after the job's. What becomes of it does not
// matter to the job unless AFTER_SCRIPT_IGNORE_ERRORS says so.
func (a *attempt) afterScript(ctx context.Context, res *JobResult) {
	if len(a.Job.AfterScript) == 0 || res.Err != nil || ctx.Err() != nil {
		return
	}
	status := string(res.Status)
	if a.cutShort {
		status = "timedout"
	}
	limit := a.limit("RUNNER_AFTER_SCRIPT_TIMEOUT", afterScriptTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errScriptTimeout)
	defer cancel()
	_ = a.section("after_script", "Running after_script", func() error {
		code, err := a.exec(ctx, scriptAfter, []string{"CI_JOB_STATUS=" + status})
		if timedOut(ctx) || err == nil && code == 0 {
			return nil // the timeout is reported with the job
		}
		ended := afterScriptEnd(code, limit, err)
		ignored, perr := strconv.ParseBool(a.lookup["AFTER_SCRIPT_IGNORE_ERRORS"])
		if ignored || perr != nil || errors.Is(err, context.Canceled) {
			fmt.Fprintf(a.log, "after_script %s; this does not change the job\n", ended)
			return nil
		}
		fmt.Fprintf(a.log, "after_script %s, which AFTER_SCRIPT_IGNORE_ERRORS makes count\n", ended)
		if res.Status == pipeline.StatusSuccess {
			*res = JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure, ExitCode: max(code, 0)}
		}
		return nil
	})
}

func afterScriptEnd(code int, limit time.Duration, err error) string {
	switch {
	case err == nil:
		return fmt.Sprintf("ended with exit code %d", code)
	case errors.Is(err, context.Canceled):
		return "was stopped"
	case errors.Is(err, errScriptTimeout):
		return fmt.Sprintf("was stopped after %s (RUNNER_AFTER_SCRIPT_TIMEOUT sets this)", limit)
	default:
		return fmt.Sprintf("could not be run: %v", err)
	}
}
