package stack

import (
	"context"
	"errors"
	"slices"
	"sync"

	"refline/internal/stack/planfile"
)

// PlanAll plans targets, at most workers at a time. A stack that takes an output
// of one that does not have it yet is left for later in the review, which is not
// a failure.
func (s *Session) PlanAll(ctx context.Context, targets []*Target, workers int, o PlanOptions) (*Review, []Outcome) {
	var mu sync.Mutex
	plans := map[string]*planfile.Plan{}
	outcomes := s.Config.EachAlone(ctx, targets, workers, func(ctx context.Context, t *Target) error {
		p, err := s.Plan(ctx, t, o)
		mu.Lock()
		defer mu.Unlock()
		plans[t.Name] = p
		return err
	})
	r := &Review{}
	for i, out := range outcomes {
		var notYet *NotYetError
		if errors.As(out.Err, &notYet) && slices.ContainsFunc(targets, func(t *Target) bool { return t.Name == notYet.Output.Stack }) {
			r.Waits(out.Target, notYet)
			outcomes[i].Err = nil
		} else if out.Err == nil {
			r.Plans = append(r.Plans, plans[out.Target.Name])
		}
	}
	r.Compare(s.Config, targets)
	return r, outcomes
}

// AddTemplates adds the templates of the planned targets for the page. A template
// that cannot be compared is reported, and the page does without it.
func (r *Review) AddTemplates(ctx context.Context, s *Session, targets []*Target) {
	for _, t := range targets {
		if !slices.ContainsFunc(r.Plans, func(p *planfile.Plan) bool { return p.Stack == t.Name }) {
			continue
		}
		if err := r.AddTemplate(ctx, s, t); err != nil {
			s.Notef("%s: the page lacks the template: %v", t.StackName, err)
		}
	}
}

// TargetsOf returns each plan's stack as the configuration has it, or as much of it
// as the plan says.
func (s *Session) TargetsOf(plans []*planfile.Plan) []*Target {
	var out []*Target
	for _, p := range plans {
		if d, ok := s.Config.Stack(p.Stack); ok {
			out = append(out, s.Config.Target(d, s.Env))
			continue
		}
		out = append(out, &Target{Definition: &Definition{Name: p.Stack}, Env: s.Env, StackName: p.StackName})
	}
	return out
}
