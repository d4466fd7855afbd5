package stackrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stack/planfile"
	"refline/internal/stackview"
)

func deployedWords() stackview.Words {
	return stackview.Words{Done: "is deployed", Nothing: "nothing to do, the plan has no changes"}
}

// DeployOptions say how plans are deployed.
type DeployOptions struct {
	Approved []string // each plan must have one of these digests; nil for any
	Outdated bool     // also a plan of another commit or configuration, or one that was replaced
	Jobs     int
}

// approved returns the digest that each plan must have. All plans are looked at
// before the first is deployed. One without changes needs no approval. Without
// digests, those count that a server passes to a job.
func (o DeployOptions) approved(p *Place, plans []*planfile.Plan) ([]string, error) {
	digests := o.Approved
	if len(digests) == 0 {
		digests = strings.Fields(p.Getenv(planfile.ApprovedVariable))
	}
	out := make([]string, len(plans))
	if len(digests) == 0 {
		return out, nil
	}
	short := make([]string, len(digests))
	for i, d := range digests {
		short[i] = planfile.Short(d)
	}
	for i, plan := range plans {
		switch {
		case slices.Contains(digests, plan.Digest):
			out[i] = plan.Digest
		case plan.HasChanges():
			return nil, errs.E(errs.Conflict, "the plan of %s is %s, which is not approved: approved is %s; nothing was done", plan.StackName, planfile.Short(plan.Digest), strings.Join(short, ", "))
		}
	}
	return out, nil
}

// Deploy executes the change sets of plan files, or of all plan files in a folder.
func Deploy(ctx context.Context, p *Place, sel Selection, files []string, o DeployOptions) error {
	plans, err := stack.ReadPlans(p.Dir, files, p.Read)
	if err != nil {
		return err
	}
	approved, err := o.approved(p, plans)
	if err != nil {
		return err
	}
	w, err := Open(ctx, p, sel)
	var config *stack.Config
	switch {
	case err == nil:
		config = w.Config
	case sel.Config == "" && errs.Is(err, errs.NotFound):
		w = &Work{place: p} // a plan has all that its deployment needs
	default:
		return err
	}
	s, err := w.sessionOf(ctx, config, plans)
	if err != nil {
		return err
	}
	targets := s.TargetsOf(plans)
	run := &operations{place: p, named: len(plans) > 1, quiet: p.JSON}
	results := make([]*stack.Deployment, len(plans))
	outcomes := s.Config.Each(ctx, targets, o.Jobs, func(ctx context.Context, t *stack.Target) error {
		i := slices.Index(targets, t)
		return run.watch(t, deployedWords(), func(emit func(stack.Progress)) (*stack.Deployment, error) {
			var err error
			results[i], err = s.Deploy(ctx, plans[i], stack.DeployOptions{Approved: approved[i], Outdated: o.Outdated, Emit: emit})
			return results[i], err
		})
	})
	if p.JSON {
		if err := p.writeJSON(results); err != nil {
			return err
		}
	}
	return p.outcomes(outcomes)
}

// sessionOf connects to the environment that the plans are for.
func (w *Work) sessionOf(ctx context.Context, config *stack.Config, plans []*planfile.Plan) (*stack.Session, error) {
	config, env, err := stack.EnvironmentOf(config, plans[0])
	if err != nil {
		return nil, err
	}
	return stack.Connect(ctx, w.place.Open, config, env, w.deps())
}

// Up plans each stack, asks, and deploys it, in order of dependency. With yes it
// does not ask, which a protected environment refuses.
func Up(ctx context.Context, p *Place, sel Selection, names []string, o PlanOptions, yes bool) error {
	w, err := Open(ctx, p, sel)
	if err != nil {
		return err
	}
	env, targets, err := w.choose(names)
	if err != nil {
		return err
	}
	if env.Protected && yes {
		return errs.Usage("environment %s is protected: plan, have it reviewed, then refline stack deploy PLANFILE", env.Name)
	}
	if !yes && p.Ask == nil {
		return errs.Usage("up asks before it deploys, and there is no terminal to ask on; give --yes, or use refline stack plan and deploy")
	}
	s, po, err := w.reachToPlan(ctx, env, targets, o)
	if err != nil {
		return err
	}
	if len(targets) > 1 {
		p.notef("%d stacks, in this order: %s", len(targets), strings.Join(stackNames(targets), ", "))
	}
	run := &operations{place: p}
	outcomes := s.Config.Each(ctx, targets, 1, func(ctx context.Context, t *stack.Target) error {
		return run.watch(t, deployedWords(), func(emit func(stack.Progress)) (*stack.Deployment, error) {
			plan, d, err := s.Up(ctx, t, po, func(plan *planfile.Plan) (bool, error) { return p.approve(plan, yes) }, emit)
			if plan != nil && plan.Empty {
				fmt.Fprintf(p.Out, "%s: no changes\n", plan.StackName)
			}
			return d, err
		})
	})
	return p.outcomes(outcomes)
}

// approve shows a plan and asks whether to deploy it.
func (p *Place) approve(plan *planfile.Plan, yes bool) (bool, error) {
	if err := stack.WriteText(p.Out, plan, stack.TextOptions{Color: p.Color}); err != nil {
		return false, err
	}
	if len(plan.Refusals) > 0 {
		return false, ErrRefused
	}
	if yes {
		return true, nil
	}
	yes, err := p.yes(fmt.Sprintf("deploy this to %s in account %s? [yes/no] ", plan.Environment, plan.Account))
	switch {
	case errors.Is(err, context.Canceled):
		return false, err
	case err != nil || !yes:
		return false, errs.E(errs.Conflict, "not deployed: the answer was no")
	}
	return true, nil
}

// stackNames are the names in CloudFormation.
func stackNames(targets []*stack.Target) []string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.StackName
	}
	return names
}
