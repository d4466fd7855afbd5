package pipeline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

func TestCaseCheck(t *testing.T) {
	t.Parallel()
	p := build(pipeline.Job{Name: "a/x", AllowFailureCodes: []int{3}}, pipeline.Job{Name: "b/y"})
	type statuses = map[string]pipeline.Status
	first := pipeline.Init{Expect: pipeline.Expectation{
		Pipeline: "pending", Stages: statuses{"a": "pending", "b": "created"}, Jobs: statuses{"x": "pending", "y": "created"},
	}}
	tests := []struct {
		name string
		c    pipeline.Case
		want []string
	}{
		{
			name: "all as expected",
			c: pipeline.Case{Init: first, Transitions: []pipeline.Transition{
				{Event: "run", Jobs: []string{"x"}, Expect: pipeline.Expectation{Pipeline: "running"}},
				{Event: "drop", Jobs: []string{"x"}, ExitCode: 3, Expect: pipeline.Expectation{Jobs: statuses{"x": "failed", "y": "pending"}}},
				{Event: "cancel", Expect: pipeline.Expectation{Pipeline: "canceled"}},
			}},
		},
		{
			name: "wrong statuses, missing and unexpected ones",
			c: pipeline.Case{Init: first, Transitions: []pipeline.Transition{
				{Event: "drop", Jobs: []string{"x"}, Expect: pipeline.Expectation{
					Pipeline: "success", Stages: statuses{"a": "failed", "c": "skipped"}, Jobs: statuses{"x": "failed", "y": "pending"},
				}},
			}},
			want: []string{
				"after 1 (drop x): pipeline: want success, got failed",
				"after 1 (drop x): stage b: is skipped, but not expected at all",
				"after 1 (drop x): stage c: want skipped, but it is not in the pipeline",
				"after 1 (drop x): job y: want pending, got skipped",
			},
		},
		{
			name: "partial",
			c:    pipeline.Case{Partial: true, Init: pipeline.Init{Expect: pipeline.Expectation{Jobs: statuses{"y": "created", "z": "manual"}}}},
			want: []string{"at first: job z: want manual, but it is not in the pipeline"},
		},
		{
			name: "a refused event ends the case",
			c: pipeline.Case{Init: first, Transitions: []pipeline.Transition{
				{Event: "play", Jobs: []string{"x"}},
				{Event: "explode", Jobs: []string{"x"}},
			}},
			want: []string{`after 1 (play x): event: job "x" is neither manual nor delayed, so it cannot be played`},
		},
		{
			name: "an unknown event",
			c:    pipeline.Case{Transitions: []pipeline.Transition{{Event: "create"}}},
			want: []string{`after 1 (create): event: "create" is not an event; events are success, drop, run, play, enqueue, cancel, canceled, retry, release`},
		},
		{
			name: "events of one transition happen at once",
			c: pipeline.Case{Transitions: []pipeline.Transition{
				{Event: "cancel", Jobs: []string{"x", "y"}, Expect: pipeline.Expectation{Jobs: statuses{"x": "canceled", "y": "canceled"}}},
			}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range tt.c.Check(p) {
				got = append(got, d.String())
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	broken := pipeline.Case{}.Check(build(pipeline.Job{Name: "a/x", Needs: needs("nope")}))
	if len(broken) != 1 || broken[0].Kind != "event" {
		t.Errorf("a broken pipeline gives %v", broken)
	}
}

func TestEventNamed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"success", "drop", "start", "play", "enqueue", "cancel", "canceled", "retry", "release"} {
		if kind, err := pipeline.EventNamed(name); string(kind) != name || err != nil {
			t.Errorf("%s is %s, %v", name, kind, err)
		}
	}
	if kind, err := pipeline.EventNamed("run"); kind != pipeline.EventStart || err != nil {
		t.Errorf("run is %s, %v", kind, err)
	}
	if _, err := pipeline.EventNamed("create"); !errs.Is(err, errs.Invalid) {
		t.Errorf("create: got %v, want an invalid one", err)
	}
}
