package pipeline

import (
	"testing"

	"refline/internal/errs"
)

// TestWait: a trigger job that mirrors a waiting pipeline becomes manual, blocks
// what comes after, and can go on.
func TestWait(t *testing.T) {
	t.Parallel()
	p := &Pipeline{Stages: []string{"a", "b"}, Jobs: []Job{
		{Name: "t", Stage: "a", When: WhenOnSuccess, Downstream: &Downstream{Strategy: "mirror"}},
		{Name: "after", Stage: "b", When: WhenOnSuccess},
	}}
	g, err := NewGraph(p)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := g.Advance(State{}, Event{Kind: EventCreate})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.Advance(s, Event{Kind: EventWait, Job: "t"}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a pending job waits: %v", err)
	}
	s, changes, err := g.Advance(s, Event{Kind: EventStart, Job: "t"}, Event{Kind: EventWait, Job: "t"})
	if err != nil || s.Jobs[0].Status != StatusManual || s.Jobs[1].Status != StatusCreated || s.Status != StatusManual || len(changes) != 1 {
		t.Errorf("got %+v, %v, %v", s, changes, err)
	}
	s, _, err = g.Advance(s, Event{Kind: EventEnqueue, Job: "t"}, Event{Kind: EventStart, Job: "t"}, Event{Kind: EventSucceed, Job: "t"})
	if err != nil || s.Jobs[0].Status != StatusSuccess || s.Jobs[1].Status != StatusPending {
		t.Errorf("it does not go on: %+v, %v", s, err)
	}
}

// TestResume: a trigger job goes on when the pipeline that it started does, with
// the jobs after it that were skipped.
func TestResume(t *testing.T) {
	t.Parallel()
	p := &Pipeline{Stages: []string{"a", "b"}, Jobs: []Job{
		{Name: "t", Stage: "a", When: WhenOnSuccess, Downstream: &Downstream{Strategy: "depend"}},
		{Name: "after", Stage: "b", When: WhenOnSuccess},
	}}
	g, err := NewGraph(p)
	if err != nil {
		t.Fatal(err)
	}
	var s State
	for _, kind := range []EventKind{EventCreate, EventStart, EventDrop} {
		if s, _, err = g.Advance(s, Event{Kind: kind, Job: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	if s.Jobs[1].Status != StatusSkipped {
		t.Fatalf("got %+v, want after skipped", s)
	}
	s, _, err = g.Advance(s, Event{Kind: EventResume, Job: "t"})
	if err != nil || s.Jobs[0].Status != StatusPending || s.Jobs[0].Attempt != 1 || s.Jobs[1].Status != StatusCreated {
		t.Errorf("got %+v, %v; want t pending in attempt 1, after created", s, err)
	}
	if _, _, err := g.Advance(s, Event{Kind: EventResume, Job: "t"}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a pending job was resumed: %v", err)
	}
	if _, _, err := g.Advance(s, Event{Kind: EventResume, Job: "after"}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a job that starts no pipeline was resumed: %v", err)
	}
}
