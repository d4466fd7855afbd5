package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/doctor"
	"refline/internal/termview"
)

func newDoctorCmd(e *cli.Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what runs need on this computer",
		Long: `Check what runs need on this computer: git, shells, OpenSSH, Python, writable
folders and their disk space, how workspaces are made, a container engine and
whether it shares this computer's folders. Each line says what was found; if
something is missing, it says how to get it.

Exit codes: 0 all that is needed is there, 1 something needed is missing, 2 usage.`,
		Example: "  refline doctor",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := doctor.Examine(cmd.Context(), doctor.Options{Getenv: e.Getenv, StateDir: e.StateDir, CacheDir: e.CacheDir})
			if asJSON {
				if err := e.PrintJSON(checks); err != nil {
					return err
				}
			} else {
				printChecks(e, checks)
			}
			for _, c := range checks {
				if c.Needed && !c.OK {
					return cli.ErrShown
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func printChecks(e *cli.Env, checks []doctor.Check) {
	var rows [][]string
	for _, c := range checks {
		mark, text := "✓", c.Found
		if !c.OK {
			mark = "–"
			if c.Needed {
				mark = "✗"
			}
			if text == "" {
				text = "not found"
			}
			if c.Advice != "" {
				text += "; " + c.Advice
			}
		}
		rows = append(rows, []string{mark + " " + c.Name, strings.ReplaceAll(text, "\n", " ")})
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(e.Stdout, line)
	}
}
