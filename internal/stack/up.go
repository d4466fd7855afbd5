package stack

import (
	"context"

	"refline/internal/stack/planfile"
)

// Up plans, asks and deploys. ask gets the plan and returns whether to go on; it
// is not asked about an empty plan. A protected environment takes reviewed
// plan files only, unless ask is a person: that is for the caller to decide.
// The deployment is nil when there was nothing to do or ask said no.
func (s *Session) Up(ctx context.Context, t *Target, o PlanOptions, ask func(*planfile.Plan) (bool, error), emit func(Progress)) (*planfile.Plan, *Deployment, error) {
	p, err := s.Plan(ctx, t, o)
	if err != nil {
		return p, nil, err
	}
	if p.Empty {
		return p, nil, s.settle(ctx, p)
	}
	yes, err := ask(p)
	if err != nil || !yes {
		return p, nil, err
	}
	d, err := s.Deploy(ctx, p, DeployOptions{Emit: emit})
	return p, d, err
}
