package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

func newVersionCmd(e *cli.Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  refline version",
		Long:    "Print the version of this program.\n\nExit codes: 0 good, 2 usage.",
		Args:    cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return e.PrintJSON(map[string]string{
					"version": cli.Version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
				})
			}
			_, err := fmt.Fprintf(e.Stdout, "refline %s (%s/%s, %s)\n", cli.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}
