package main

import (
	"context"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/stack"
	"refline/internal/stackrun"
)

func newStackListCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show which stacks go to which environments, and what this ref does",
		Long: `Show the matrix of stacks and environments: the name of each stack in each, the
refs, accounts and regions, and what the current ref does there.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack list
  refline stack list --branch main --json`,
		Args: cli.NoArgs,
		RunE: o.run(e, func(ctx context.Context, p *stackrun.Place, _ []string) error {
			return stackrun.List(ctx, p, o.selection())
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	return cmd
}

func newStackSchemaCmd(e *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of refline.stacks.yml, for editors",
		Long: `Print the JSON Schema of the configuration. Editors take it by a line at the top
of the file: # yaml-language-server: $schema=stacks.schema.json

Exit codes: 0 good, 2 usage.`,
		Example: `  refline stack schema > stacks.schema.json`,
		Args:    cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := e.Stdout.Write(stack.Schema())
			return err
		},
	}
}

func newStackGraphCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	format := ""
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Draw which stacks depend on which",
		Long: `Draw the stacks of an environment in the order of deployment, and by which
outputs they depend on each other.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack graph --env dev
  refline stack graph --env dev --format dot | dot -Tsvg > stacks.svg`,
		Args: cli.NoArgs,
		RunE: o.run(e, func(ctx context.Context, p *stackrun.Place, _ []string) error {
			return stackrun.Graph(ctx, p, o.selection(), stack.GraphFormat(format))
		}),
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text, dot or mermaid")
	return cmd
}
