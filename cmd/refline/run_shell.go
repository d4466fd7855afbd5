package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"refline/internal/cli"
	"refline/internal/engine"
	"refline/internal/executor"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

const (
	shellFailed = "failed"
	shellAlways = "always"
	keepHelp    = "keep the workspaces of jobs that fail and of the jobs you name; refline runs rm removes them with the run"
)

func bindShell(f *pflag.FlagSet, value *string) {
	f.StringVar(value, "shell", "", "open a shell in a job that failed, before its after_script; always: in one that passed, too")
	f.Lookup("shell").NoOptDefVal = shellFailed
}

// checkShell wants a terminal for --shell.
func (o *runOptions) checkShell(e *cli.Env) error {
	switch {
	case o.shell == "":
		return nil
	case o.shell != shellFailed && o.shell != shellAlways:
		return cli.Usagef("--shell=%s: want %s or %s", o.shell, shellFailed, shellAlways)
	case o.json, !e.Interactive:
		return cli.Usagef("--shell needs a terminal for input and output, and no --json")
	}
	return nil
}

// getsShell reports whether a shell may be opened in a job: in one that was named,
// or, when none was, in all.
func (s *session) getsShell(j *pipeline.Job) bool {
	return s.o.shell != "" && (len(s.jobs) == 0 || slices.Contains(s.jobs, j.Name))
}

// withoutRetries is the pipeline in which a job that gets a shell is not tried
// again by itself.
func (s *session) withoutRetries(p *pipeline.Pipeline) *pipeline.Pipeline {
	out := *p
	out.Jobs = slices.Clone(p.Jobs)
	for i := range out.Jobs {
		if s.getsShell(&out.Jobs[i]) {
			out.Jobs[i].Retry = pipeline.Retry{}
		}
	}
	return &out
}

// jobShell is the shell of a job; nil for none.
func (s *session) jobShell(j *pipeline.Job) *engine.Shell {
	if !s.getsShell(j) {
		return nil
	}
	return &engine.Shell{Always: s.o.shell == shellAlways, Open: s.openShell}
}

// openShell gives the terminal to a job's shell. What other jobs report waits.
func (s *session) openShell(ctx context.Context, job string, res engine.JobResult, run func(context.Context, *executor.Terminal) (int, error)) error {
	s.screen.Lock()
	defer s.screen.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	s.view.Close()
	defer s.view.Reopen()
	how := "passed"
	switch {
	case res.Status == pipeline.StatusSuccess:
	case res.ExitCode != 0:
		how = fmt.Sprintf("failed with exit code %d", res.ExitCode)
	default:
		how = "failed"
	}
	fmt.Fprintf(s.e.Stdout, "\n%s %s; this is a shell in it, exit ends the job\n", termview.Plain(job), how)
	out := s.Secrets.Writer(s.e.Stdout)
	err := s.terminal.Use(func(keys io.Reader, size executor.Size, resize <-chan executor.Size) error {
		_, err := run(ctx, &executor.Terminal{In: keys, Out: out, Size: size, Resize: resize})
		return err
	})
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	fmt.Fprintln(s.e.Stdout)
	return err
}

// keepWorkspace says whether a job's workspace is kept: of those that you named
// also when they pass.
func (s *session) keepWorkspace(j *pipeline.Job) engine.KeepWorkspace {
	if !s.o.keep {
		return engine.KeepWorkspace{}
	}
	return engine.KeepWorkspace{
		Dir:    filepath.Join(s.Store.Folder(s.Record.Number), "workspaces"),
		Passed: slices.Contains(s.jobs, j.Name),
	}
}
