package stackrun

import (
	"context"
	"fmt"
	"time"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stack/planfile"
	"refline/internal/stackview"
)

// write writes a result as JSON, or as text by print.
func (p *Place) write(result any, print func() error) error {
	if p.JSON {
		return p.writeJSON(result)
	}
	return print()
}

// List writes which stacks go to which environments, and what the ref does.
func List(ctx context.Context, p *Place, sel Selection) error {
	w, err := Open(ctx, p, sel)
	if err != nil {
		return err
	}
	list := w.Overview(sel.Env, w.ref())
	ref := ""
	if w.origin.Ref != "" {
		ref = w.ref().String()
	}
	return p.write(list.Environments, func() error { return stackview.Matrix(p.Out, list, ref) })
}

// Graph draws which stacks of an environment depend on which.
func Graph(ctx context.Context, p *Place, sel Selection, format stack.GraphFormat) error {
	w, err := Open(ctx, p, sel)
	if err != nil {
		return err
	}
	if err := oneOf("--format", string(format), string(stack.GraphText), string(stack.GraphDOT), string(stack.GraphMermaid)); err != nil {
		return err
	}
	env, _, err := w.choose(nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(p.Out, w.Graph(env, format))
	return err
}

// Status writes the states of stacks.
func Status(p *Place) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		list, err := s.StatusOf(ctx, targets)
		if err != nil {
			return err
		}
		return p.write(list, func() error { return stackview.Status(p.Out, s.Env.Name, list) })
	}
}

// Events writes the latest events of one stack, at most limit; 0 for all.
func Events(p *Place, limit int) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		events, err := s.Events(ctx, targets[0], limit)
		if err != nil {
			return err
		}
		return p.write(events, func() error { return stackview.Events(p.Out, events) })
	}
}

// Follow shows the operation under way on one stack.
func Follow(p *Place) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		return p.watchOne(targets[0], "is at rest", func(emit func(stack.Progress)) (*stack.Deployment, error) {
			return s.Follow(ctx, targets[0], emit)
		})
	}
}

// Rollback takes one stack back to what it was before its last deployment.
func Rollback(p *Place) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		return p.watchOne(targets[0], "is rolled back", func(emit func(stack.Progress)) (*stack.Deployment, error) {
			return s.Rollback(ctx, targets[0], emit)
		})
	}
}

// Continue continues a rollback that failed. skip are resources to leave.
func Continue(p *Place, skip []string) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		return p.watchOne(targets[0], "is rolled back", func(emit func(stack.Progress)) (*stack.Deployment, error) {
			return s.Continue(ctx, targets[0], skip, emit)
		})
	}
}

// Outputs writes the outputs of one stack, or the value of the one with a key.
func Outputs(p *Place, key string) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		outputs, err := s.Outputs(ctx, targets[0])
		if err != nil {
			return err
		}
		if key == "" {
			return p.write(append([]stack.Output{}, outputs...), func() error { return stackview.Outputs(p.Out, outputs) })
		}
		for _, x := range outputs {
			if x.Key == key {
				fmt.Fprintln(p.Out, x.Value)
				return nil
			}
		}
		return errs.E(errs.NotFound, "stack %s has no output %q", targets[0].StackName, key)
	}
}

// Drift finds what was changed by hand, several stacks at the same time. With
// changes it returns ErrChanges if a stack drifted.
func Drift(p *Place, jobs int, changes bool) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		var turn stackview.Turns
		found := map[string]stack.Drift{}
		outcomes := s.Config.EachAlone(ctx, targets, jobs, func(ctx context.Context, t *stack.Target) error {
			d, err := s.Drift(ctx, t)
			turn.Do(func() { found[t.Name] = d })
			return err
		})
		drifted := false
		for _, out := range outcomes {
			d := found[out.Target.Name]
			if out.Err != nil {
				continue
			}
			drifted = drifted || d.Drifted()
			if p.JSON {
				continue
			}
			if d.Failed != "" {
				p.notef("%s: not every resource could be checked: %s", out.Target.StackName, planfile.Plain(d.Failed))
			}
			stackview.Drift(p.Out, out.Target, d)
		}
		if p.JSON {
			if err := p.writeJSON(found); err != nil {
				return err
			}
		}
		if err := p.outcomes(outcomes); err != nil {
			return err
		}
		return ifChanges(changes && drifted)
	}
}

// Diff compares the templates of the repository with the deployed ones. With
// changes it returns ErrChanges if there are differences.
func Diff(p *Place, changes bool) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		var all []*stack.TemplateDiff
		different := false
		for _, t := range targets {
			d, err := s.Diff(ctx, t)
			if err != nil {
				return err
			}
			all = append(all, d)
			different = different || !d.Same()
			if !p.JSON {
				stackview.Diff(p.Out, d)
			}
		}
		if p.JSON {
			if err := p.writeJSON(all); err != nil {
				return err
			}
		}
		return ifChanges(changes && different)
	}
}

func ifChanges(some bool) error {
	if some {
		return ErrChanges
	}
	return nil
}

// Plans writes the change sets that wait. With prune it deletes those that refline
// made and that are older than an age, or stale.
func Plans(p *Place, prune bool, older time.Duration) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		list, what := s.AllPlans, "waiting"
		if prune {
			what = "deleted"
			list = func(ctx context.Context, targets []*stack.Target) ([]stack.PendingPlan, error) {
				return s.PruneAll(ctx, targets, older)
			}
		}
		all, err := list(ctx, targets)
		if err != nil {
			return err
		}
		return p.write(all, func() error {
			if err := stackview.Plans(p.Out, all); err != nil {
				return err
			}
			p.notef("%s %s", stackview.Count(len(all), "plan"), what)
			return nil
		})
	}
}

// Publish stages templates in the environment's bucket.
func Publish(p *Place) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		all := map[string]*stack.Staged{}
		for _, t := range targets {
			staged, err := s.Publish(ctx, t)
			if err != nil {
				return err
			}
			all[t.Name] = staged
			if !p.JSON {
				stackview.Staged(p.Out, *staged)
			}
		}
		return p.write(all, func() error { return nil })
	}
}

// History writes the records of stacks, newest first, at most limit; 0 for all.
func History(p *Place, limit int) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		records, err := s.Histories(ctx, targets, limit)
		if err != nil {
			return err
		}
		return p.write(records, func() error {
			if len(records) == 0 {
				p.notef("nothing was published or planned yet: refline stack plan --env %s", s.Env.Name)
				return nil
			}
			return stackview.History(p.Out, records)
		})
	}
}
