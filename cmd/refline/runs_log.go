package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"refline/internal/artifact"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/runview"
	"refline/internal/termview"
	"refline/internal/workspace"
)

func newRunsLogCmd(e *cli.Env) *cobra.Command {
	var raw, path bool
	cmd := &cobra.Command{
		Use:   "log [RUN] [JOB]",
		Short: "Print the log of a job",
		Long: `Print the whole log of a job. JOB may be left out if the run has only one, and may
be the name of a parallel job without its variables: then all its logs come.
Without RUN it is the last run of this project. With --raw the stored bytes, with
--path only where they are.

Exit codes: 0 good, 1 no such run or job, 2 usage.`,
		Example: "  refline runs log 7 'unit: [1.25]'\n  refline runs log build",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRunsLog(cmd.Context(), e, args, raw, path)
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "print the stored bytes")
	cmd.Flags().BoolVar(&path, "path", false, "print the log's path")
	return cmd
}

// newLogsCmd is the name of refline runs log that people guess.
func newLogsCmd(e *cli.Env) *cobra.Command {
	cmd := newRunsLogCmd(e)
	cmd.Use, cmd.Hidden = "logs [RUN] [JOB]", true
	return cmd
}

func runRunsLog(ctx context.Context, e *cli.Env, args []string, raw, path bool) error {
	store, r, jobs, err := readRunJobs(ctx, e, args)
	if err != nil {
		return err
	}
	for i, j := range jobs {
		if j.Log == "" {
			return errs.E(errs.NotFound, "job %q of run %d has no log: %s", j.Name, r.Number, termview.StatusWord(j.Status))
		}
		file := filepath.Join(store.Folder(r.Number), j.Log)
		if path {
			fmt.Fprintln(e.Stdout, file)
			continue
		}
		if len(jobs) > 1 && !raw {
			if i > 0 {
				fmt.Fprintln(e.Stdout)
			}
			fmt.Fprintf(e.Stdout, "%s\n", termview.Plain(j.Name))
		}
		if err := runview.Log(e.Stdout, file, raw, e.Color()); err != nil {
			return err
		}
	}
	return nil
}

func newRunsArtifactsCmd(e *cli.Env) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "artifacts [RUN] [JOB]",
		Short: "List or copy what a job kept",
		Long: `List the files that a job kept, or copy them into a folder. RUN and JOB are as for
refline runs log.

Exit codes: 0 good, 1 no such run, job or artifacts, 2 usage.`,
		Example: `  refline runs artifacts 7 build -o out/
  refline runs artifacts build --json`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, r, jobs, err := readRunJobs(cmd.Context(), e, args)
			if err != nil {
				return err
			}
			if len(jobs) > 1 {
				names := make([]string, len(jobs))
				for i, j := range jobs {
					names[i] = j.Name
				}
				return cli.Usagef("run %d has %d such jobs; name one of them: %s", r.Number, len(jobs), termview.Names(names))
			}
			if jobs[0].Artifacts == "" {
				return errs.E(errs.NotFound, "job %q of run %d kept no artifacts", jobs[0].Name, r.Number)
			}
			return runArtifacts(cmd.Context(), e, artifact.NewFolder(store.Folder(r.Number)), jobs[0].Artifacts, out, asJSON)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "copy the files into this folder")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return cmd
}

func runArtifacts(ctx context.Context, e *cli.Env, kept artifact.Store, key, out string, asJSON bool) error {
	files, err := kept.List(ctx, key)
	if err != nil {
		return err
	}
	if out != "" {
		out = e.Path(out)
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
		return e.PrintJSON(append([]workspace.File{}, files...))
	}
	for _, f := range files {
		fmt.Fprintf(e.Stdout, "%10d  %s\n", f.Size, termview.Plain(f.Path))
	}
	return nil
}
