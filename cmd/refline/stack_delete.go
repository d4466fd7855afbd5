package main

import (
	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/stackrun"
)

type stackDeleteOptions struct {
	stackOptions
	retain  []string
	force   bool
	confirm string
}

func newStackDeleteCmd(e *cli.Env) *cobra.Command {
	o := &stackDeleteOptions{}
	cmd := &cobra.Command{
		Use:   "delete STACK…",
		Short: "Delete stacks and what is in them",
		Long: `Delete stacks, those first that depend on others, and show what happens. It asks
for the stack's name in CloudFormation, or takes it from --confirm. It
also removes what was planned but never deployed. A stack that is protected from deletion
needs --force; for one whose deletion failed, --retain leaves resources behind.

Exit codes: 0 deleted or not there, 1 error, 2 usage, 3 a deletion failed, 130 canceled.`,
		Example: `  refline stack delete landing --env dev
  refline stack delete landing --env dev --confirm landing-dev`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("delete wants a STACK; refline stack list shows them")
			}
			return nil
		},
		RunE: o.reached(e, func(p *stackrun.Place) stackrun.Operation {
			return stackrun.Delete(p, stackrun.DeleteOptions{Retain: o.retain, Force: o.force, Confirmed: o.confirm, Jobs: o.jobs})
		}),
	}
	o.bind(cmd)
	o.bindJobs(cmd)
	o.notEmpty(cmd, "confirm")
	f := cmd.Flags()
	f.StringArrayVar(&o.retain, "retain", nil, "id of a resource to leave, if its deletion failed")
	f.BoolVar(&o.force, "force", false, "also if it is protected, and leave what cannot be deleted")
	f.StringVar(&o.confirm, "confirm", "", "names of the stacks in CloudFormation, separated by commas, instead of an answer")
	return cmd
}
