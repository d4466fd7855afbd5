package pipeline

import "testing"

func TestSkipCauses(t *testing.T) {
	t.Parallel()
	p := &Pipeline{
		Stages: []string{"a", "b"},
		Jobs: []Job{
			{Name: "one", Stage: "a"}, {Name: "two", Stage: "a"},
			{Name: "staged", Stage: "b"},
			{Name: "needing", Stage: "b", DAG: true, Needs: []Need{{Job: "two"}, {Job: "far", Project: "x/y"}}},
			{Name: "cleanup", Stage: "b", When: WhenOnFailure},
		},
	}
	state := func(one, two JobState) State {
		return State{Jobs: []JobState{one, two, {Status: StatusSkipped}, {Status: StatusSkipped}, {Status: StatusSkipped}}}
	}
	ok := JobState{Status: StatusSuccess}
	for _, c := range []struct {
		name  string
		state State
		job   int
		want  string
	}{
		{"a failure in an earlier stage", state(JobState{Status: StatusFailed}, ok), 2, "one failed"},
		{"an allowed failure is not a cause", state(JobState{Status: StatusFailed, AllowFailure: true}, ok), 2, ""},
		{"a need that was skipped", state(ok, JobState{Status: StatusSkipped}), 3, "two was skipped"},
		{"what is not needed does not matter", state(JobState{Status: StatusFailed}, ok), 3, ""},
		{"a need that was not played", state(ok, JobState{Status: StatusManual, AllowFailure: true}), 3, "two was not played"},
		{"canceled", state(JobState{Status: StatusCanceled}, ok), 2, "one was canceled"},
		{"a need of a failed job's stage", state(ok, JobState{Status: StatusFailed}), 3, "two failed"},
		{"a job that was not skipped", state(JobState{Status: StatusFailed}, ok), 1, ""},
		{"the first cause", state(JobState{Status: StatusCanceled}, JobState{Status: StatusFailed}), 2, "one was canceled"},
		{"on_failure without a failure", state(ok, ok), 4, "no earlier job failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := SkipCauses(p, c.state)[c.job]; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
