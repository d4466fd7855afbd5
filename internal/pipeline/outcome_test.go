package pipeline

import "testing"

func TestResultOf(t *testing.T) {
	t.Parallel()
	job := func(name string, when When, mayFail bool) Job {
		return Job{Name: name, Stage: "test", When: when, AllowFailure: mayFail, DAG: true}
	}
	play := func(name string) Event { return Event{Kind: EventPlay, Job: name} }
	start := func(name string) Event { return Event{Kind: EventStart, Job: name} }
	end := func(kind EventKind, name string) Event { return Event{Kind: kind, Job: name} }
	for _, c := range []struct {
		name   string
		jobs   []Job
		later  *Job // in a later stage
		events []Event
		status Status
		want   Result
	}{
		{name: "not over", jobs: []Job{job("a", "", false)}, events: []Event{start("a")}, status: StatusRunning, want: ""},
		{name: "green", jobs: []Job{job("a", "", false)}, events: []Event{start("a"), end(EventSucceed, "a")}, status: StatusSuccess, want: ResultSuccess},
		{name: "red", jobs: []Job{job("a", "", false)}, events: []Event{start("a"), end(EventDrop, "a")}, status: StatusFailed, want: ResultFailed},
		{name: "red as it may be", jobs: []Job{job("a", "", true)}, events: []Event{start("a"), end(EventDrop, "a")}, status: StatusSuccess, want: ResultSuccess},
		// A failed job beside a manual one had the status manual and exit code 0.
		{
			name: "red beside a manual job", jobs: []Job{job("a", "", false), job("m", WhenManual, false)},
			events: []Event{start("a"), end(EventDrop, "a")}, status: StatusManual, want: ResultFailed,
		},
		{
			name: "red as it may be beside a manual job", jobs: []Job{job("a", "", true), job("m", WhenManual, false)},
			events: []Event{start("a"), end(EventDrop, "a")}, status: StatusManual, want: ResultWaiting,
		},
		{
			name: "green before a manual job", jobs: []Job{job("a", "", false), job("m", WhenManual, false)},
			events: []Event{start("a"), end(EventSucceed, "a")}, status: StatusManual, want: ResultWaiting,
		},
		{name: "only a manual job", jobs: []Job{job("m", WhenManual, false)}, status: StatusManual, want: ResultWaiting},
		{
			name: "a manual job that holds nothing up", jobs: []Job{job("a", "", false), job("m", WhenManual, true)},
			events: []Event{start("a"), end(EventSucceed, "a")}, status: StatusSuccess, want: ResultSuccess,
		},
		{
			name: "a manual job that was played", jobs: []Job{job("m", WhenManual, false)},
			events: []Event{play("m"), start("m"), end(EventSucceed, "m")}, status: StatusSuccess, want: ResultSuccess,
		},
		{
			name: "stopped", jobs: []Job{job("a", "", false)},
			events: []Event{start("a"), {Kind: EventCancel}, end(EventCanceled, "a")}, status: StatusCanceled, want: ResultCanceled,
		},
		{
			name: "stopped after a failure", jobs: []Job{job("a", "", false), job("b", "", false)},
			events: []Event{start("a"), start("b"), end(EventDrop, "a"), {Kind: EventCancel}, end(EventCanceled, "b")}, status: StatusFailed, want: ResultFailed,
		},
		{name: "delayed: it goes on by itself", jobs: []Job{job("d", WhenDelayed, false)}, status: StatusScheduled, want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, err := NewGraph(&Pipeline{Stages: []string{"test"}, Jobs: c.jobs})
			if err != nil {
				t.Fatal(err)
			}
			var s State
			if got := ResultOf(s); got != "" {
				t.Errorf("before the run: %q", got)
			}
			for _, e := range append([]Event{{Kind: EventCreate}}, c.events...) {
				if s, _, err = g.Advance(s, e); err != nil {
					t.Fatalf("%s %s: %v", e.Kind, e.Job, err)
				}
			}
			if s.Status != c.status {
				t.Errorf("status %s, want %s", s.Status, c.status)
			}
			if got := ResultOf(s); got != c.want {
				t.Errorf("result %q, want %q", got, c.want)
			}
		})
	}
}

// However an attempt ends, its events are ones that the state takes.
func TestEndEvents(t *testing.T) {
	t.Parallel()
	g, err := NewGraph(&Pipeline{Stages: []string{"test"}, Jobs: []Job{{Name: "a", Stage: "test"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		stopped bool
		result  Status
		want    Status
	}{
		{false, StatusSuccess, StatusSuccess}, {false, StatusFailed, StatusFailed}, {false, StatusCanceled, StatusCanceled},
		{true, StatusSuccess, StatusCanceled}, {true, StatusFailed, StatusCanceled}, {true, StatusCanceled, StatusCanceled},
	} {
		events := []Event{{Kind: EventCreate}, {Kind: EventStart, Job: "a"}}
		if c.stopped {
			events = append(events, Event{Kind: EventCancel, Job: "a"})
		}
		var s State
		advance := func(events []Event) {
			for _, e := range events {
				if s, _, err = g.Advance(s, e); err != nil {
					t.Fatalf("%+v: %s: %v", c, e.Kind, err)
				}
			}
		}
		advance(events)
		advance(EndEvents("a", s.Jobs[0], c.result, ReasonScriptFailure, 3))
		if got := s.Jobs[0].Status; got != c.want {
			t.Errorf("%+v: the job is %s", c, got)
		}
		if c.want == StatusFailed && (s.Jobs[0].Reason != ReasonScriptFailure || s.Jobs[0].ExitCode != 3) {
			t.Errorf("%+v: %+v", c, s.Jobs[0])
		}
	}
}
