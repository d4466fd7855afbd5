package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/history"
	"refline/internal/termview"
)

func newRunsShowCmd(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [RUN]",
		Short: "Show a run's jobs and what they reported",
		Long: `Show a run's jobs, how each ended, and what it reported: steps, tables, markdown,
the address of its environment.

Exit codes: 0 good, 1 no such run, 2 usage.`,
		Example: "  refline runs show 7\n  refline runs show 7 --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, r, err := readRun(cmd.Context(), e, args)
			if err != nil {
				return err
			}
			store.ReadSteps(r)
			if asJSON {
				return e.printJSON(r)
			}
			showRun(e, r)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func showRun(e *env, r *history.Run) {
	symbol, word := r.Outcome()
	fmt.Fprintf(e.stdout, "run %d · %s %s · %s · %s · %s · %s\n", r.Number, termview.Symbol(symbol), word, termview.Plain(r.Project), termview.Plain(r.File), termview.Plain(refOf(r)),
		r.Started.Local().Format(time.DateTime))
	if r.Title != "" {
		fmt.Fprintf(e.stdout, "  name: %s\n", termview.Plain(r.Title))
	}
	if len(r.Inputs) > 0 {
		var inputs []string
		for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
			inputs = append(inputs, fmt.Sprintf("%s=%v", name, r.Inputs[name]))
		}
		fmt.Fprintf(e.stdout, "  inputs: %s\n", termview.Plain(strings.Join(inputs, ", ")))
	}
	rows := make([][]string, 0, len(r.Jobs))
	for i := range r.Jobs {
		j := &r.Jobs[i]
		rows = append(rows, []string{"  " + termview.Symbol(j.Status), j.Name, j.Stage, string(j.Status), termview.Seconds(j.Seconds), jobRemark(j)})
	}
	lines := termview.Align(rows)
	for i := range r.Jobs {
		fmt.Fprintln(e.stdout, lines[i])
		for _, line := range reported(&r.Jobs[i]) {
			fmt.Fprintln(e.stdout, "      "+termview.Plain(line))
		}
	}
}

// reported are the lines under a job: its environment, steps, tables, markdown.
func reported(j *history.Job) []string {
	var out []string
	if j.Environment != nil {
		out = append(out, strings.TrimSpace("environment "+j.Environment.Name+" "+j.Environment.URL))
	}
	summary, lines := termview.Reported(j.Steps)
	if summary != "" {
		out = append(out, summary)
	}
	return append(out, lines...)
}
