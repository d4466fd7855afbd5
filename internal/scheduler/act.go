package scheduler

import (
	"context"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// act is an event that a person asks for.
type act struct {
	run   int64
	event pipeline.Event
}

// Act applies an event that a person asks for: play, cancel, retry. Errors are
// those of [pipeline.Graph.Advance], and NotFound for a run that is not there. A
// run that needs slots to go on waits for them after Act has returned.
func (s *Scheduler) Act(ctx context.Context, run int64, event pipeline.Event) error {
	switch event.Kind {
	case pipeline.EventPlay, pipeline.EventCancel, pipeline.EventRetry:
	default:
		return errs.E(errs.Invalid, "%q cannot be asked for", event.Kind)
	}
	return s.do(ctx, &command{act: &act{run, event}})
}

func (t *turn) takeAct(c *command) {
	r := t.runs[c.act.run]
	if r == nil {
		c.err = errs.E(errs.NotFound, "no run %d", c.act.run)
		return
	}
	ev := c.act.event
	if !r.created() && len(r.Held) == 0 && ev.Kind == pipeline.EventRetry && ev.Job == "" {
		ev = pipeline.Event{Kind: pipeline.EventCreate} // it was skipped before it began
	}
	t.add(r.ID, ev, c)
}

// SetSlot sets how many runs may have a slot at a time (0: any number) and, for a
// resource group, its process mode. What waits for it and has a place now goes on.
func (s *Scheduler) SetSlot(ctx context.Context, slot store.Slot) error {
	if slot.Max < 0 || slot.Name == "" {
		return errs.E(errs.Invalid, "slot %q with %d places: give a name and a number from 0", slot.Name, slot.Max)
	}
	switch pipeline.ResourceMode(slot.Policy) {
	case "", pipeline.ResourceModeUnordered, pipeline.ResourceModeOldestFirst, pipeline.ResourceModeNewestFirst, pipeline.ResourceModeNewestReadyFirst:
	default:
		if p := WhenBusy(slot.Policy); slot.Scope != store.ScopeFlow || p != BusyQueue && p != BusySkip && p != BusyCancelOld {
			return errs.E(errs.Invalid, "slot %q: %q is not a mode", slot.Name, slot.Policy)
		}
	}
	return s.do(ctx, &command{slot: &slot})
}
