package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/stack/awscloud"
	"refline/internal/stackrun"
)

func newStackCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stack",
		Short: "Plan, review and deploy CloudFormation stacks",
		Long: `Work with the CloudFormation stacks of a repository: refline.stacks.yml (or
.jsonnet) names stacks and environments, and the ref chooses the environments.
docs/stacks.md describes it.

Exit codes: those of the subcommands.`,
		Example: `  refline stack list
  refline stack plan landing --env dev
  refline stack deploy landing-dev.plan.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.Usagef("stack has no subcommand %q; see refline stack --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newStackInitCmd(e), newStackListCmd(e), newStackRenderCmd(e), newStackLintCmd(e), newStackValidateCmd(e),
		newStackPublishCmd(e), newStackPlanCmd(e), newStackPlansCmd(e), newStackDeployCmd(e), newStackUpCmd(e),
		newStackStatusCmd(e), newStackEventsCmd(e), newStackOutputsCmd(e), newStackDriftCmd(e), newStackDiffCmd(e),
		newStackDeleteCmd(e), newStackRollbackCmd(e), newStackContinueCmd(e), newStackHistoryCmd(e), newStackGraphCmd(e), newStackSchemaCmd(e),
	)
	return cmd
}

// stackOptions say which configuration and environment are meant.
type stackOptions struct {
	config string
	env    string
	branch string
	tag    string
	json   bool
	jobs   int
}

func (o *stackOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration (default refline.stacks.yml or .jsonnet, here or above)")
	f.StringVarP(&o.env, "env", "e", "", "environment (default the one that the ref chooses)")
	f.StringVar(&o.branch, "branch", "", "pretend to be on this branch")
	f.StringVar(&o.tag, "tag", "", "pretend to be on this tag")
	cmd.MarkFlagsMutuallyExclusive("branch", "tag")
	_ = cmd.MarkFlagFilename("config")
	o.notEmpty(cmd, "config", "env")
}

// checked runs a check of the flags before the command.
func (o *stackOptions) checked(cmd *cobra.Command, check func() error) {
	before := cmd.PreRunE
	cmd.PreRunE = func(c *cobra.Command, args []string) error {
		if before != nil {
			if err := before(c, args); err != nil {
				return err
			}
		}
		return check()
	}
}

// notEmpty refuses flags that are given and empty, as an unset variable makes them:
// they would mean something else.
func (o *stackOptions) notEmpty(cmd *cobra.Command, names ...string) {
	o.checked(cmd, func() error {
		for _, name := range names {
			if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
				return cli.Usagef("--%s is empty; leave it out, or give it a value", name)
			}
		}
		return nil
	})
}

func (o *stackOptions) bindJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
}

func (o *stackOptions) bindJobs(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&o.jobs, "jobs", "j", 4, "how many stacks are worked on at the same time")
	o.checked(cmd, func() error {
		if o.jobs < 1 {
			return cli.Usagef("--jobs is at least 1, got %d", o.jobs)
		}
		return nil
	})
}

func (o *stackOptions) selection() stackrun.Selection {
	return stackrun.Selection{Config: o.config, Env: o.env, Branch: o.branch, Tag: o.tag}
}

// stackPlace is where a command on stacks works.
func stackPlace(e *cli.Env, json bool) *stackrun.Place {
	p := &stackrun.Place{
		Dir: e.Dir, Getenv: e.Getenv, Environ: e.Environ, Now: e.Now, Out: e.Stdout, Notes: e.Notes(), Color: e.Color(), JSON: json,
		Report: e.Report, Open: awscloud.Open,
	}
	if e.Terminal && !e.Quiet {
		p.Screen = e.Stderr
	}
	if e.Interactive {
		p.Ask = func(question string) (string, error) { return e.Ask(e.Stderr, question) }
	}
	e.Source = p.Read
	return p
}

// run is a command on stacks. Ctrl-C ends its context.
func (o *stackOptions) run(e *cli.Env, do func(ctx context.Context, p *stackrun.Place, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := e.Orderly(cmd.Context())
		defer cancel()
		return stackOutcome(do(ctx, stackPlace(e, o.json), args))
	}
}

// stackOutcome is the exit code of a command on stacks, which showed what went wrong.
func stackOutcome(err error) error {
	switch {
	case errors.Is(err, stackrun.ErrFailed):
		return cli.ErrRed
	case errors.Is(err, stackrun.ErrChanges):
		return cli.ErrChanges
	case errors.Is(err, stackrun.ErrRefused):
		return cli.ErrShown
	}
	return err
}

// reached is a command on the stacks of an account.
func (o *stackOptions) reached(e *cli.Env, operation func(*stackrun.Place) stackrun.Operation) func(*cobra.Command, []string) error {
	return o.run(e, func(ctx context.Context, p *stackrun.Place, names []string) error {
		return stackrun.Reach(ctx, p, o.selection(), names, operation(p))
	})
}
