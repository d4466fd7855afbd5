package main

import (
	"path/filepath"

	"refline/internal/stackrun"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

func newStackInitCmd(e *cli.Env) *cobra.Command {
	o := stackrun.InitOptions{}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write the pipeline that checks, publishes, plans and deploys the stacks",
		Long: `Write the jobs for the stacks and environments of the configuration as an include
that works in GitLab CI and in refline run: render and check on every ref, publish
and plan where the ref has an environment, deploy by hand with the plan file and
nothing else. Without a configuration one to begin with is written, and without a
.gitlab-ci.yml one that includes the jobs.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack init
  refline stack init --image registry.example.com/refline:1 --force`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return stackrun.Init(cmd.Context(), stackPlace(e, false), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Config, "config", "", "configuration (default refline.stacks.yml or .jsonnet, here or above)")
	f.StringVarP(&o.Output, "output", "o", filepath.Join(".gitlab", "stacks.yml"), "file for the jobs, in the repository")
	f.StringVar(&o.Image, "image", "", "image that the jobs run in; it must have refline")
	f.BoolVar(&o.Force, "force", false, "write over the file of jobs")
	return cmd
}
