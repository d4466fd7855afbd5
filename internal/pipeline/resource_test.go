package pipeline_test

import (
	"testing"

	"refline/internal/pipeline"
)

func TestGroupHeldByAnotherPipeline(t *testing.T) {
	t.Parallel()
	p := build(pipeline.Job{Name: "a/x", ResourceGroup: "prod"}, pipeline.Job{Name: "a/y", ResourceGroup: "prod"})
	s, _ := play(t, p, pipeline.State{BusyGroups: []string{"prod", "other"}}, "create")
	if got, want := statuses(p, s), "x=waiting_for_resource y=waiting_for_resource → waiting_for_resource"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	s, changes, err := advance(p, s, pipeline.Event{Kind: pipeline.EventRelease, Group: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := statuses(p, s), "x=pending y=waiting_for_resource → running"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(changes) != 1 || len(s.BusyGroups) != 1 || s.BusyGroups[0] != "other" {
		t.Errorf("changes %v, held %v; want one change and other still held", changes, s.BusyGroups)
	}
}

func TestNextClaim(t *testing.T) {
	t.Parallel()
	ready := []pipeline.Claim{
		{Pipeline: 2, Job: "b", Status: pipeline.StatusWaitingForResource},
		{Pipeline: 1, Job: "a", Status: pipeline.StatusWaitingForResource},
		{Pipeline: 3, Job: "c", Status: pipeline.StatusCreated},
		{Pipeline: 3, Job: "d", Status: pipeline.StatusWaitingForResource},
		{Pipeline: 0, Job: "e", Status: pipeline.StatusSuccess},
	}
	oldestNotReady := append([]pipeline.Claim{{Pipeline: 0, Job: "z", Status: pipeline.StatusScheduled}}, ready...)
	newestNotReady := append([]pipeline.Claim{{Pipeline: 9, Job: "z", Status: pipeline.StatusCreated}}, ready...)
	tests := []struct {
		name   string
		mode   pipeline.ResourceMode
		claims []pipeline.Claim
		want   string // "" for none
	}{
		{"unordered takes the first that waits", pipeline.ResourceModeUnordered, newestNotReady, "b"},
		{"no mode is unordered", "", ready, "b"},
		{"oldest first", pipeline.ResourceModeOldestFirst, ready, "a"},
		{"oldest first keeps the group for a job that is not ready", pipeline.ResourceModeOldestFirst, oldestNotReady, ""},
		{"newest first, in it the one that waits", pipeline.ResourceModeNewestFirst, ready, "d"},
		{"newest first keeps the group", pipeline.ResourceModeNewestFirst, newestNotReady, ""},
		{"newest ready first does not", pipeline.ResourceModeNewestReadyFirst, newestNotReady, "d"},
		{"no job waits", pipeline.ResourceModeUnordered, ready[2:3], ""},
		{"no job at all", pipeline.ResourceModeNewestFirst, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := pipeline.NextClaim(tt.mode, tt.claims)
			if got.Job != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got.Job, ok, tt.want)
			}
		})
	}
}
