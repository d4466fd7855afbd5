package localrun

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

func trigger(name, strategy string) pipeline.Job {
	return pipeline.Job{Name: name, Downstream: &pipeline.Downstream{Strategy: strategy, Forward: pipeline.Forward{YAMLVariables: true}}}
}

func TestChildPipelines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		strategy string
		child    []pipeline.Job
		code     int // of the child's job in
		want     string
		reason   pipeline.Reason
		say      string
	}{
		{"depend: green", "depend", []pipeline.Job{{Name: "c/in"}}, 0, "t=success y=success → success", "", ""},
		{"mirror: green", "mirror", []pipeline.Job{{Name: "c/in"}}, 0, "t=success y=success → success", "", ""},
		{"depend: red", "depend", []pipeline.Job{{Name: "c/in"}}, 1, "t=failed y=skipped → failed", pipeline.ReasonUnknown, "ended failed"},
		{"mirror: red", "mirror", []pipeline.Job{{Name: "c/in"}}, 1, "t=failed y=skipped → failed", pipeline.ReasonUnknown, "ended failed"},
		{"red as it may be", "depend", []pipeline.Job{{Name: "c/in", AllowFailure: true}}, 1, "t=success y=success → success", "", ""},
		{"not waited for: red", "", []pipeline.Job{{Name: "c/in"}}, 1, "t=success y=success → success", "", ""},
		{"what cannot be run", "depend", []pipeline.Job{{Name: "c/in", Needs: needing("nope")}}, 0, "t=failed y=skipped → failed", pipeline.ReasonDownstreamCreationFailed, "nope"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newRun(t, trigger("a/t", tt.strategy), pipeline.Job{Name: "b/y"})
			h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) { return h.child(req, tt.child...), nil }
			h.scripts["in"] = exit(tt.code)
			res := h.run()
			if got := h.statuses(res); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			if got := res.State.Jobs[0].Reason; got != tt.reason {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
			if err := res.Jobs[0].Result.Err; (err != nil) != (tt.say != "") || err != nil && !strings.Contains(err.Error(), tt.say) {
				t.Errorf("error %v, want %q", err, tt.say)
			}
			if len(res.Children) != 1 || res.Children[0].Trigger != "t" || res.Children[0].Input.ID != "7.1" {
				t.Fatalf("children %+v", res.Children)
			}
			if jobs := res.Children[0].Result.Jobs; len(jobs) == 1 && filepath.Dir(jobs[0].Log) != filepath.Join(h.in.Dir, "logs") {
				t.Errorf("the child's log is %s", jobs[0].Log)
			}
			same(t, h.told(pipeline.ReportChild, func(ev pipeline.Report) string { return ev.Job }), []string{"t"})
		})
	}
}

func TestChildThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for name, child := range map[string]func(context.Context, ChildRequest) (*Input, error){
		"an error": func(context.Context, ChildRequest) (*Input, error) {
			return nil, errs.E(errs.Invalid, "no such file")
		},
		"nobody to make it": nil,
	} {
		h := newRun(t, trigger("a/t", ""), pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "b/y"})
		h.in.Child = child
		res := h.run()
		if got, want := h.statuses(res), "t=failed x=success y=skipped → failed"; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if r := res.Jobs[0].Result; r.Reason != pipeline.ReasonDownstreamCreationFailed || !errs.Is(r.Err, errs.Invalid) || len(res.Children) != 0 {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// The fault of a child that no job waits for is told.
func TestFaultOfALooseChildIsTold(t *testing.T) {
	t.Parallel()
	h := newRun(t, trigger("a/t", ""))
	h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
		return h.child(req, pipeline.Job{Name: "c/in", Needs: needing("nope")}), nil
	}
	if res := h.run(); res.Status != pipeline.StatusSuccess {
		t.Errorf("got %s", h.statuses(res))
	}
	notes := h.told(pipeline.ReportJobNote, func(ev pipeline.Report) string { return ev.Job + ": " + ev.Text })
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "t: ") || !strings.Contains(notes[0], "nope") {
		t.Errorf("told %q", notes)
	}
}

func TestManualJobsOfChildren(t *testing.T) {
	t.Parallel()
	h := newRun(t, trigger("a/t", "depend"))
	h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
		if req.Job.Name == "t" {
			return h.child(req, pipeline.Job{Name: "c/m", When: pipeline.WhenManual}, trigger("d/u", "depend")), nil
		}
		return h.child(req, pipeline.Job{Name: "e/m", When: pipeline.WhenManual}, pipeline.Job{Name: "e/n", When: pipeline.WhenManual, AllowFailure: true}), nil
	}
	var offered []string
	h.in.Play = func(run, job string) bool {
		name := h.names.Of(run, job)
		offered = append(offered, name)
		return name == "t / m" || name == "t / u / m"
	}
	if got, want := h.statuses(h.run()), "t=success → success"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	same(t, offered, []string{"t / m", "t / u / m", "t / u / n"})
	same(t, h.started(), []string{"t", "t / m", "t / u", "t / u / m"})
}

// A dynamic child: its definition and more come from artifacts.
func TestArtifactsReachAChild(t *testing.T) {
	t.Parallel()
	h := newRun(t,
		pipeline.Job{Name: "a/make", Artifacts: &pipeline.Artifacts{Paths: []string{"gen/"}}},
		pipeline.Job{Name: "a/none"}, trigger("b/t", "depend"), pipeline.Job{Name: "c/later"})
	h.scripts["make"] = func(_ context.Context, c fakeCommand) (int, error) {
		plantIn(t, c.Workspace(), files{"gen/child.yml": "in: {}", "gen/data": "for the child"})
		return 0, nil
	}
	h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
		f, err := req.Open("make", "gen/child.yml")
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if text, err := io.ReadAll(f); err != nil || string(text) != "in: {}" {
			t.Errorf("read %q, %v", text, err)
		}
		for job, path := range map[string]string{"none": "gen/child.yml", "later": "x", "make": "gen/nope"} {
			if _, err := req.Open(job, path); !errs.Is(err, errs.NotFound) {
				t.Errorf("%s of %s: %v", path, job, err)
			}
		}
		if _, err := req.Open("make", "../artifacts.json"); err == nil {
			t.Error("a path left the artifacts")
		}
		return h.child(req,
			pipeline.Job{Name: "d/in", Needs: []pipeline.Need{{Job: "make", Pipeline: "$PARENT_PIPELINE_ID", Artifacts: true}}},
			pipeline.Job{Name: "d/not", Needs: []pipeline.Need{{Job: "make", Pipeline: "$PARENT_PIPELINE_ID"}, {Job: "none", Pipeline: "1", Artifacts: true}}},
			pipeline.Job{Name: "d/far", Needs: []pipeline.Need{{Job: "x", Project: "group/other", Artifacts: true}}},
		), nil
	}
	got := map[string]files{}
	for _, name := range []string{"in", "not", "far"} {
		h.scripts[name] = func(_ context.Context, c fakeCommand) (int, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			got[name] = harvest(t, c.Workspace())
			return 0, nil
		}
	}
	h.run()
	plain := files{"README": "of the repository"}
	same(t, got, map[string]files{
		"in":  {"README": "of the repository", "gen/child.yml": "in: {}", "gen/data": "for the child"},
		"not": plain, "far": plain,
	})
	notes := h.told(pipeline.ReportJobNote, func(ev pipeline.Report) string { return ev.Job + ": " + ev.Text })
	if len(notes) != 1 || !strings.Contains(notes[0], "t / far: ") || !strings.Contains(notes[0], "group/other") {
		t.Errorf("told %q", notes)
	}
}

// What a child is told of its parent's variables, as GitLab forwards them: the
// yaml variables of the trigger job, with what they name replaced.
func TestForwardedVariables(t *testing.T) {
	t.Parallel()
	v := func(name, value string) pipeline.Variable { return pipeline.Variable{Name: name, Value: value} }
	secret := pipeline.Variable{Name: "TOKEN", Value: "a value of the store", Raw: true, Masked: true}
	key := pipeline.Variable{Name: "KEY", Value: "content of a file", File: true, Masked: true}
	tests := []struct {
		name    string
		forward pipeline.Forward
		job     []pipeline.Variable
		below   []pipeline.Variable
		above   []pipeline.Variable
		dotenv  string
		want    []pipeline.Variable
	}{
		{
			name:    "those of yaml, not those of the pipeline",
			forward: pipeline.Forward{YAMLVariables: true},
			job:     []pipeline.Variable{v("A", "a"), v("B", "$A and $P, $UNKNOWN")},
			below:   []pipeline.Variable{v("PREDEFINED", "x")},
			above:   []pipeline.Variable{v("P", "p")},
			want:    []pipeline.Variable{v("A", "a"), v("B", "a and p, $UNKNOWN")},
		},
		{
			name: "none",
			job:  []pipeline.Variable{v("A", "a")},
		},
		{
			name:    "values of dotenv reports in them",
			forward: pipeline.Forward{YAMLVariables: true},
			job:     []pipeline.Variable{v("A", "version $VERSION")},
			dotenv:  "VERSION=1.2\nOTHER=x\n",
			want:    []pipeline.Variable{v("A", "version 1.2")},
		},
		{
			name:    "dotenv reports with the pipeline's, above those of yaml",
			forward: pipeline.Forward{YAMLVariables: true, PipelineVariables: true},
			job:     []pipeline.Variable{v("A", "a"), v("VERSION", "of yaml")},
			above:   []pipeline.Variable{v("P", "p")},
			dotenv:  "VERSION=1.2\nOTHER=x $P\n",
			want:    []pipeline.Variable{v("A", "a"), v("VERSION", "1.2"), v("OTHER", "x p")},
		},
		{
			name:    "secrets and files stay references, raw ones as they are",
			forward: pipeline.Forward{YAMLVariables: true},
			job:     []pipeline.Variable{v("URL", "https://$TOKEN@host/$A"), v("WHERE", "${KEY}"), {Name: "RAW", Value: "$A", Raw: true}, v("A", "a")},
			above:   []pipeline.Variable{secret, key},
			want:    []pipeline.Variable{v("URL", "https://$TOKEN@host/a"), v("WHERE", "${KEY}"), {Name: "RAW", Value: "$A", Raw: true}, v("A", "a")},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := trigger("b/t", "depend")
			j.Downstream.Forward, j.Variables = tt.forward, tt.job
			h := newRun(t, pipeline.Job{Name: "a/env", Artifacts: &pipeline.Artifacts{Reports: map[string][]string{"dotenv": {"out.env"}}}}, j)
			h.scripts["env"] = func(_ context.Context, c fakeCommand) (int, error) {
				return 0, os.WriteFile(filepath.Join(c.Workspace(), "out.env"), []byte(tt.dotenv), 0o644)
			}
			h.in.Variables = func(j *pipeline.Job) (below, above []pipeline.Variable) {
				return append(slices.Clone(tt.below), pipeline.Variable{Name: "CI_JOB_NAME", Value: j.Name, Raw: true}), tt.above
			}
			var got []pipeline.Variable
			h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
				got = req.Variables
				return nil, errors.New("that was all")
			}
			h.run()
			same(t, got, tt.want)
		})
	}
}

// TestChildThatWaits: a child that waits at a blocking manual job fails nothing.
// With depend its trigger job keeps running, with mirror it becomes manual; what
// comes after waits, also for the child of a child.
func TestChildThatWaits(t *testing.T) {
	t.Parallel()
	waiting := []pipeline.Job{{Name: "c/gate", When: pipeline.WhenManual}, {Name: "d/late"}}
	for name, tt := range map[string]struct {
		strategy string
		played   string
		want     string
	}{
		"depend":           {"depend", "", "t=running x=success y=created → manual, running"},
		"mirror":           {"mirror", "", "t=manual x=success y=created → manual, manual"},
		"depend, played":   {"depend", "7.1 gate", "t=success x=success y=success → success, success"},
		"mirror, played":   {"mirror", "7.1 gate", "t=success x=success y=success → success, success"},
		"no strategy":      {"", "", "t=success x=success y=success → success, success"},
		"its own name":     {"mirror", "7 t", "t=manual x=success y=created → manual, manual"},
		"a child's child":  {"nested", "", "t=running x=success y=created → manual, running"},
		"played in itself": {"nested", "7.1.1 gate", "t=success x=success y=success → success, success"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strategy := tt.strategy
			if strategy == "nested" {
				strategy = "depend"
			}
			h := newRun(t, trigger("a/t", strategy), pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "b/y"})
			h.in.Play = func(run, job string) bool { return run+" "+job == tt.played }
			h.in.Ask = func(_ context.Context, jobs []string) string {
				t.Errorf("asked for %v, of which none is a job of this pipeline to play", jobs)
				return ""
			}
			h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
				if tt.strategy != "nested" || req.Job.Name == "u" {
					return h.child(req, waiting...), nil
				}
				return h.child(req, trigger("c/u", "mirror")), nil
			}
			res := h.run()
			if got := h.statuses(res) + ", " + string(res.State.Status); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			if res.Jobs[0].Result.Reason != "" || res.Jobs[0].Result.Err != nil {
				t.Errorf("the trigger job has the reason %q and the error %v", res.Jobs[0].Result.Reason, res.Jobs[0].Result.Err)
			}
		})
	}
}

// Children are runs with ids of their own, numbered in the order of their
// creation. Reports name the run, and say when a child begins and how it ended.
func TestIDsOfChildRuns(t *testing.T) {
	t.Parallel()
	h := newRun(t, trigger("a/t", "depend"), trigger("b/u", "mirror"))
	h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
		if req.Job.Name == "t" {
			return h.child(req, trigger("c/inner", "depend")), nil
		}
		return h.child(req, pipeline.Job{Name: "d/in"}), nil
	}
	res := h.run()
	got := h.told(pipeline.ReportChild, func(r pipeline.Report) string { return r.Run + " " + r.Job + " " + r.Child })
	same(t, got, []string{"7 t 7.1", "7.1 t / inner 7.1.1", "7 u 7.2"})
	got = h.told(pipeline.ReportRunFinished, func(r pipeline.Report) string { return r.Run + " " + string(r.Status) + " " + string(r.Result) })
	same(t, got, []string{"7.1.1 success success", "7.1 success success", "7.2 success success"})
	got = h.told(pipeline.ReportJobStarted, func(r pipeline.Report) string { return r.Run + " " + r.Job })
	same(t, got, []string{"7.1.1 t / inner / in", "7.2 u / in"})
	var ids []string
	for _, c := range res.Children {
		ids = append(ids, c.Trigger+" "+c.Input.ID)
	}
	same(t, ids, []string{"t 7.1", "u 7.2"})
}

// A failed job beside one that waits to be played makes the run red.
func TestResultBesideAManualJob(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]pipeline.Result{0: pipeline.ResultWaiting, 1: pipeline.ResultFailed} {
		h := newRun(t, pipeline.Job{Name: "a/unit"}, pipeline.Job{Name: "a/deploy", When: pipeline.WhenManual, DAG: true})
		h.scripts["unit"] = exit(code)
		res := h.run()
		same(t, []any{res.Status, res.Result}, []any{pipeline.StatusManual, want})
	}
}
