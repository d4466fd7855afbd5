package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/cli/remote"
	"refline/internal/git"
	"refline/internal/history"
	"refline/internal/localrun"
	"refline/internal/runview"
	"refline/internal/termview"
)

func newRunsCmd(e *cli.Env) *cobra.Command {
	o := &runsOptions{}
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "Show earlier runs of this computer, their logs and artifacts",
		Long: `Show earlier runs of this computer. The last 100 are kept, with their logs and
artifacts. RUN is a run's number; without it the last run is meant, and ~1 is the
one before.

Exit codes: 0 good, 1 no such run, job or file, 2 usage.`,
		Example: `  refline runs
  refline runs show 7
  refline runs log 7 'unit: [1.25]'
  refline runs artifacts 7 build -o out/`,
		Args: cli.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runRuns(e, o) },
	}
	o.bind(cmd)
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the runs, the last one first",
		Long:    "List the runs, the last one first, as refline runs does.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline runs list -n 5",
		Args:    cli.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return runRuns(e, o) },
	}
	o.bind(list)
	cmd.AddCommand(list, newRunsShowCmd(e), newRunsLogCmd(e), newRunsArtifactsCmd(e), newRunsRetryCmd(e), newRunsRemoveCmd(e))
	remote.AddServerRuns(e, cmd)
	return cmd
}

type runsOptions struct {
	json bool
	most int
}

func (o *runsOptions) bind(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON")
	cmd.Flags().IntVarP(&o.most, "number", "n", 20, "how many runs to list")
}

func runRuns(e *cli.Env, o *runsOptions) error {
	if o.most < 1 {
		return cli.Usagef("-n wants a number from 1")
	}
	store, err := openHistory(e)
	if err != nil {
		return err
	}
	all, err := store.Numbers()
	if err != nil {
		return err
	}
	records := make([]*history.Run, 0)
	for i := len(all) - 1; i >= 0 && len(records) < o.most; i-- {
		if r, err := store.Read(all[i]); err == nil {
			records = append(records, r)
		}
	}
	if o.json {
		return e.PrintJSON(records)
	}
	if len(records) == 0 {
		e.Notef("no runs yet; start one: refline run")
		return nil
	}
	runview.Runs(e.Stdout, records)
	return nil
}

// runNumber reads RUN: a number, or ~N for the Nth before the last, which is
// negative or 0.
func runNumber(text string) (int64, bool) {
	digits, back := strings.CutPrefix(text, "~")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n == 0 && !back {
		return 0, false
	}
	if back {
		n = -n
	}
	return n, true
}

// readRun reads the run that the first argument names, without one the last run
// of this project. If this project has none, it is that of another, which a
// notice names.
func readRun(ctx context.Context, e *cli.Env, args []string) (history.Store, *history.Run, error) {
	store, err := openHistory(e)
	if err != nil {
		return store, nil, err
	}
	if len(args) == 0 {
		if own := lastOfProject(ctx, e, store); own != nil {
			return store, own, nil
		}
		r, err := store.Read(0)
		if err == nil {
			e.Notef("no run of this project is kept; this is run %d of %s", r.Number, termview.Plain(r.Project))
		}
		return store, r, err
	}
	n, ok := runNumber(args[0])
	if !ok {
		return store, nil, cli.Usagef("%q is not a run's number; refline runs lists them", args[0])
	}
	r, err := store.Read(n)
	return store, r, err
}

// readRunJobs reads the jobs that [RUN] [JOB] name. Without RUN it is the last
// run of this project, without JOB the only job of the run.
func readRunJobs(ctx context.Context, e *cli.Env, args []string) (history.Store, *history.Run, []*history.Job, error) {
	name := ""
	switch _, number := runNumber(lastOf(args)); {
	case len(args) == 2, len(args) == 1 && !number:
		name, args = lastOf(args), args[:len(args)-1]
	}
	store, r, err := readRun(ctx, e, args)
	if err != nil {
		return store, nil, nil, err
	}
	if name == "" && len(r.Jobs) != 1 {
		return store, nil, nil, cli.Usagef("run %d has %s; name one of them: %s", r.Number, termview.Count(len(r.Jobs), "job"), jobList(r))
	}
	jobs, err := localrun.FindJobs(r, name)
	return store, r, jobs, err
}

func lastOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[len(args)-1]
}

// lastOfProject is the last run of the project of this folder; nil for none.
func lastOfProject(ctx context.Context, e *cli.Env, store history.Store) *history.Run {
	w, err := git.Open(ctx, e.Dir, e.Environ())
	if err != nil {
		return nil
	}
	return store.LastOf(w.Root, w.RemoteURL)
}

func jobList(r *history.Run) string {
	names := make([]string, len(r.Jobs))
	for i := range r.Jobs {
		names[i] = r.Jobs[i].Name
	}
	return termview.Names(names)
}

func newRunsRemoveCmd(e *cli.Env) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "rm [RUN…]",
		Short:   "Remove runs with their logs and artifacts",
		Long:    "Remove runs with their logs and artifacts. A run that is still running stays. A\nnumber is never used again.\n\nExit codes: 0 good, 1 a run could not be removed, 2 usage.",
		Example: "  refline runs rm 7 ~1\n  refline runs rm --all",
		RunE:    func(_ *cobra.Command, args []string) error { return runRunsRemove(e, args, all) },
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove every run")
	return cmd
}

func runRunsRemove(e *cli.Env, args []string, all bool) error {
	store, err := openHistory(e)
	if err != nil {
		return err
	}
	var numbers []int64
	if all && len(args) > 0 {
		return cli.Usagef("--all and the numbers of runs exclude each other")
	}
	if all {
		if numbers, err = store.Numbers(); err != nil {
			return err
		}
	} else if len(args) == 0 {
		return cli.Usagef("name the runs to remove, or give --all")
	}
	for _, a := range args {
		n, ok := runNumber(a)
		if !ok {
			return cli.Usagef("%q is not a run's number; refline runs lists them", a)
		}
		if n, err = store.Find(n); err != nil {
			return err
		}
		numbers = append(numbers, n)
	}
	for _, n := range numbers {
		if err := store.Remove(n); err != nil {
			return err
		}
	}
	e.Notef("%s removed", termview.Count(len(numbers), "run"))
	return nil
}
