package pipelinetest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/pipelinetest"
)

func TestCaseCheck(t *testing.T) {
	t.Parallel()
	p := &pipeline.Pipeline{Stages: []string{"a", "b"}, Jobs: []pipeline.Job{
		{Name: "x", Stage: "a", AllowFailureCodes: []int{3}}, {Name: "y", Stage: "b"},
	}}
	type statuses = map[string]pipeline.Status
	first := pipelinetest.Init{Expect: pipelinetest.Expectation{
		Pipeline: "pending", Stages: statuses{"a": "pending", "b": "created"}, Jobs: statuses{"x": "pending", "y": "created"},
	}}
	tests := []struct {
		name string
		c    pipelinetest.Case
		want []string
	}{
		{
			name: "all as expected",
			c: pipelinetest.Case{Init: first, Transitions: []pipelinetest.Transition{
				{Event: "run", Jobs: []string{"x"}, Expect: pipelinetest.Expectation{Pipeline: "running"}},
				{Event: "drop", Jobs: []string{"x"}, ExitCode: 3, Expect: pipelinetest.Expectation{Jobs: statuses{"x": "failed", "y": "pending"}}},
				{Event: "cancel", Expect: pipelinetest.Expectation{Pipeline: "canceled"}},
			}},
		},
		{
			name: "wrong statuses, missing and unexpected ones",
			c: pipelinetest.Case{Init: first, Transitions: []pipelinetest.Transition{
				{Event: "drop", Jobs: []string{"x"}, Expect: pipelinetest.Expectation{
					Pipeline: "success", Stages: statuses{"a": "failed", "c": "skipped"}, Jobs: statuses{"x": "failed", "y": "pending"},
				}},
			}},
			want: []string{
				"after 1 (drop x): pipeline: want success, got failed",
				"after 1 (drop x): stage b: got skipped, but it is not in the list",
				"after 1 (drop x): stage c: want skipped, but it is not in the pipeline",
				"after 1 (drop x): job y: want pending, got skipped",
			},
		},
		{
			name: "partial",
			c:    pipelinetest.Case{Partial: true, Init: pipelinetest.Init{Expect: pipelinetest.Expectation{Jobs: statuses{"y": "created", "z": "manual"}}}},
			want: []string{"after create: job z: want manual, but it is not in the pipeline"},
		},
		{
			name: "a refused event ends the case",
			c: pipelinetest.Case{Init: first, Transitions: []pipelinetest.Transition{
				{Event: "play", Jobs: []string{"x"}},
				{Event: "explode", Jobs: []string{"x"}},
			}},
			want: []string{`after 1 (play x): event: job "x" is neither manual nor delayed, so it cannot be played`},
		},
		{
			name: "an unknown event",
			c:    pipelinetest.Case{Transitions: []pipelinetest.Transition{{Event: "create"}}},
			want: []string{`after 1 (create): event: "create" is not an event; events are success, drop, run, play, enqueue, cancel, canceled, retry, release`},
		},
		{
			name: "events of one transition happen at once",
			c: pipelinetest.Case{Transitions: []pipelinetest.Transition{
				{Event: "cancel", Jobs: []string{"x", "y"}, Expect: pipelinetest.Expectation{Jobs: statuses{"x": "canceled", "y": "canceled"}}},
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
	broken := pipelinetest.Case{}.Check(&pipeline.Pipeline{Stages: []string{"a"}, Jobs: []pipeline.Job{
		{Name: "x", Stage: "a", DAG: true, Needs: []pipeline.Need{{Job: "nope"}}},
	}})
	if len(broken) != 1 || broken[0].Kind != "event" {
		t.Errorf("a broken pipeline gives %v", broken)
	}
}

func TestParseEvent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"success", "drop", "start", "play", "enqueue", "cancel", "canceled", "retry", "release"} {
		if kind, err := pipelinetest.ParseEvent(name); string(kind) != name || err != nil {
			t.Errorf("%s is %s, %v", name, kind, err)
		}
	}
	if kind, err := pipelinetest.ParseEvent("run"); kind != pipeline.EventStart || err != nil {
		t.Errorf("run is %s, %v", kind, err)
	}
	if _, err := pipelinetest.ParseEvent("create"); !errs.Is(err, errs.Invalid) {
		t.Errorf("create: got %v, want an invalid one", err)
	}
}
