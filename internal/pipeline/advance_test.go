package pipeline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// build returns a pipeline of jobs named "stage/name", in the order given.
func build(jobs ...pipeline.Job) *pipeline.Pipeline {
	p := &pipeline.Pipeline{}
	for _, j := range jobs {
		j.Stage, j.Name, _ = strings.Cut(j.Name, "/")
		if len(j.Needs) > 0 {
			j.DAG = true
		}
		if len(p.Stages) == 0 || p.Stages[len(p.Stages)-1] != j.Stage {
			p.Stages = append(p.Stages, j.Stage)
		}
		p.Jobs = append(p.Jobs, j)
	}
	return p
}

func needs(names ...string) []pipeline.Need {
	var list []pipeline.Need
	for _, n := range names {
		list = append(list, pipeline.Need{Job: n})
	}
	return list
}

// advance prepares p and applies events at once.
func advance(p *pipeline.Pipeline, s pipeline.State, events ...pipeline.Event) (pipeline.State, []pipeline.Change, error) {
	g, err := pipeline.NewGraph(p)
	if err != nil {
		return s, nil, err
	}
	return g.Advance(s, events...)
}

// play applies events written as "kind job", one after the other. It returns the
// last state and the changes of the last event.
func play(t *testing.T, p *pipeline.Pipeline, s pipeline.State, events ...string) (pipeline.State, []pipeline.Change) {
	t.Helper()
	var changes []pipeline.Change
	for _, text := range events {
		kind, job, _ := strings.Cut(text, " ")
		var err error
		s, changes, err = advance(p, s, pipeline.Event{Kind: pipeline.EventKind(kind), Job: job})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return s, changes
}

// statuses returns "name=status" for every job, then the pipeline's status.
func statuses(p *pipeline.Pipeline, s pipeline.State) string {
	var parts []string
	for i, j := range p.Jobs {
		parts = append(parts, j.Name+"="+string(s.Jobs[i].Status))
	}
	return strings.Join(parts, " ") + " → " + string(s.Status)
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	type job = pipeline.Job
	retry := func(max int, when ...string) pipeline.Retry { return pipeline.Retry{Max: max, When: when} }
	tests := []struct {
		name   string
		jobs   []job
		cancel string // auto_cancel:on_job_failure
		events []string
		want   string
	}{
		{
			name:   "a delayed job is scheduled and blocks the stages after it",
			jobs:   []job{{Name: "a/wait", When: pipeline.WhenDelayed}, {Name: "b/next"}},
			events: []string{"create"},
			want:   "wait=scheduled next=created → scheduled",
		},
		{
			name:   "the delay is over",
			jobs:   []job{{Name: "a/wait", When: pipeline.WhenDelayed}, {Name: "b/next"}},
			events: []string{"create", "enqueue wait"},
			want:   "wait=pending next=created → pending",
		},
		{
			name:   "enqueue of a manual job leaves jobs skipped",
			jobs:   []job{{Name: "a/ask", When: pipeline.WhenManual, AllowFailure: true}, {Name: "b/next", When: pipeline.WhenOnFailure}},
			events: []string{"create", "enqueue ask"},
			want:   "ask=pending next=skipped → pending",
		},
		{
			name:   "play of a manual job resets skipped jobs",
			jobs:   []job{{Name: "a/ask", When: pipeline.WhenManual, AllowFailure: true}, {Name: "b/next", When: pipeline.WhenOnFailure}},
			events: []string{"create", "play ask"},
			want:   "ask=pending next=created → pending",
		},
		{
			name:   "a delayed job is played before its time",
			jobs:   []job{{Name: "a/wait", When: pipeline.WhenDelayed}, {Name: "b/next"}},
			events: []string{"create", "play wait"},
			want:   "wait=pending next=created → pending",
		},
		{
			name:   "a delayed job first waits for the jobs before it",
			jobs:   []job{{Name: "a/x"}, {Name: "b/wait", When: pipeline.WhenDelayed}},
			events: []string{"create", "start x", "success x"},
			want:   "x=success wait=scheduled → scheduled",
		},
		{
			name:   "a canceled predecessor skips even when: always",
			jobs:   []job{{Name: "a/x"}, {Name: "b/y", When: pipeline.WhenAlways}},
			events: []string{"create", "start x", "cancel x", "canceled x"},
			want:   "x=canceled y=skipped → canceled",
		},
		{
			name:   "a canceling job blocks the jobs after it",
			jobs:   []job{{Name: "a/x"}, {Name: "b/y", When: pipeline.WhenAlways}},
			events: []string{"create", "start x", "cancel x"},
			want:   "x=canceling y=created → running",
		},
		{
			name:   "a job that ends while canceling is canceled",
			jobs:   []job{{Name: "a/x"}, {Name: "a/y"}},
			events: []string{"create", "start x", "start y", "cancel x", "cancel y", "success x", "drop y"},
			want:   "x=canceled y=canceled → canceled",
		},
		{
			name:   "cancel of the pipeline cancels all but manual jobs",
			jobs:   []job{{Name: "a/x"}, {Name: "a/y"}, {Name: "a/m", When: pipeline.WhenManual, AllowFailure: true}, {Name: "a/d", When: pipeline.WhenDelayed}, {Name: "b/z"}},
			events: []string{"create", "start x", "cancel"},
			want:   "x=canceling y=canceled m=manual d=canceled z=canceled → canceling",
		},
		{
			name:   "a manual job can be canceled by name",
			jobs:   []job{{Name: "a/m", When: pipeline.WhenManual}, {Name: "b/z"}},
			events: []string{"create", "cancel m"},
			want:   "m=canceled z=skipped → canceled",
		},
		{
			name:   "allowed failure: on_failure does not fire",
			jobs:   []job{{Name: "a/x", AllowFailure: true}, {Name: "b/y"}, {Name: "b/z", When: pipeline.WhenOnFailure}},
			events: []string{"create", "start x", "drop x"},
			want:   "x=failed y=pending z=skipped → running",
		},
		{
			name:   "on_failure looks at all earlier stages",
			jobs:   []job{{Name: "a/x"}, {Name: "b/y", When: pipeline.WhenAlways}, {Name: "c/z", When: pipeline.WhenOnFailure}},
			events: []string{"create", "drop x", "success y"},
			want:   "x=failed y=success z=pending → running",
		},
		{
			name:   "always among stages waits for all of them",
			jobs:   []job{{Name: "a/x"}, {Name: "a/y"}, {Name: "b/z", When: pipeline.WhenAlways}},
			events: []string{"create", "drop x"},
			want:   "x=failed y=pending z=created → running",
		},
		{
			name:   "a skipped need decides while another still runs",
			jobs:   []job{{Name: "a/x"}, {Name: "a/m", When: pipeline.WhenManual, AllowFailure: true}, {Name: "b/z", Needs: needs("x", "m")}, {Name: "b/w", When: pipeline.WhenAlways, Needs: needs("x", "m")}},
			events: []string{"create"},
			want:   "x=pending m=manual z=skipped w=pending → pending",
		},
		{
			name:   "retry starts the next attempt",
			jobs:   []job{{Name: "a/x", Retry: retry(1)}, {Name: "b/y"}},
			events: []string{"create", "start x", "drop x"},
			want:   "x=pending y=created → running",
		},
		{
			name:   "attempts are limited",
			jobs:   []job{{Name: "a/x", Retry: retry(1)}, {Name: "b/y"}},
			events: []string{"create", "start x", "drop x", "start x", "drop x"},
			want:   "x=failed y=skipped → failed",
		},
		{
			name:   "an attempt that is retried does not cancel the others",
			jobs:   []job{{Name: "a/x", Retry: retry(1)}, {Name: "a/y"}},
			cancel: "all",
			events: []string{"create", "start x", "start y", "drop x"},
			want:   "x=pending y=running → running",
		},
		{
			name:   "the last attempt cancels the others",
			jobs:   []job{{Name: "a/x", Retry: retry(1)}, {Name: "a/y"}, {Name: "b/z"}},
			cancel: "all",
			events: []string{"create", "start x", "start y", "drop x", "drop x"},
			want:   "x=failed y=canceling z=canceled → canceling",
		},
		{
			name:   "an automatic retry of a manual job needs no play",
			jobs:   []job{{Name: "a/m", When: pipeline.WhenManual, Retry: retry(2)}},
			events: []string{"create", "play m", "start m", "drop m"},
			want:   "m=pending → running",
		},
		{
			name:   "retry by a person resets skipped jobs",
			jobs:   []job{{Name: "a/x"}, {Name: "a/s", Needs: needs("x")}, {Name: "b/y"}, {Name: "c/z"}},
			events: []string{"create", "drop x", "retry x"},
			want:   "x=pending s=created y=created z=created → running",
		},
		{
			name:   "jobs that ended stay as they are",
			jobs:   []job{{Name: "a/x"}, {Name: "b/y"}, {Name: "c/z"}},
			events: []string{"create", "success x", "success y", "drop z", "retry x"},
			want:   "x=pending y=success z=failed → running",
		},
		{
			name:   "a retried job waits when those before it run again",
			jobs:   []job{{Name: "a/x"}, {Name: "b/y"}},
			events: []string{"create", "success x", "drop y", "retry x", "retry y"},
			want:   "x=pending y=created → running",
		},
		{
			name:   "a retried manual job starts without play after them",
			jobs:   []job{{Name: "a/x"}, {Name: "b/m", When: pipeline.WhenManual}},
			events: []string{"create", "success x", "play m", "drop m", "retry x", "retry m", "success x"},
			want:   "x=success m=pending → running",
		},
		{
			name:   "play of a manual job that ended is a retry",
			jobs:   []job{{Name: "a/m", When: pipeline.WhenManual}},
			events: []string{"create", "play m", "success m", "play m"},
			want:   "m=pending → running",
		},
		{
			name:   "retry of the pipeline renews failed and canceled jobs",
			jobs:   []job{{Name: "a/ok"}, {Name: "a/bad"}, {Name: "a/m", When: pipeline.WhenManual, AllowFailure: true}, {Name: "b/next"}},
			events: []string{"create", "success ok", "play m", "drop m", "drop bad", "retry"},
			want:   "ok=success bad=pending m=manual next=created → running",
		},
		{
			name:   "needs: [] starts immediately in any stage",
			jobs:   []job{{Name: "a/x"}, {Name: "b/y", DAG: true}},
			events: []string{"create"},
			want:   "x=pending y=pending → pending",
		},
		{
			name:   "a need of another project is not waited for",
			jobs:   []job{{Name: "a/x"}, {Name: "b/y", Needs: []pipeline.Need{{Job: "x", Project: "group/other"}}}},
			events: []string{"create"},
			want:   "x=pending y=pending → pending",
		},
		{
			name:   "one at a time in a resource group",
			jobs:   []job{{Name: "a/x", ResourceGroup: "prod"}, {Name: "a/y", ResourceGroup: "prod"}, {Name: "a/z", ResourceGroup: "dev"}},
			events: []string{"create", "start x"},
			want:   "x=running y=waiting_for_resource z=pending → running",
		},
		{
			name:   "the next job gets the group when a job ends in any way",
			jobs:   []job{{Name: "a/x", ResourceGroup: "prod"}, {Name: "a/y", ResourceGroup: "prod"}, {Name: "a/z", ResourceGroup: "prod"}},
			events: []string{"create", "start x", "cancel x", "canceled x"},
			want:   "x=canceled y=pending z=waiting_for_resource → running",
		},
		{
			name:   "a canceling job keeps the group",
			jobs:   []job{{Name: "a/x", ResourceGroup: "prod"}, {Name: "a/y", ResourceGroup: "prod"}},
			events: []string{"create", "start x", "cancel x"},
			want:   "x=canceling y=waiting_for_resource → waiting_for_resource",
		},
		{
			name:   "a waiting job gets the group before a new attempt",
			jobs:   []job{{Name: "a/x", ResourceGroup: "prod", Retry: retry(2)}, {Name: "a/y", ResourceGroup: "prod"}},
			events: []string{"create", "start x", "drop x"},
			want:   "x=waiting_for_resource y=pending → running",
		},
		{
			name:   "a job of its own stage is needed, not waited for by stage",
			jobs:   []job{{Name: "a/z", Needs: needs("y")}, {Name: "a/y", Needs: needs("x")}, {Name: "a/x"}},
			events: []string{"create", "drop x"},
			want:   "z=skipped y=skipped x=failed → failed",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := build(tt.jobs...)
			p.AutoCancel.OnJobFailure = tt.cancel
			s, _ := play(t, p, pipeline.State{}, tt.events...)
			if got := statuses(p, s); got != tt.want {
				t.Errorf("after %v\n got %s\nwant %s", tt.events, got, tt.want)
			}
		})
	}
}

func TestAdvanceRefuses(t *testing.T) {
	t.Parallel()
	p := build(pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "b/y"}, pipeline.Job{Name: "b/m", When: pipeline.WhenManual})
	created, _ := play(t, p, pipeline.State{}, "create")
	running, _ := play(t, p, created, "start x")
	done, _ := play(t, p, running, "success x", "success y", "play m", "success m")
	tests := []struct {
		name  string
		state pipeline.State
		event pipeline.Event
		want  errs.Kind
	}{
		{"start of a job that waits", created, pipeline.Event{Kind: pipeline.EventStart, Job: "y"}, errs.Conflict},
		{"start of a job that runs", running, pipeline.Event{Kind: pipeline.EventStart, Job: "x"}, errs.Conflict},
		{"play of a job that is not manual", running, pipeline.Event{Kind: pipeline.EventPlay, Job: "x"}, errs.Conflict},
		{"play of a manual job before its turn", running, pipeline.Event{Kind: pipeline.EventPlay, Job: "m"}, errs.Conflict},
		{"success of a job that has not begun", created, pipeline.Event{Kind: pipeline.EventSucceed, Job: "y"}, errs.Conflict},
		{"drop of a job that ended", done, pipeline.Event{Kind: pipeline.EventDrop, Job: "x"}, errs.Conflict},
		{"enqueue of a job that is not scheduled", running, pipeline.Event{Kind: pipeline.EventEnqueue, Job: "x"}, errs.Conflict},
		{"retry of a job that runs", running, pipeline.Event{Kind: pipeline.EventRetry, Job: "x"}, errs.Conflict},
		{"retry of a pipeline without failures", done, pipeline.Event{Kind: pipeline.EventRetry}, errs.Conflict},
		{"cancel of a job that ended", done, pipeline.Event{Kind: pipeline.EventCancel, Job: "x"}, errs.Conflict},
		{"cancel of a pipeline that ended", done, pipeline.Event{Kind: pipeline.EventCancel}, errs.Conflict},
		{"canceled without cancel", running, pipeline.Event{Kind: pipeline.EventCanceled, Job: "x"}, errs.Conflict},
		{"create twice", created, pipeline.Event{Kind: pipeline.EventCreate}, errs.Conflict},
		{"no such job", created, pipeline.Event{Kind: pipeline.EventStart, Job: "nope"}, errs.NotFound},
		{"no such event", created, pipeline.Event{Kind: "explode", Job: "x"}, errs.Invalid},
		{"release of nothing", created, pipeline.Event{Kind: pipeline.EventRelease}, errs.Invalid},
		{"before create", pipeline.State{}, pipeline.Event{Kind: pipeline.EventStart, Job: "x"}, errs.Invalid},
		{"a state of another pipeline", pipeline.State{Jobs: created.Jobs[:1]}, pipeline.Event{Kind: pipeline.EventStart, Job: "x"}, errs.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, changes, err := advance(p, tt.state, tt.event)
			if !errs.Is(err, tt.want) {
				t.Fatalf("got error %v (%v), want a %v one", err, errs.KindOf(err), tt.want)
			}
			if d := cmp.Diff(tt.state, s); d != "" || changes != nil {
				t.Errorf("the state changed: %v %s", changes, d)
			}
		})
	}
}

func TestAdvanceReportsChangesInOrder(t *testing.T) {
	t.Parallel()
	p := build(
		pipeline.Job{Name: "a/x", Retry: pipeline.Retry{Max: 1}},
		pipeline.Job{Name: "b/y"},
		pipeline.Job{Name: "c/clean", When: pipeline.WhenOnFailure},
		pipeline.Job{Name: "c/note", Needs: needs("y")},
	)
	s, first := play(t, p, pipeline.State{}, "create")
	s, started := play(t, p, s, "start x")
	s, retried := play(t, p, s, "drop x")
	_, failed := play(t, p, s, "drop x")
	want := [][]pipeline.Change{
		{{Pos: 0, Job: "x", From: "created", To: "pending", Attempt: 1}},
		{{Pos: 0, Job: "x", From: "pending", To: "running", Attempt: 1}},
		{{Pos: 0, Job: "x", From: "running", To: "pending", Attempt: 2}},
		{
			{Pos: 0, Job: "x", From: "pending", To: "failed", Attempt: 2},
			{Pos: 1, Job: "y", From: "created", To: "skipped", Attempt: 1},
			{Pos: 2, Job: "clean", From: "created", To: "pending", Attempt: 1},
			{Pos: 3, Job: "note", From: "created", To: "skipped", Attempt: 1},
		},
	}
	if d := cmp.Diff(want, [][]pipeline.Change{first, started, retried, failed}); d != "" {
		t.Error(d)
	}
}

func TestDropKeepsReason(t *testing.T) {
	t.Parallel()
	p := build(pipeline.Job{Name: "a/x", AllowFailureCodes: []int{7}}, pipeline.Job{Name: "b/y"})
	tests := []struct {
		name string
		drop pipeline.Event
		want pipeline.JobState
		next pipeline.Status
	}{
		{
			"a code that is allowed", pipeline.Event{Reason: pipeline.ReasonScriptFailure, ExitCode: 7},
			pipeline.JobState{Status: "failed", Attempt: 1, AllowFailure: true, Reason: pipeline.ReasonScriptFailure, ExitCode: 7}, pipeline.StatusPending,
		},
		{
			"a code that is not", pipeline.Event{Reason: pipeline.ReasonScriptFailure, ExitCode: 1},
			pipeline.JobState{Status: "failed", Attempt: 1, Reason: pipeline.ReasonScriptFailure, ExitCode: 1}, pipeline.StatusSkipped,
		},
		{
			"nothing known", pipeline.Event{},
			pipeline.JobState{Status: "failed", Attempt: 1, Reason: pipeline.ReasonUnknown}, pipeline.StatusSkipped,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := play(t, p, pipeline.State{}, "create", "start x")
			tt.drop.Kind, tt.drop.Job = pipeline.EventDrop, "x"
			s, _, err := advance(p, s, tt.drop)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, s.Jobs[0]); d != "" || s.Jobs[1].Status != tt.next {
				t.Errorf("y is %s, want %s; x: %s", s.Jobs[1].Status, tt.next, d)
			}
			if s.Jobs[0].AllowFailure {
				again, _ := play(t, p, s, "retry x")
				if again.Jobs[0].AllowFailure {
					t.Error("the next attempt may fail for any reason")
				}
			}
		})
	}
}

func TestRetryWhen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		retry pipeline.Retry
		drop  pipeline.Event
		want  pipeline.Status
	}{
		{"no retry", pipeline.Retry{}, pipeline.Event{Reason: pipeline.ReasonScriptFailure}, pipeline.StatusFailed},
		{"any reason by default", pipeline.Retry{Max: 1}, pipeline.Event{Reason: pipeline.ReasonScriptFailure}, pipeline.StatusPending},
		{"always", pipeline.Retry{Max: 1, When: []string{"always"}}, pipeline.Event{Reason: pipeline.ReasonJobExecutionTimeout}, pipeline.StatusPending},
		{"the reason", pipeline.Retry{Max: 1, When: []string{"api_failure", "script_failure"}}, pipeline.Event{Reason: pipeline.ReasonScriptFailure}, pipeline.StatusPending},
		{"another reason", pipeline.Retry{Max: 1, When: []string{"api_failure"}}, pipeline.Event{Reason: pipeline.ReasonScriptFailure}, pipeline.StatusFailed},
		{"the exit code", pipeline.Retry{Max: 1, ExitCodes: []int{137}}, pipeline.Event{Reason: pipeline.ReasonScriptFailure, ExitCode: 137}, pipeline.StatusPending},
		{"another exit code: when is empty then", pipeline.Retry{Max: 1, ExitCodes: []int{137}}, pipeline.Event{Reason: pipeline.ReasonScriptFailure, ExitCode: 1}, pipeline.StatusFailed},
		{"the reason or the exit code", pipeline.Retry{Max: 1, When: []string{"api_failure"}, ExitCodes: []int{137}}, pipeline.Event{Reason: pipeline.ReasonAPIFailure, ExitCode: 1}, pipeline.StatusPending},
		{"what would only happen again", pipeline.Retry{Max: 2, When: []string{"always"}}, pipeline.Event{Reason: pipeline.ReasonMissingDependency}, pipeline.StatusFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := build(pipeline.Job{Name: "a/x", Retry: tt.retry})
			s, _ := play(t, p, pipeline.State{}, "create", "start x")
			tt.drop.Kind, tt.drop.Job = pipeline.EventDrop, "x"
			s, _, err := advance(p, s, tt.drop)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Jobs[0].Status; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestEventsAtOnce(t *testing.T) {
	t.Parallel()
	p := build(pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "b/y"}, pipeline.Job{Name: "b/z"})
	s, _ := play(t, p, pipeline.State{}, "create")
	s, _, err := advance(p, s,
		pipeline.Event{Kind: pipeline.EventCancel, Job: "x"}, pipeline.Event{Kind: pipeline.EventCancel, Job: "y"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := statuses(p, s), "x=canceled y=canceled z=skipped → canceled"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNewGraphRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]*pipeline.Pipeline{
		"two jobs of one name":    build(pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "a/x"}),
		"a stage twice":           {Stages: []string{"a", "a"}},
		"an unknown stage":        {Stages: []string{"a"}, Jobs: []pipeline.Job{{Name: "x", Stage: "b"}}},
		"an unknown need":         build(pipeline.Job{Name: "a/x", Needs: needs("nope")}),
		"a need of a later one":   build(pipeline.Job{Name: "a/x", Needs: needs("y")}, pipeline.Job{Name: "b/y"}),
		"a job that needs itself": build(pipeline.Job{Name: "a/x", Needs: needs("x")}),
		"a cycle":                 build(pipeline.Job{Name: "a/x", Needs: needs("y")}, pipeline.Job{Name: "a/y", Needs: needs("x")}),
	}
	for name, p := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := pipeline.NewGraph(p); !errs.Is(err, errs.Invalid) {
				t.Errorf("got %v, want an Invalid error", err)
			}
		})
	}
}
