package web

import (
	"testing"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// What differs comes first; a job that only one run has is shown, and a change of time
// only when it is one.
func TestCompareJobs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	job := func(name string, status pipeline.Status, took time.Duration) api.Job {
		return api.Job{Name: name, Status: status, Started: at, Finished: at.Add(took)}
	}
	a := api.RunDetail{Run: api.Run{ID: 1, Jobs: []api.Job{job("lint", "success", time.Second), job("load", "success", time.Minute), job("old", "success", time.Second), job("slow", "success", 10*time.Second)}}}
	b := api.RunDetail{Run: api.Run{ID: 2, Jobs: []api.Job{job("lint", "success", 1100*time.Millisecond), job("load", "failed", time.Minute), job("new", "success", time.Second), job("slow", "success", 3*time.Minute)}}}
	var d compareData
	tasks := func(states ...pipeline.TaskState) map[string]api.Tasks {
		var t api.Tasks
		for i, name := range []string{"extract", "copy", "copy"} {
			t.Tasks = append(t.Tasks, pipeline.Task{Name: name, State: states[i]})
		}
		return map[string]api.Tasks{"load": t}
	}
	d.compareJobs(a, b, tasks("success", "success", "success"), tasks("success", "failed", "success"))
	var got []string
	for _, j := range d.Jobs {
		got = append(got, j.Name+" "+j.LookA+" "+j.LookB+" "+j.Change)
	}
	want := []string{"load success failed ", "old success  ", "new  success ", "lint success success ", "slow success success 2 min 50 s longer"}
	if len(got) != len(want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("job %d is %q, want %q", i, got[i], want[i])
		}
	}
	if steps := d.Jobs[0].Steps; len(steps) != 1 || steps[0] != (compareStep{"copy", "success", "failed"}) {
		t.Errorf("steps of load: %+v", steps)
	}
}

// Only the pages of hosts that are known are linked, and only by https.
func TestCommitsBetween(t *testing.T) {
	t.Parallel()
	for repository, want := range map[string]string{
		"https://gitlab.example.com/data/flows.git": "https://gitlab.example.com/data/flows/-/compare/a...b",
		"https://github.com/data/flows":             "https://github.com/data/flows/compare/a...b",
		"https://git.example.com/data/flows.git":    "", "git@gitlab.example.com:data/flows.git": "", "file:///srv/flows": "", "javascript:alert(1)": "",
		"https://user:secret@gitlab.example.com/x": "https://gitlab.example.com/x/-/compare/a...b",
	} {
		if got := commitsBetween(repository, "a", "b"); got != want {
			t.Errorf("%s: %q, want %q", repository, got, want)
		}
	}
}
