package localrun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

func TestRunOrder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		jobs  []pipeline.Job
		fails string // jobs that exit with 1
		want  string // statuses
		order string // with one slot
	}{
		{
			name:  "stage by stage",
			jobs:  []pipeline.Job{{Name: "a/x"}, {Name: "b/y"}, {Name: "c/z"}},
			want:  "x=success y=success z=success → success",
			order: "x y z",
		},
		{
			name:  "needs do not wait for stages",
			jobs:  []pipeline.Job{{Name: "a/x"}, {Name: "a/slow"}, {Name: "b/y", Needs: needing("x")}, {Name: "c/free", DAG: true}},
			want:  "x=success slow=success y=success free=success → success",
			order: "x slow free y",
		},
		{
			name:  "within a stage what is needed comes first",
			jobs:  []pipeline.Job{{Name: "a/z", Needs: needing("x")}, {Name: "a/x"}},
			want:  "z=success x=success → success",
			order: "x z",
		},
		{
			name:  "a failure skips what comes after",
			jobs:  []pipeline.Job{{Name: "a/x"}, {Name: "a/also"}, {Name: "b/y"}, {Name: "b/z", Needs: needing("also")}},
			fails: "x",
			want:  "x=failed also=success y=skipped z=success → failed",
			order: "x also z",
		},
		{
			name: "on_failure and always",
			jobs: []pipeline.Job{
				{Name: "a/x"}, {Name: "b/y"}, {Name: "c/mend", When: pipeline.WhenOnFailure}, {Name: "c/tell", When: pipeline.WhenAlways},
			},
			fails: "x",
			want:  "x=failed y=skipped mend=success tell=success → failed",
			order: "x mend tell",
		},
		{
			name:  "on_failure without a failure",
			jobs:  []pipeline.Job{{Name: "a/x"}, {Name: "b/mend", When: pipeline.WhenOnFailure}},
			want:  "x=success mend=skipped → success",
			order: "x",
		},
		{
			name:  "a manual job that may fail holds nobody up",
			jobs:  []pipeline.Job{{Name: "a/m", When: pipeline.WhenManual, AllowFailure: true}, {Name: "b/y"}},
			want:  "m=manual y=success → success",
			order: "y",
		},
		{
			name:  "one that may not does",
			jobs:  []pipeline.Job{{Name: "a/m", When: pipeline.WhenManual}, {Name: "b/y"}},
			want:  "m=manual y=created → manual",
			order: "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newRun(t, tt.jobs...)
			h.in.Slots = make(chan struct{}, 1)
			for _, name := range strings.Fields(tt.fails) {
				h.scripts[name] = exit(1)
			}
			res := h.run()
			if got := h.statuses(res); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			if got := strings.Join(h.started(), " "); got != tt.order {
				t.Errorf("started %s, want %s", got, tt.order)
			}
		})
	}
}

func TestRunRefusesAPipelineThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/x", Needs: needing("y")}, pipeline.Job{Name: "a/y", Needs: needing("x")})
	if _, err := h.runErr(t.Context()); !errs.Is(err, errs.Invalid) {
		t.Errorf("a circle: %v", err)
	}
	h = newRun(t, pipeline.Job{Name: "a/x", ResourceGroup: "$A", Variables: []pipeline.Variable{{Name: "A", Value: "$B"}, {Name: "B", Value: "$A"}}})
	if _, err := h.runErr(t.Context()); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), `"x": resource_group`) {
		t.Errorf("a resource group without a name: %v", err)
	}
}

// Ten jobs meet in pairs: two run at a time, and never three.
func TestSlotsBoundWhatRunsAtOnce(t *testing.T) {
	t.Parallel()
	var jobs []pipeline.Job
	for i := range 10 {
		jobs = append(jobs, pipeline.Job{Name: fmt.Sprintf("a/j%d", i)})
	}
	h := newRun(t, jobs...)
	h.in.Slots = make(chan struct{}, 2)
	meet := make(chan struct{})
	for i := range 10 {
		h.scripts[fmt.Sprintf("j%d", i)] = func(ctx context.Context, _ fakeCommand) (int, error) {
			select {
			case meet <- struct{}{}:
			case <-meet:
			case <-ctx.Done():
			}
			return 0, context.Cause(ctx)
		}
	}
	if res := h.run(); res.Status != pipeline.StatusSuccess || h.most != 2 {
		t.Errorf("%s, %d at once, want success with 2", res.Status, h.most)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		job   pipeline.Job
		codes []int // of each attempt
		want  string
		code  int // in the state at the end
	}{
		{"until it succeeds", pipeline.Job{Retry: pipeline.Retry{Max: 2}}, []int{1, 1, 0}, "x=success(3) → success", 0},
		{"not more often than it may", pipeline.Job{Retry: pipeline.Retry{Max: 1}}, []int{3, 4}, "x=failed(2) → failed", 4},
		{"not after success", pipeline.Job{Retry: pipeline.Retry{Max: 2}}, []int{0}, "x=success → success", 0},
		{"for this reason only", pipeline.Job{Retry: pipeline.Retry{Max: 2, When: []string{"runner_system_failure"}}}, []int{1}, "x=failed → failed", 1},
		{"for this exit code only", pipeline.Job{Retry: pipeline.Retry{Max: 2, ExitCodes: []int{75}}}, []int{75, 1}, "x=failed(2) → failed", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.job.Name = "a/x"
			h := newRun(t, tt.job)
			var n atomic.Int64
			h.scripts["x"] = func(_ context.Context, c fakeCommand) (int, error) {
				i := n.Add(1)
				c.Print(fmt.Sprintf("attempt %d\n", i))
				if i > int64(len(tt.codes)) {
					return 0, errors.New("one attempt too many")
				}
				return tt.codes[i-1], nil
			}
			res := h.run()
			if got := h.statuses(res); got != tt.want || int(n.Load()) != len(tt.codes) {
				t.Errorf("got %s after %d attempts, want %s after %d", got, n.Load(), tt.want, len(tt.codes))
			}
			if got := res.State.Jobs[0].ExitCode; got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			// Each attempt has a log of its own; the record is the last one's.
			logs, err := os.ReadDir(filepath.Join(h.in.Dir, "logs"))
			must(t, err)
			if last := fmt.Sprintf("attempt %d\n", len(tt.codes)); len(logs) != len(tt.codes) || h.log(res, "x") != last {
				t.Errorf("%d logs, want %d; the last is %q", len(logs), len(tt.codes), h.log(res, "x"))
			}
			for i, l := range logs { // ids grow
				text, err := os.ReadFile(filepath.Join(h.in.Dir, "logs", l.Name()))
				must(t, err)
				if want := fmt.Sprintf("attempt %d\n", i+1); string(text) != want {
					t.Errorf("%s is %q, want %q", l.Name(), text, want)
				}
			}
		})
	}
}

// A job that is tried again starts from nothing: its last attempt's artifacts
// and files are gone.
func TestRetryStartsAfresh(t *testing.T) {
	t.Parallel()
	h := newRun(t,
		pipeline.Job{Name: "a/x", Retry: pipeline.Retry{Max: 1}, Artifacts: &pipeline.Artifacts{Paths: []string{"f*"}, When: pipeline.WhenAlways}},
		pipeline.Job{Name: "b/y"})
	var n atomic.Int64
	h.scripts["x"] = func(_ context.Context, c fakeCommand) (int, error) {
		i := n.Add(1)
		return int(2 - i), os.WriteFile(filepath.Join(c.Workspace(), fmt.Sprintf("f%d", i)), nil, 0o644)
	}
	var got files
	h.scripts["y"] = func(_ context.Context, c fakeCommand) (int, error) {
		got = harvest(t, c.Workspace())
		return 0, nil
	}
	h.run()
	same(t, got, files{"README": "of the repository", "f2": ""})
}

func TestAllowFailure(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		job  pipeline.Job
		code int
		want string
	}{
		{"any", pipeline.Job{AllowFailure: true}, 9, "x=failed y=success → success"},
		{"this exit code", pipeline.Job{AllowFailureCodes: []int{3, 9}}, 9, "x=failed y=success → success"},
		{"not this one", pipeline.Job{AllowFailureCodes: []int{3, 9}}, 1, "x=failed y=skipped → failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.job.Name = "a/x"
			h := newRun(t, tt.job, pipeline.Job{Name: "b/y"})
			h.scripts["x"] = exit(tt.code)
			if got := h.statuses(h.run()); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			allowed := h.told(pipeline.ReportJobStatus, func(ev pipeline.Report) string {
				if ev.Status == pipeline.StatusFailed {
					return fmt.Sprint(ev.AllowFailure, ev.ExitCode)
				}
				return ""
			})
			if want := fmt.Sprint(strings.HasSuffix(tt.want, "success"), tt.code); !slices.Contains(allowed, want) {
				t.Errorf("told %q, want %q", allowed, want)
			}
		})
	}
}

func TestDelayedJobs(t *testing.T) {
	t.Parallel()
	t.Run("now", func(t *testing.T) {
		t.Parallel()
		h := newRun(t, pipeline.Job{Name: "a/d", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(time.Hour)}, pipeline.Job{Name: "b/y"})
		h.in.Now = true
		if got, want := h.statuses(h.run()), "d=success y=success → success"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("when its time has come", func(t *testing.T) {
		t.Parallel()
		h := newRun(t, pipeline.Job{Name: "a/d", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(time.Millisecond)})
		if got, want := h.statuses(h.run()), "d=success → success"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("canceled by another job's failure, it holds nobody up", func(t *testing.T) {
		t.Parallel()
		h := newRun(t, pipeline.Job{Name: "a/d", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(time.Hour)}, pipeline.Job{Name: "a/x"})
		h.in.Pipeline.AutoCancel.OnJobFailure = "all"
		h.scripts["x"] = exit(1)
		if got, want := h.statuses(h.run()), "d=canceled x=failed → failed"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		h := newRun(t, pipeline.Job{Name: "a/d", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(time.Hour)}, pipeline.Job{Name: "a/x"})
		h.scripts["x"] = h.stops("x")
		res := h.run()
		if res.State.Jobs[0].Status != pipeline.StatusCanceled {
			t.Errorf("got %s", h.statuses(res))
		}
	})
}

func TestManualJobsArePlayed(t *testing.T) {
	t.Parallel()
	manual := func(name string) pipeline.Job { return pipeline.Job{Name: name, When: pipeline.WhenManual} }
	tests := []struct {
		name    string
		jobs    []pipeline.Job
		play    []string
		answers []string // of Ask
		asked   []string
		want    string
	}{
		{
			name: "by name, when its turn comes",
			jobs: []pipeline.Job{{Name: "a/x"}, manual("b/m"), {Name: "c/y"}},
			play: []string{"m"},
			want: "x=success m=success y=success → success",
		},
		{
			name: "a name of another one",
			jobs: []pipeline.Job{manual("a/m"), manual("a/n")},
			play: []string{"n"},
			want: "m=manual n=success → manual",
		},
		{
			name:    "asked until nobody wants more",
			jobs:    []pipeline.Job{manual("a/m"), manual("a/n"), manual("a/o"), {Name: "b/y"}},
			answers: []string{"n", "o", ""},
			asked:   []string{"m n o", "m o", "m"},
			want:    "m=manual n=success o=success y=created → manual",
		},
		{
			name:    "what comes after goes on then",
			jobs:    []pipeline.Job{manual("a/m"), {Name: "b/y"}},
			answers: []string{"m"},
			asked:   []string{"m"},
			want:    "m=success y=success → success",
		},
		{
			name:    "nothing to ask",
			jobs:    []pipeline.Job{{Name: "a/x"}},
			answers: []string{"x"},
			want:    "x=success → success",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newRun(t, tt.jobs...)
			h.in.Play = func(_, name string) bool { return slices.Contains(tt.play, name) }
			var asked []string
			if tt.answers != nil {
				h.in.Ask = func(_ context.Context, jobs []string) string {
					asked = append(asked, strings.Join(jobs, " "))
					answer := tt.answers[0]
					tt.answers = tt.answers[1:]
					return answer
				}
			}
			if got := h.statuses(h.run()); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			same(t, asked, tt.asked)
		})
	}
}

func TestAnAnswerThatIsNoJobIsAnError(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/m", When: pipeline.WhenManual})
	h.in.Ask = func(context.Context, []string) string { return "nope" }
	if _, err := h.runErr(t.Context()); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "nope") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsInTheWayOfAJob(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		spoil  func(h *runTest)
		reason pipeline.Reason
		say    string
	}{
		{"no input", func(h *runTest) {
			h.in.Job = func(*pipeline.Job) (engine.JobInput, error) {
				return engine.JobInput{}, errs.E(errs.Invalid, "no such runtime")
			}
		}, pipeline.ReasonRunnerSystemFailure, "no such runtime"},
		{"no folder for logs", func(h *runTest) { must(h.t, os.Remove(filepath.Join(h.in.Dir, "logs"))) }, pipeline.ReasonRunnerSystemFailure, "logs"},
		{"no workspace", func(h *runTest) {
			h.change = func(in *engine.JobInput) { in.Tree = workspace.NewTree(filepath.Join(h.in.Dir, "nowhere")) }
		}, pipeline.ReasonRunnerSystemFailure, "nowhere"},
		{"no image", func(h *runTest) {
			h.fake.OnStart = func(context.Context, executor.Spec) error { return errs.E(errs.NotFound, "no image alpine:0") }
		}, pipeline.ReasonImagePull, "alpine:0"},
		{"an image for others", func(h *runTest) {
			h.fake.OnStart = func(context.Context, executor.Spec) error { return errs.E(errs.Denied, "not your image") }
		}, pipeline.ReasonImagePull, "not your image"},
		{"no engine", func(h *runTest) {
			h.fake.OnStart = func(context.Context, executor.Spec) error { return errs.E(errs.Unavailable, "no answer") }
		}, pipeline.ReasonRunnerSystemFailure, "no answer"},
		{"no shell", func(h *runTest) {
			h.scripts["x"] = func(context.Context, fakeCommand) (int, error) { return -1, errs.E(errs.NotFound, "no shell") }
		}, pipeline.ReasonRunnerSystemFailure, "no shell"},
		{"a name that is no variable's", func(h *runTest) {
			h.in.Pipeline.Jobs[0].Variables = []pipeline.Variable{{Name: "A=B", Value: "x"}}
		}, pipeline.ReasonRunnerSystemFailure, `"A=B"`},
		{"variables that need each other", func(h *runTest) {
			h.in.Pipeline.Jobs[0].Variables = []pipeline.Variable{{Name: "A", Value: "$B"}, {Name: "B", Value: "$A"}}
		}, pipeline.ReasonRunnerSystemFailure, "A → B → A"},
		{"a step from elsewhere", func(h *runTest) {
			h.in.Pipeline.Jobs[0].Run = []pipeline.RunEntry{{Name: "s", Script: "true"}, {Name: "far", Step: "https://example.com/step"}}
		}, pipeline.ReasonRunnerUnsupported, "far"},
		{"a hook that fails", func(h *runTest) {
			h.in.Pipeline.Jobs[0].PreGetSources = []string{"false"}
			h.scripts["x"] = exit(4) // the hook's
		}, pipeline.ReasonRunnerSystemFailure, "exit code 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newRun(t, pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "b/y", When: pipeline.WhenOnFailure})
			tt.spoil(h)
			res := h.run()
			state, rec := res.State.Jobs[0], res.Jobs[0]
			if state.Status != pipeline.StatusFailed || state.Reason != tt.reason || res.Status != pipeline.StatusFailed {
				t.Errorf("got %s by %q, want failed by %q", h.statuses(res), state.Reason, tt.reason)
			}
			if rec.Result.Err == nil || !strings.Contains(rec.Result.Err.Error(), tt.say) {
				t.Errorf("error %v, want %q", rec.Result.Err, tt.say)
			}
			told := h.told(pipeline.ReportJobStatus, func(ev pipeline.Report) string {
				if ev.Job != "x" || ev.Status != pipeline.StatusFailed {
					return ""
				}
				return string(ev.Reason) + ": " + ev.Message
			})
			if !slices.ContainsFunc(told, func(s string) bool {
				return strings.HasPrefix(s, string(tt.reason)) && strings.Contains(s, tt.say)
			}) {
				t.Errorf("told %q", told)
			}
			for _, c := range h.fake.Asked() {
				if c.Script() == "step0.sh" {
					t.Error("a step ran before it was known that another cannot")
				}
			}
		})
	}
}

func TestCoverageIsTold(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/x", Coverage: `cov (\d+)`}, pipeline.Job{Name: "a/bad", Coverage: `cov (\d+)`}, pipeline.Job{Name: "a/odd", Coverage: `(?<!x)y`})
	say := func(code int) script {
		return func(_ context.Context, c fakeCommand) (int, error) { c.Print("cov 42\n"); return code, nil }
	}
	h.scripts["x"], h.scripts["bad"] = say(0), say(1)
	res := h.run()
	got := map[string]float64{}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range h.events {
		if ev.Coverage != nil {
			got[ev.Job+" "+string(ev.Status)] = *ev.Coverage
		}
	}
	same(t, got, map[string]float64{"x success": 42, "bad failed": 42})
	if res.State.Jobs[2].Status != pipeline.StatusSuccess {
		t.Error("an expression that is not known fails the job")
	}
}
