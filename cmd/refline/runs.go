package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/artifact"
	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/pipeline"
	"refline/internal/termview"
	"refline/internal/workspace"
)

func newRunsCmd(e *env) *cobra.Command {
	var asJSON bool
	var most int
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
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runRuns(e, most, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.Flags().IntVarP(&most, "number", "n", 20, "how many runs to list")
	cmd.AddCommand(newRunsShowCmd(e), newRunsLogCmd(e), newRunsArtifactsCmd(e), newRunsRetryCmd(e), newRunsRemoveCmd(e))
	return cmd
}

func runRuns(e *env, most int, asJSON bool) error {
	if most < 1 {
		return usagef("-n wants a number from 1")
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
	for i := len(all) - 1; i >= 0 && len(records) < most; i-- {
		if r, err := store.Read(all[i]); err == nil {
			records = append(records, r)
		}
	}
	if asJSON {
		return e.printJSON(records)
	}
	if len(records) == 0 {
		e.notef("no runs yet; start one: refline run")
		return nil
	}
	rows := [][]string{{"run", "status", "when", "took", "ref", "project"}}
	for _, r := range records {
		took := ""
		if !r.Finished.IsZero() {
			took = termview.Seconds(r.Finished.Sub(r.Started).Seconds())
		}
		rows = append(rows, []string{
			strconv.FormatInt(r.Number, 10), termview.Symbol(r.Status) + " " + string(r.Status),
			r.Started.Local().Format("2006-01-02 15:04"), took,
			strings.TrimSpace(r.Ref + " " + short(r.Commit)), r.Project,
		})
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(e.stdout, line)
	}
	return nil
}

func short(sha string) string { return sha[:min(7, len(sha))] }

func newRunsShowCmd(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show [RUN]",
		Short:   "Show a run's jobs",
		Long:    "Show a run's jobs, with how each ended.\n\nExit codes: 0 good, 1 no such run, 2 usage.",
		Example: "  refline runs show 7",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			_, r, err := readRun(e, args)
			if err != nil {
				return err
			}
			if asJSON {
				return e.printJSON(r)
			}
			fmt.Fprintf(e.stdout, "run %d · %s · %s · %s %s · %s\n", r.Number, r.Project, r.File, r.Ref, short(r.Commit),
				r.Started.Local().Format(time.DateTime))
			var rows [][]string
			for _, j := range r.Jobs {
				remark := strings.ReplaceAll(string(j.Reason), "_", " ")
				if j.ExitCode != 0 {
					remark = fmt.Sprintf("exit %d", j.ExitCode)
				}
				if j.Status == pipeline.StatusFailed && j.AllowFailure {
					remark += ", allowed"
				}
				if j.Artifacts != "" {
					remark = strings.TrimPrefix(remark+", artifacts", ", ")
				}
				rows = append(rows, []string{"  " + termview.Symbol(j.Status), j.Name, j.Stage, string(j.Status), termview.Seconds(j.Seconds), remark})
			}
			for _, line := range termview.Align(rows) {
				fmt.Fprintln(e.stdout, line)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

// readRun reads the run that the first argument names, the last one without.
func readRun(e *env, args []string) (history.Store, *history.Run, error) {
	store, err := openHistory(e)
	if err != nil {
		return store, nil, err
	}
	var n int64
	if len(args) > 0 {
		text, back := strings.CutPrefix(args[0], "~")
		if n, err = strconv.ParseInt(text, 10, 64); err != nil || n < 0 || n == 0 && !back {
			return store, nil, usagef("%q is not a run's number; refline runs lists them", args[0])
		}
		if back {
			n = -n
		}
	}
	r, err := store.Read(n)
	return store, r, err
}

// readRunJob reads the job that [RUN] JOB names: the run may be left out.
func readRunJob(e *env, args []string) (history.Store, *history.Run, *history.Job, error) {
	last := len(args) - 1
	store, r, err := readRun(e, args[:last])
	if err != nil {
		return store, nil, nil, err
	}
	j, err := findJob(r, args[last])
	if _, number := strconv.ParseInt(args[last], 10, 64); err != nil && last == 0 && number == nil {
		err = fmt.Errorf("%w; for run %s name the job after it", err, args[last])
	}
	return store, r, j, err
}

func findJob(r *history.Run, name string) (*history.Job, error) {
	var names []string
	for i := range r.Jobs {
		if r.Jobs[i].Name == name {
			return &r.Jobs[i], nil
		}
		names = append(names, r.Jobs[i].Name)
	}
	return nil, errs.E(errs.NotFound, "run %d has no job %q%s; refline runs show %d lists them", r.Number, name, didYouMean(name, names), r.Number)
}

func newRunsLogCmd(e *env) *cobra.Command {
	var raw, path bool
	cmd := &cobra.Command{
		Use:   "log [RUN] JOB",
		Short: "Print the log of a job",
		Long: `Print the whole log of a job. With --raw the stored bytes, with --path only
where they are.

Exit codes: 0 good, 1 no such run or job, 2 usage.`,
		Example: "  refline runs log 7 'unit: [1.25]'",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			store, r, j, err := readRunJob(e, args)
			if err != nil {
				return err
			}
			if j.Log == "" {
				return errs.E(errs.NotFound, "job %q of run %d was %s and has no log", j.Name, r.Number, j.Status)
			}
			file := filepath.Join(store.Folder(r.Number), j.Log)
			if path {
				fmt.Fprintln(e.stdout, file)
				return nil
			}
			return printLog(e, file, raw)
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "print the stored bytes")
	cmd.Flags().BoolVar(&path, "path", false, "print the log's path")
	return cmd
}

func printLog(e *env, file string, raw bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if raw {
		_, err = io.Copy(e.stdout, f)
		return err
	}
	lines := &termview.LogLines{Plain: !e.color(), Line: func(s string) { fmt.Fprintln(e.stdout, s) }}
	if _, err := io.Copy(lines, f); err != nil {
		return err
	}
	lines.Flush()
	return nil
}

func newRunsArtifactsCmd(e *env) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "artifacts [RUN] JOB",
		Short: "List or copy what a job kept",
		Long: `List the files that a job kept, or copy them into a folder.

Exit codes: 0 good, 1 no such run, job or artifacts, 2 usage.`,
		Example: `  refline runs artifacts 7 build -o out/
  refline runs artifacts build --json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, r, j, err := readRunJob(e, args)
			if err != nil {
				return err
			}
			if j.Artifacts == "" {
				return errs.E(errs.NotFound, "job %q of run %d kept no artifacts", j.Name, r.Number)
			}
			return runArtifacts(cmd.Context(), e, artifact.NewFolder(store.Folder(r.Number)), j.Artifacts, out, asJSON)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "copy the files into this folder")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return cmd
}

func runArtifacts(ctx context.Context, e *env, kept artifact.Store, key, out string, asJSON bool) error {
	files, err := kept.List(ctx, key)
	if err != nil {
		return err
	}
	if out != "" {
		out = e.path(out)
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		into, err := os.OpenRoot(out)
		if err != nil {
			return err
		}
		defer into.Close()
		return kept.Restore(ctx, key, into)
	}
	if asJSON {
		return e.printJSON(append([]workspace.File{}, files...))
	}
	for _, f := range files {
		fmt.Fprintf(e.stdout, "%10d  %s\n", f.Size, f.Path)
	}
	return nil
}

func newRunsRemoveCmd(e *env) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "remove [RUN…]",
		Short:   "Remove runs with their logs and artifacts",
		Long:    "Remove runs with their logs and artifacts. A run that is still running stays.\n\nExit codes: 0 good, 1 a run could not be removed, 2 usage.",
		Example: "  refline runs remove 7 8\n  refline runs remove --all",
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := openHistory(e)
			if err != nil {
				return err
			}
			var numbers []int64
			if all {
				if numbers, err = store.Numbers(); err != nil {
					return err
				}
			} else if len(args) == 0 {
				return usagef("name the runs to remove, or give --all")
			}
			for _, a := range args {
				n, err := strconv.ParseInt(a, 10, 64)
				if err != nil {
					return usagef("%q is not a run's number", a)
				}
				if _, err := os.Stat(store.Folder(n)); err != nil {
					return errs.E(errs.NotFound, "no run %d is kept here; refline runs lists them", n)
				}
				numbers = append(numbers, n)
			}
			for _, n := range numbers {
				if err := store.Remove(n); err != nil {
					return err
				}
			}
			e.notef("%s removed", plural(len(numbers), "run"))
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove every run")
	return cmd
}
