package localrun

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"refline/internal/errs"
	"refline/internal/lock"
	"refline/internal/pipeline"
)

func withAfter(name string) pipeline.Job {
	return pipeline.Job{Name: name, Script: []string{"work"}, AfterScript: []string{"tidy"}}
}

// ran are the scripts that were started, sorted.
func (h *runTest) ran() string {
	var list []string
	for _, c := range h.fake.Asked() {
		list = append(list, strings.TrimSuffix(c.Var("CI_JOB_NAME")+" "+strings.TrimSuffix(c.Script(), ".sh"), " script"))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func TestStop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		jobs []pipeline.Job
		set  func(h *runTest, kill context.CancelFunc)
		want string
		ran  string
	}{
		{
			name: "while a job runs: after_script runs, nothing else does",
			jobs: []pipeline.Job{withAfter("a/x"), {Name: "b/y"}, {Name: "b/always", When: pipeline.WhenAlways}},
			set: func(h *runTest, _ context.CancelFunc) {
				h.scripts["x"] = h.stops("x")
				h.scripts["x after"] = func(ctx context.Context, c fakeCommand) (int, error) {
					if c.Var("CI_JOB_STATUS") != "canceled" || ctx.Err() != nil {
						h.t.Errorf("after_script with CI_JOB_STATUS=%s, %v", c.Var("CI_JOB_STATUS"), ctx.Err())
					}
					return 0, nil
				}
			},
			want: "x=canceled y=canceled always=canceled → canceled",
			ran:  "x, x after_script",
		},
		{
			name: "a job that ends well all the same was canceled",
			jobs: []pipeline.Job{withAfter("a/x")},
			set: func(h *runTest, _ context.CancelFunc) {
				h.scripts["x"] = func(context.Context, fakeCommand) (int, error) { h.cancel(); h.awaitCanceling("x"); return 0, nil }
			},
			want: "x=canceled → canceled",
			ran:  "x, x after_script",
		},
		{
			name: "jobs that wait for a slot never start",
			jobs: []pipeline.Job{{Name: "a/x"}, {Name: "a/y"}, {Name: "a/z"}},
			set: func(h *runTest, _ context.CancelFunc) {
				h.in.Slots = make(chan struct{}, 1)
				h.scripts["x"] = h.stops("x")
			},
			want: "x=canceled y=canceled z=canceled → canceled",
			ran:  "x",
		},
		{
			name: "nobody is asked any more, nothing is played",
			jobs: []pipeline.Job{{Name: "a/x"}, {Name: "a/m", When: pipeline.WhenManual, AllowFailure: true}},
			set: func(h *runTest, _ context.CancelFunc) {
				h.in.Ask = func(context.Context, []string) string { h.t.Error("asked"); return "m" }
				h.scripts["x"] = h.stops("x")
			},
			want: "x=canceled m=manual → canceled",
			ran:  "x",
		},
		{
			name: "a second time, at once: after_script is ended",
			jobs: []pipeline.Job{withAfter("a/x"), {Name: "b/y"}},
			set: func(h *runTest, kill context.CancelFunc) {
				h.scripts["x"] = h.stops("x")
				h.scripts["x after"] = func(ctx context.Context, _ fakeCommand) (int, error) {
					h.cancel()
					kill()
					return untilStopped(ctx)
				}
			},
			want: "x=canceled y=canceled → canceled",
			ran:  "x, x after_script",
		},
		{
			name: "at once: no after_script",
			jobs: []pipeline.Job{withAfter("a/x"), {Name: "a/y"}},
			set: func(h *runTest, kill context.CancelFunc) {
				h.in.Slots = make(chan struct{}, 1)
				h.scripts["x"] = func(ctx context.Context, _ fakeCommand) (int, error) { kill(); return untilStopped(ctx) }
			},
			want: "x=canceled y=canceled → canceled",
			ran:  "x",
		},
		{
			name: "a failure cancels the rest; one is in its after_script then, and finishes it, even when stopped",
			jobs: []pipeline.Job{withAfter("a/x"), {Name: "a/bad"}, {Name: "b/y"}},
			set: func(h *runTest, _ context.CancelFunc) {
				h.in.Pipeline.AutoCancel.OnJobFailure = "all"
				tidying := make(chan struct{})
				h.scripts["x after"] = func(ctx context.Context, _ fakeCommand) (int, error) {
					close(tidying)
					h.awaitCanceling("x")
					h.cancel()
					return 0, ctx.Err()
				}
				h.scripts["bad"] = func(context.Context, fakeCommand) (int, error) { <-tidying; return 1, nil }
			},
			want: "x=canceled bad=failed y=canceled → failed",
			ran:  "bad, x, x after_script",
		},
		{
			name: "a child pipeline is stopped with it",
			jobs: []pipeline.Job{trigger("a/t", "depend"), {Name: "b/y"}},
			set: func(h *runTest, _ context.CancelFunc) {
				h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
					return h.child(req, withAfter("c/in"), pipeline.Job{Name: "d/later"}), nil
				}
				h.scripts["in"] = h.stops("t / in")
			},
			want: "t=canceled y=canceled → canceled",
			ran:  "in, in after_script",
		},
		{
			name: "a child that nobody waits for too",
			jobs: []pipeline.Job{trigger("a/t", ""), {Name: "b/y"}},
			set: func(h *runTest, _ context.CancelFunc) {
				h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
					return h.child(req, pipeline.Job{Name: "c/in"}), nil
				}
				inside := make(chan struct{})
				h.scripts["in"] = func(ctx context.Context, _ fakeCommand) (int, error) { close(inside); return untilStopped(ctx) }
				h.scripts["y"] = func(context.Context, fakeCommand) (int, error) {
					<-inside
					h.cancel()
					h.awaitCanceling("y")
					return 1, nil
				}
			},
			want: "t=success y=canceled → canceled",
			ran:  "in, y",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newRun(t, tt.jobs...)
			ctx, kill := context.WithCancel(t.Context())
			defer kill()
			tt.set(h, kill)
			res, err := h.runErr(ctx)
			must(t, err)
			if got := h.statuses(res); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			if got := h.ran(); got != tt.ran {
				t.Errorf("ran %q, want %q", got, tt.ran)
			}
		})
	}
}

// However a run ends, no goroutine of it is left. These tests are not parallel:
// the goroutines of others would be found.
func TestNoGoroutineStays(t *testing.T) {
	delayed := pipeline.Job{Name: "a/d", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(time.Hour)}
	manual := pipeline.Job{Name: "a/m", When: pipeline.WhenManual, AllowFailure: true}
	blocks := func(then func()) script {
		return func(ctx context.Context, _ fakeCommand) (int, error) { then(); return untilStopped(ctx) }
	}
	tests := []struct {
		name string
		jobs []pipeline.Job
		set  func(h *runTest, kill context.CancelFunc)
		err  errs.Kind // 0 with fails false: none
		fail bool
	}{
		{name: "success", jobs: []pipeline.Job{{Name: "a/x"}, trigger("a/t", "depend"), trigger("a/u", "")}},
		{name: "failure", jobs: []pipeline.Job{withAfter("a/x"), {Name: "b/y"}}, set: func(h *runTest, _ context.CancelFunc) {
			h.scripts["x"] = exit(1)
		}},
		{name: "stop", jobs: []pipeline.Job{withAfter("a/x"), delayed, trigger("a/t", "depend")}, set: func(h *runTest, _ context.CancelFunc) {
			h.scripts["x"] = blocks(h.cancel)
			h.scripts["in"] = blocks(func() {})
		}},
		{name: "stop before", jobs: []pipeline.Job{withAfter("a/x"), delayed}, set: func(h *runTest, _ context.CancelFunc) { h.cancel() }},
		{name: "at once", jobs: []pipeline.Job{withAfter("a/x"), trigger("a/t", "depend"), trigger("a/u", "")}, set: func(h *runTest, kill context.CancelFunc) {
			h.scripts["x"] = blocks(kill)
			h.scripts["in"] = blocks(func() {})
		}},
		{name: "canceled by a failure", jobs: []pipeline.Job{withAfter("a/x"), delayed, {Name: "a/bad"}}, set: func(h *runTest, _ context.CancelFunc) {
			h.in.Pipeline.AutoCancel.OnJobFailure = "all"
			begun := make(chan struct{})
			h.scripts["x"] = blocks(func() { close(begun) })
			h.scripts["bad"] = func(context.Context, fakeCommand) (int, error) { <-begun; return 1, nil }
		}},
		{name: "an error while a child runs that no job waits for", jobs: []pipeline.Job{trigger("a/t", ""), manual}, fail: true, err: errs.NotFound,
			set: func(h *runTest, _ context.CancelFunc) {
				h.scripts["in"] = blocks(func() {})
				h.in.Ask = func(context.Context, []string) string { return "nope" }
			}},
		{name: "an error while jobs run, wait for a lock and are delayed", fail: true, err: errs.Conflict,
			jobs: []pipeline.Job{
				{Name: "a/x"}, {Name: "a/g", ResourceGroup: "held"}, delayed, trigger("a/t", "depend"),
				{Name: "a/last"}, {Name: "b/m", When: pipeline.WhenManual, Needs: needing("last")},
			},
			set: func(h *runTest, _ context.CancelFunc) {
				begun := make(chan struct{}, 2)
				h.scripts["x"] = blocks(func() { begun <- struct{}{} })
				h.scripts["in"] = blocks(func() { begun <- struct{}{} })
				h.scripts["last"] = func(context.Context, fakeCommand) (int, error) { <-begun; <-begun; return 0, nil }
				// The loop's own fault: the pipeline changes under it.
				h.in.Play = func(string, string) bool { h.in.Pipeline.Jobs[5].When = pipeline.WhenOnSuccess; return true }
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			h := newRun(t, tt.jobs...)
			ctx, kill := context.WithCancel(context.Background())
			stop, cancel := context.WithCancel(context.Background())
			h.in.Stop, h.cancel = stop, cancel
			dir := t.TempDir()
			h.lockIn(dir)
			release, err := lock.WaitName(ctx, dir, "held")
			must(t, err)
			defer release()
			h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
				return h.child(req, pipeline.Job{Name: "c/in"}), nil
			}
			if tt.set != nil {
				tt.set(h, kill)
			}
			_, err = h.runErr(ctx)
			if (err != nil) != tt.fail || tt.fail && !errs.Is(err, tt.err) {
				t.Errorf("error %v, want one: %v (%v)", err, tt.fail, tt.err)
			}
			kill()
			cancel()
			if err := goleak.Find(before); err != nil {
				t.Error(err)
			}
		})
	}
}

// Ids of jobs and of those of their children are different numbers, and the
// run's number is in them.
func TestJobIDs(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/x"}, trigger("b/t", "depend"), pipeline.Job{Name: "c/y", Retry: pipeline.Retry{Max: 1}})
	h.scripts["y"] = exit(1)
	h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
		return h.child(req, pipeline.Job{Name: "d/in"}), nil
	}
	h.run()
	var ids []string
	for _, c := range h.fake.Asked() {
		ids = append(ids, fmt.Sprint(c.Var("CI_JOB_NAME"), " ", c.Var("CI_JOB_ID"), " ", c.Spec.RunID+"/"+c.Spec.JobID))
	}
	same(t, ids, []string{"x 700001 7/700001", "in 700003 7.1/700003", "y 700004 7/700004", "y 700005 7/700005"})
}
