package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stack/awscloud"
	"refline/internal/stack/planfile"
	"refline/internal/stackview"
)

func deployedWords() stackview.Words {
	return stackview.Words{Done: "is deployed", Nothing: "nothing to do, the plan has no changes"}
}

type stackDeployOptions struct {
	stackOptions
	approve  string
	outdated bool
}

func newStackDeployCmd(e *env) *cobra.Command {
	o := &stackDeployOptions{}
	cmd := &cobra.Command{
		Use:   "deploy PLANFILE…",
		Short: "Execute exactly the plan that was reviewed",
		Long: `Execute the change sets of plan files, or of all plan files in a folder, and show
what happens. A plan is refused when it was changed, when it is for another
account, region or environment, when --approve names another digest, or when its
change set is gone, obsolete or not of this plan. Ctrl-C stops watching; AWS goes
on, and the command says how to watch it.

Exit codes: 0 deployed, 1 error or refused, 2 usage, 3 a deployment failed,
130 canceled.`,
		Example: `  refline stack deploy landing-dev.plan.json
  refline stack deploy landing-prod.plan.json --approve sha256:9c1f0a…
  refline stack deploy plans/prod`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("deploy wants a PLANFILE; refline stack plan makes one")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runStackDeploy(cmd.Context(), e, o, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration (default refline.stacks.yml or .jsonnet, here or above)")
	f.StringVar(&o.approve, "approve", "", "the digest that was approved; the plan must have it")
	f.BoolVar(&o.outdated, "outdated", false, "deploy a plan of another commit or configuration, or one that a later plan replaced; recorded in the history")
	o.notEmpty(cmd, "config", "approve")
	o.bindJSON(cmd)
	o.bindJobs(cmd)
	return cmd
}

func runStackDeploy(ctx context.Context, e *env, o *stackDeployOptions, args []string) error {
	ctx, cancel := e.orderly(ctx)
	defer cancel()
	plans, err := stack.ReadPlans(e.dir, args, func(path string) ([]byte, error) { return readFrom(e.dir, path) })
	if err != nil {
		return err
	}
	if o.approve != "" && len(plans) > 1 {
		return usagef("--approve is for one plan, not for %d", len(plans))
	}
	w, err := o.load(ctx, e)
	var config *stack.Config
	switch {
	case err == nil:
		config = w.Config
	case o.config == "" && errs.Is(err, errs.NotFound):
		w = &stackWork{e: e} // a plan says all that its deployment needs
	default:
		return err
	}
	s, err := w.sessionOf(ctx, config, plans)
	if err != nil {
		return err
	}
	targets := s.TargetsOf(plans)
	run := newStackRun(e, len(plans) > 1)
	run.quiet = o.json
	results := make([]*stack.Deployment, len(plans))
	outcomes := s.Config.Each(ctx, targets, o.jobs, func(ctx context.Context, t *stack.Target) error {
		i := slices.Index(targets, t)
		return run.watch(t, deployedWords(), func(emit func(stack.Progress)) (*stack.Deployment, error) {
			var err error
			results[i], err = s.Deploy(ctx, plans[i], stack.DeployOptions{Approved: o.approve, Outdated: o.outdated, Emit: emit})
			return results[i], err
		})
	})
	if o.json {
		if err := e.printJSON(results); err != nil {
			return err
		}
	}
	return e.outcomes(outcomes)
}

// sessionOf connects to the environment that the plans are for.
func (w *stackWork) sessionOf(ctx context.Context, config *stack.Config, plans []*planfile.Plan) (*stack.Session, error) {
	config, env, err := stack.EnvironmentOf(config, plans[0])
	if err != nil {
		return nil, err
	}
	return stack.Connect(ctx, awscloud.Open, config, env, w.deps())
}

type stackUpOptions struct {
	stackOptions
	planFlags
	yes bool
}

func newStackUpCmd(e *env) *cobra.Command {
	o := &stackUpOptions{}
	cmd := &cobra.Command{
		Use:   "up [STACK…]",
		Short: "Plan, ask, deploy",
		Long: `Plan each stack, show the plan, ask, and deploy it; one after the other in order
of dependency, so that a stack is planned with the outputs of those before it. In
a protected environment somebody must answer: --yes is refused there.

Exit codes: 0 good, 1 error, a refused plan, or no for an answer, 2 usage,
3 a deployment failed, 130 canceled.`,
		Example: `  refline stack up --env dev
  refline stack up landing --env dev --yes`,
		RunE: func(cmd *cobra.Command, args []string) error { return runStackUp(cmd.Context(), e, o, args) },
	}
	o.stackOptions.bind(cmd)
	o.planFlags.bind(cmd)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func runStackUp(ctx context.Context, e *env, o *stackUpOptions, names []string) error {
	ctx, cancel := e.orderly(ctx)
	defer cancel()
	w, err := o.load(ctx, e)
	if err != nil {
		return err
	}
	env, targets, err := w.choose(&o.stackOptions, names)
	if err != nil {
		return err
	}
	if env.Protected && o.yes {
		return usagef("environment %s is protected: plan, have it reviewed, then refline stack deploy PLANFILE", env.Name)
	}
	if !o.yes && !e.interactive {
		return usagef("up asks before it deploys, and nobody is here to answer; give --yes, or use refline stack plan and deploy")
	}
	s, po, err := o.reachToPlan(ctx, w, env, targets, &o.planFlags)
	if err != nil {
		return err
	}
	if len(targets) > 1 {
		var order []string
		for _, t := range targets {
			order = append(order, t.StackName)
		}
		e.notef("%d stacks, in this order: %s", len(order), strings.Join(order, ", "))
	}
	run := newStackRun(e, false)
	outcomes := s.Config.Each(ctx, targets, 1, func(ctx context.Context, t *stack.Target) error {
		return run.watch(t, deployedWords(), func(emit func(stack.Progress)) (*stack.Deployment, error) {
			p, d, err := s.Up(ctx, t, po, func(p *planfile.Plan) (bool, error) { return o.ask(e, p) }, emit)
			if p != nil && p.Empty {
				fmt.Fprintf(e.stdout, "%s: no changes\n", p.StackName)
			}
			return d, err
		})
	})
	return e.outcomes(outcomes)
}

var errNo = errors.New("not deployed: the answer was no")

func (o *stackUpOptions) ask(e *env, p *planfile.Plan) (bool, error) {
	if err := stack.WriteText(e.stdout, p, stack.TextOptions{Color: e.color()}); err != nil {
		return false, err
	}
	if len(p.Refusals) > 0 {
		return false, errShown
	}
	if o.yes {
		return true, nil
	}
	yes, err := e.askYes(e.stderr, fmt.Sprintf("deploy this to %s in account %s? [yes/no] ", p.Environment, p.Account))
	switch {
	case errors.Is(err, context.Canceled):
		return false, err
	case err != nil || !yes:
		return false, errNo
	}
	return true, nil
}
