package main

import (
	"context"
	"slices"

	"refline/internal/stackrun"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

type stackDeployOptions struct {
	stackOptions
	approve  []string
	outdated bool
}

func newStackDeployCmd(e *cli.Env) *cobra.Command {
	o := &stackDeployOptions{}
	cmd := &cobra.Command{
		Use:   "deploy PLANFILE…",
		Short: "Execute exactly the plan that was reviewed",
		Long: `Execute the change sets of plan files, or of all plan files in a folder, and show
what happens. A plan is refused when it was changed, when it is for another
account, region or environment, when its digest is not approved, or when its
change set is gone, obsolete or not of this plan. Ctrl-C stops watching; AWS goes
on, and the command says how to watch it.

Approved are the digests of --approve, else those of the variable
REFLINE_PLAN_DIGEST, which a server sets for a job that was started by "refline runs
play --digest". Without both any plan is.

Exit codes: 0 deployed, 1 error or refused, 2 usage, 3 a deployment failed,
130 canceled.`,
		Example: `  refline stack deploy landing-dev.plan.json
  refline stack deploy landing-prod.plan.json --approve sha256:9c1f0a…
  refline stack deploy plans/prod`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("deploy wants a PLANFILE; refline stack plan makes one")
			}
			return nil
		},
		RunE: o.run(e, func(ctx context.Context, p *stackrun.Place, args []string) error {
			return stackrun.Deploy(ctx, p, o.selection(), args, stackrun.DeployOptions{Approved: o.approve, Outdated: o.outdated, Jobs: o.jobs})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration (default refline.stacks.yml or .jsonnet, here or above)")
	f.StringArrayVar(&o.approve, "approve", nil, "the digest of an approved plan; each plan must have one of these")
	f.BoolVar(&o.outdated, "outdated", false, "deploy a plan of another commit or configuration, or one that a later plan replaced; recorded in the history")
	o.notEmpty(cmd, "config")
	o.checked(cmd, func() error {
		if slices.Contains(o.approve, "") {
			return cli.Usagef("--approve is empty; leave it out, or give it a value")
		}
		return nil
	})
	o.bindJSON(cmd)
	o.bindJobs(cmd)
	return cmd
}

type stackUpOptions struct {
	stackOptions
	planFlags
	yes bool
}

func newStackUpCmd(e *cli.Env) *cobra.Command {
	o := &stackUpOptions{}
	cmd := &cobra.Command{
		Use:   "up [STACK…]",
		Short: "Plan, ask, deploy",
		Long: `Plan each stack, show the plan, ask, and deploy it; one after the other in order
of dependency, so that a stack is planned with the outputs of those before it. In
a protected environment a person must answer: --yes is refused there.

Exit codes: 0 good, 1 error, a refused plan, or no for an answer, 2 usage,
3 a deployment failed, 130 canceled.`,
		Example: `  refline stack up --env dev
  refline stack up landing --env dev --yes`,
		RunE: o.run(e, func(ctx context.Context, p *stackrun.Place, args []string) error {
			return stackrun.Up(ctx, p, o.selection(), args, o.PlanOptions, o.yes)
		}),
	}
	o.stackOptions.bind(cmd)
	o.planFlags.bind(cmd)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}
