package main

import (
	"context"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/localrun"
	"refline/internal/termview"
)

type retryOptions struct {
	jobs  []string
	shell string
	from  bool // from the task that failed
	keep  bool
	log   bool
	json  bool
}

func newRunsRetryCmd(e *cli.Env) *cobra.Command {
	o := &retryOptions{}
	cmd := &cobra.Command{
		Use:   "retry [RUN]",
		Short: "Run what failed again, with the artifacts of what passed",
		Long: `Make a run (without RUN the last one of this project) again: jobs that failed, were canceled or
did not run, run now. Jobs that passed are not run: their results, artifacts and
dotenv variables are taken from that run. It is a new run with a number of its
own.

A run of the working tree takes the files as they are now, so a fix can be tried.
A run with --repo takes the same commit again. With --job only that job runs
(also if it passed), and what it needs and did not pass.

With --from-failed a job that runs again gets the results that its tasks kept, so
that they do not run again: those of a flow in Python, up to 64 kB each and larger
ones with keep=True.

Exit codes: as of refline run.`,
		Example: `  refline runs retry
  refline runs retry 7 --from-failed
  refline runs retry 7 --job deploy
  refline runs retry --shell`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRetry(cmd.Context(), e, o, args)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.jobs, "job", nil, "run only this job again, also if it passed")
	f.BoolVar(&o.from, "from-failed", false, "do not run tasks of a job again whose results are kept")
	bindShell(f, &o.shell)
	f.BoolVar(&o.keep, "keep", false, keepHelp)
	f.BoolVar(&o.log, "log", false, "show the jobs' logs on a terminal too, line by line")
	f.BoolVar(&o.json, "json", false, "print events as JSON lines")
	return cmd
}

func runRetry(ctx context.Context, e *cli.Env, o *retryOptions, args []string) error {
	store, r, err := readRun(ctx, e, args)
	if err != nil {
		return err
	}
	if len(args) == 0 && lastOfProject(ctx, e, store) == nil {
		return errs.E(errs.NotFound, "no run of this project is kept; to run another project's again, name the run: refline runs retry %d", r.Number)
	}
	if store.Alive(r.Number) {
		return errs.E(errs.Conflict, "run %d is still running", r.Number)
	}
	request, err := localrun.ReadRequest(store, r.Number)
	if err != nil {
		return err
	}
	earlier := &localrun.EarlierRun{Store: store, Run: r, Retry: true, FromFailed: o.from, Quote: termview.ShellWord}
	if len(o.jobs) > 0 {
		request.Jobs = o.jobs
		if earlier.Again, err = localrun.JobNames(r, o.jobs); err != nil {
			return err
		}
	} else if !localrun.LeftToDo(r) {
		return errs.E(errs.Conflict, "every job of run %d passed; to run one again: refline runs retry %d --job NAME", r.Number, r.Number)
	}
	again := &runOptions{}
	cmd := &cobra.Command{}
	again.bindRun(cmd, e)
	if err := cmd.ParseFlags(request.Flags); err != nil {
		return errs.E(errs.Invalid, "what run %d was asked for: %w", r.Number, err)
	}
	again.shell, again.keep, again.log, again.json = o.shell, o.keep, o.log, o.json
	again.earlier, again.request = earlier, request
	if again.Repo != "" {
		again.Pinned, again.PinnedRef = r.Commit, r.Ref
	}
	e.Dir = request.Dir
	return runRun(ctx, e, again, request.Jobs)
}

// openEarlier opens the run of --artifacts-from.
func (s *session) openEarlier() error {
	if s.o.artifactsFrom == "" {
		return nil
	}
	store, r, err := readRun(context.Background(), s.e, []string{s.o.artifactsFrom})
	if err != nil {
		return err
	}
	if store.Alive(r.Number) {
		return errs.E(errs.Conflict, "run %d is still running", r.Number)
	}
	s.Earlier = &localrun.EarlierRun{Store: store, Run: r, Quote: termview.ShellWord}
	return nil
}
