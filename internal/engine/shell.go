package engine

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"refline/internal/executor"
	"refline/internal/pipeline"
)

// Shell lets a person work inside a job once its script has ended: in its
// workspace, with its environment, services and container, before after_script
// and artifacts. That time does not count against the job's timeout.
type Shell struct {
	// Always opens a shell also when the script succeeded.
	Always bool
	// Open asks for a terminal and calls run with it; it returns when the shell has
	// ended. res is how the script ended.
	Open func(ctx context.Context, job string, res JobResult, run func(context.Context, *executor.Terminal) (exitCode int, err error)) error
}

// openShell opens the shell that is wanted. What becomes of it does not change
// the job.
func (a *attempt) openShell(ctx context.Context, clock *jobClock, res *JobResult) {
	if a.Shell == nil || res.Err != nil || res.Status == pipeline.StatusCanceled || res.Status == pipeline.StatusSuccess && !a.Shell.Always {
		return
	}
	clock.pause()
	defer clock.resume()
	ctx, cancel := WithStop(ctx, a.Stop)
	defer cancel()
	err := a.Shell.Open(ctx, a.Job.Name, *res, func(ctx context.Context, terminal *executor.Terminal) (int, error) {
		return a.sandbox.Exec(ctx, a.shellCommand(res.Status, terminal))
	})
	if err != nil && ctx.Err() == nil {
		a.note(fmt.Sprintf("no shell: %v", err))
	}
}

// shellCommand is an interactive shell that reads none of the user's files: they
// would make its environment another than the job's.
func (a *attempt) shellCommand(status pipeline.Status, terminal *executor.Terminal) executor.Command {
	env := a.env
	if !a.Executor.Isolated() {
		env = append(hostEnvironment(a.Environ), env...)
	}
	shell, place := a.sandbox.Shell(), "$PWD"
	args := []string{shell, "-i"}
	if path.Base(shell) == "bash" {
		args, place = []string{shell, "--noprofile", "--norc", "-i"}, `\w`
	}
	term := lookupOf(a.Environ)["TERM"]
	if term == "" {
		term = "xterm"
	}
	return executor.Command{
		Args: args, Dir: a.paths.project, Terminal: terminal,
		Env: append(env, "CI_JOB_STATUS="+string(status), "TERM="+term, "HISTFILE=", "ENV=", "PS1="+promptName(a.Job.Name)+" "+place+" $ "),
	}
}

// promptName is a job's name without what a shell would run or replace in its
// prompt.
func promptName(job string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" -_.:/[](),+=@", r):
			return r
		}
		return '_'
	}, job)
}

// jobClock is the job's timeout, which can be stopped for a while.
type jobClock struct {
	mu    sync.Mutex
	timer *time.Timer
	began time.Time
	left  time.Duration
}

// newJobClock gives a context whose cause is errTimeout once the timeout is over.
func newJobClock(ctx context.Context, timeout time.Duration) (context.Context, *jobClock, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &jobClock{left: timeout, began: time.Now()}
	c.timer = time.AfterFunc(timeout, func() { cancel(errTimeout) })
	return ctx, c, func() {
		c.timer.Stop()
		cancel(context.Canceled)
	}
}

func (c *jobClock) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
	c.left -= time.Since(c.began)
}

func (c *jobClock) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = time.Now()
	c.timer.Reset(max(c.left, 0))
}
