package pipeline_test

import (
	"strings"
	"testing"

	"refline/internal/pipeline"
)

func TestRedundant(t *testing.T) {
	t.Parallel()
	jobs := []pipeline.Job{
		{Name: "a/x", Interruptible: true},
		{Name: "a/y", Interruptible: true},
		{Name: "b/deploy"},
		{Name: "b/child", Downstream: &pipeline.Downstream{}},
		{Name: "c/after", Interruptible: true},
		{Name: "c/m", When: pipeline.WhenManual, DAG: true},
	}
	tests := []struct {
		name   string
		mode   string
		events []string
		want   string
	}{
		{"conservative: no job that is not interruptible has started", "", []string{"create", "start x"}, "x y deploy child after"},
		{"conservative: a trigger job does not count", "conservative", []string{"create", "success x", "success y", "start child"}, "deploy child after"},
		{"conservative: such a job runs", "conservative", []string{"create", "success x", "success y", "start deploy"}, ""},
		{"conservative: such a job ended", "conservative", []string{"create", "success x", "success y", "success deploy"}, ""},
		{"conservative: such a job was canceled before its start", "conservative", []string{"create", "success x", "success y", "cancel deploy"}, "child after"},
		{"interruptible: those only", "interruptible", []string{"create", "success x", "start y"}, "y after"},
		{"interruptible: also while another one runs", "interruptible", []string{"create", "success x", "success y", "start deploy"}, "after"},
		{"none", "none", []string{"create"}, ""},
		{"all have ended", "", []string{"create", "drop x", "drop y"}, ""},
		{"already canceling", "", []string{"create", "start x", "cancel"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := build(jobs...)
			p.AutoCancel.OnNewCommit = tt.mode
			s, _ := play(t, p, pipeline.State{}, tt.events...)
			if got := strings.Join(pipeline.Redundant(p, s), " "); got != tt.want {
				t.Errorf("got %q, want %q (%s)", got, tt.want, statuses(p, s))
			}
		})
	}
	waits := build(pipeline.Job{Name: "a/m", When: pipeline.WhenManual}, pipeline.Job{Name: "b/z"})
	s, _ := play(t, waits, pipeline.State{}, "create")
	if got := pipeline.Redundant(waits, s); got != nil {
		t.Errorf("a pipeline that waits for people has %v to cancel", got)
	}
	if got := pipeline.Redundant(build(jobs...), pipeline.State{}); got != nil {
		t.Errorf("a pipeline that does not exist yet has %v to cancel", got)
	}
}
