package main

import (
	"context"

	"refline/internal/stackrun"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

type stackRenderOptions struct {
	stackOptions
	output string
}

func newStackRenderCmd(e *cli.Env) *cobra.Command {
	o := &stackRenderOptions{}
	cmd := &cobra.Command{
		Use:   "render [STACK…]",
		Short: "Write the templates that CloudFormation would get",
		Long: `Render the templates of an environment. With -o each goes to a file of its stack's
name in that folder; without it a single one goes to stdout. No cloud is contacted.

Exit codes: 0 good, 1 a template has an error, 2 usage.`,
		Example: `  refline stack render landing --env dev
  refline stack render --env dev -o rendered`,
		RunE: o.run(e, func(ctx context.Context, p *stackrun.Place, args []string) error {
			return stackrun.Render(ctx, p, o.selection(), args, o.output)
		}),
	}
	o.bind(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "folder to write to")
	return cmd
}
