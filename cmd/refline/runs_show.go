package main

import (
	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/runview"
)

func newRunsShowCmd(e *cli.Env) *cobra.Command {
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
				return e.PrintJSON(r)
			}
			runview.Run(e.Stdout, r)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}
