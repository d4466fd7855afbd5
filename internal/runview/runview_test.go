package runview

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/history"
	"refline/internal/pipeline"
)

func TestSums(t *testing.T) {
	t.Parallel()
	var jobs []history.Job
	for _, s := range []pipeline.Status{
		pipeline.StatusSuccess, pipeline.StatusSuccess, pipeline.StatusFailed, pipeline.StatusManual, pipeline.StatusScheduled,
		pipeline.StatusSkipped, pipeline.StatusCreated, pipeline.StatusPending, pipeline.StatusCanceled, pipeline.StatusRunning,
	} {
		jobs = append(jobs, history.Job{Status: s})
	}
	jobs = append(jobs, history.Job{Status: pipeline.StatusFailed, AllowFailure: true})
	want := "1 failed, 1 failed but allowed, 2 passed, 1 canceled, 1 manual, 1 delayed, 1 waiting, 1 skipped, 2 not started"
	if got := Sums(jobs); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func newEnd(statuses ...pipeline.Status) *End {
	p := &pipeline.Pipeline{Stages: []string{"test"}}
	e := &End{Pipeline: p, Record: &history.Run{Number: 7}, Again: " -f ci.yml"}
	for i, s := range statuses {
		name := string(rune('a' + i))
		p.Jobs = append(p.Jobs, pipeline.Job{Name: name, Base: name, Stage: "test", StartIn: pipeline.Duration(time.Hour)})
		e.Result.State.Jobs = append(e.Result.State.Jobs, pipeline.JobState{Status: s})
		e.Record.Jobs = append(e.Record.Jobs, history.Job{Name: name, Status: s, Log: "log"})
	}
	return e
}

func TestWhyAJobDidNotRun(t *testing.T) {
	t.Parallel()
	e := newEnd(pipeline.StatusManual, pipeline.StatusScheduled, pipeline.StatusCreated)
	why := e.Why()
	for i, want := range []string{"manual; to run it: refline run -f ci.yml --manual a", "not to wait: refline run -f ci.yml --now", "not started"} {
		if got := why(i); !strings.HasSuffix(got, want) {
			t.Errorf("job %d: got %q, want %q", i, got, want)
		}
	}
	if e.Named = []string{"c"}; !errs.Is(e.Missed(), errs.Conflict) {
		t.Errorf("a named job that did not run: got %v, want a conflict", e.Missed())
	}
	if e.Named = nil; e.Missed() != nil {
		t.Errorf("no named job: got %v", e.Missed())
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	e := newEnd(pipeline.StatusFailed, pipeline.StatusSuccess, pipeline.StatusFailed)
	var out strings.Builder
	e.Failures(&out, func(job string) []string { return map[string][]string{"a": {"last line"}}[job] })
	want := "\na, last lines; all of it: refline runs log 7 a\n  | last line\n\nlogs of what failed\n  c  refline runs log 7 c\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	many := make([]pipeline.Status, 14)
	for i := range many {
		many[i] = pipeline.StatusFailed
	}
	out.Reset()
	newEnd(many...).Failures(&out, func(string) []string { return nil })
	if got := out.String(); !strings.Contains(got, "and 4 more") || strings.Count(got, "\n") != 13 {
		t.Errorf("14 failures:\n%s", got)
	}
}

func TestSumsNameTheLogs(t *testing.T) {
	t.Parallel()
	for jobs, want := range map[int]string{1: "logs: refline runs log 7\n", 2: "logs: refline runs log 7 JOB\n"} {
		var out strings.Builder
		newEnd(make([]pipeline.Status, jobs)...).Sums(&out)
		if !strings.HasSuffix(out.String(), want) {
			t.Errorf("%d jobs: got %q, want it to end in %q", jobs, out.String(), want)
		}
	}
}

func TestExplanation(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	Explanation(&out, "branch x, event push", gitlabci.Explanation{Job: "deploy", Rules: []gitlabci.RuleTrace{
		{Reached: true, Clauses: []gitlabci.Clause{{Kind: "if", Text: "$A", Values: "not set"}}},
	}}, true)
	if got := out.String(); !strings.HasPrefix(got, "deploy is not in the pipeline of branch x, event push\n") ||
		!strings.Contains(got, "  1  if: $A  not set  no\n") || !strings.Contains(got, "no rule matched → never") {
		t.Errorf("got\n%s", got)
	}
}

func TestRunsAndLogs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	r := &history.Run{
		Number: 7, Project: "/src/flows", File: "ci.yml", Ref: "main", Commit: "0123456789", Started: at, Finished: at.Add(time.Second),
		Result: pipeline.ResultFailed, Jobs: []history.Job{{Name: "a", Stage: "test", Status: pipeline.StatusFailed, ExitCode: 2, AllowFailure: true}},
	}
	var out strings.Builder
	Run(&out, r)
	if got := out.String(); !strings.HasPrefix(got, "run 7 · ✗ failed · /src/flows · ci.yml · main 0123456 · ") || !strings.Contains(got, "exit 2, allowed") {
		t.Errorf("got\n%s", got)
	}
	r.CodeOf = "dev"
	out.Reset()
	Runs(&out, []*history.Run{r})
	if got := out.String(); !strings.Contains(got, "as if on main (code of dev 0123456)") || strings.Count(got, "\n") != 2 {
		t.Errorf("got\n%s", got)
	}
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("\x1b[31mred\x1b[0m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, raw := range map[string]bool{"red\n": false, "\x1b[31mred\x1b[0m\n": true} {
		out.Reset()
		if err := Log(&out, file, raw, false); err != nil || out.String() != want {
			t.Errorf("raw %v: got %q, %v; want %q", raw, out.String(), err, want)
		}
	}
}

func TestListAndEvents(t *testing.T) {
	t.Parallel()
	p := &pipeline.Pipeline{Jobs: []pipeline.Job{{Name: "a", Stage: "test", When: pipeline.WhenOnSuccess, DAG: true}, {Name: "b", Stage: "test", AllowFailure: true, When: pipeline.WhenManual}}}
	var out strings.Builder
	Jobs(&out, List(p))
	if got := out.String(); !strings.Contains(got, "nothing") || !strings.Contains(got, "manual, may fail") {
		t.Errorf("got\n%s", got)
	}
	if got, err := json.Marshal(List(nil)); string(got) != "[]" || err != nil {
		t.Errorf("no pipeline: got %s, %v", got, err)
	}
	out.Reset()
	v := NewJSONEvents(&out)
	v.Started(&history.Run{Number: 7})
	v.Emit(pipeline.Report{Kind: pipeline.ReportJobLog, Job: "a", Data: []byte("one\ntw")})
	v.Emit(pipeline.Report{Kind: pipeline.ReportJobStatus, Job: "a", Status: pipeline.StatusSuccess})
	v.Finished(&history.Run{Number: 7, Result: pipeline.ResultSuccess})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 5 || !strings.Contains(lines[1], `"one"`) || !strings.Contains(lines[2], `"tw"`) {
		t.Errorf("got\n%s", out.String())
	}
}
