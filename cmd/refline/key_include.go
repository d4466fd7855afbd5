package main

import (
	"github.com/spf13/cobra"

	"refline/deploy"
	"refline/internal/cli"
)

func newKeyIncludeCmd(e *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "include",
		Short: "Print an include for GitLab CI by which jobs clone and push with a key",
		Long: `Print an include for GitLab CI by which jobs clone, pull and push another repository
or a wiki. In "refline run --deploy-key" the job uses the key and does not hold it.
On GitLab the key is in the variable DEPLOY_KEY: whole, in one line, or in base64,
as a value or as a variable of type file.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline key include > ci/repository.yml",
		Args:    cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := e.Stdout.Write(deploy.Repository)
			return err
		},
	}
}
