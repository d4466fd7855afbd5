package localrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"refline/internal/lock"
	"refline/internal/pipeline"
)

// lockIn makes resource groups of a run locks of dir, as other runs of this
// computer have them.
func (h *runTest) lockIn(dir string) {
	h.in.Lock = func(ctx context.Context, group string) (func(), error) { return lock.WaitName(ctx, dir, group) }
}

func TestResourceGroups(t *testing.T) {
	t.Parallel()
	t.Run("one at a time, by the name that variables give", func(t *testing.T) {
		t.Parallel()
		var jobs []pipeline.Job
		for i := range 6 {
			jobs = append(jobs, pipeline.Job{
				Name: fmt.Sprintf("a/j%d", i), ResourceGroup: []string{"prod", "$WHERE", "pr${X}"}[i%3],
				Variables: []pipeline.Variable{{Name: "WHERE", Value: "pr$X"}, {Name: "X", Value: "od"}},
			})
		}
		h := newRun(t, jobs...)
		h.lockIn(t.TempDir())
		if res := h.run(); res.Status != pipeline.StatusSuccess || h.most != 1 {
			t.Errorf("%s, %d at once, want success with 1", res.Status, h.most)
		}
	})
	t.Run("without a lock too", func(t *testing.T) {
		t.Parallel()
		h := newRun(t, pipeline.Job{Name: "a/x", ResourceGroup: "g"}, pipeline.Job{Name: "a/y", ResourceGroup: "g"})
		if res := h.run(); res.Status != pipeline.StatusSuccess || h.most != 1 {
			t.Errorf("%s, %d at once, want success with 1", res.Status, h.most)
		}
	})
	t.Run("another run has it: others go on, in the only slot", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		release, err := lock.WaitName(t.Context(), dir, "prod")
		must(t, err)
		h := newRun(t, pipeline.Job{Name: "a/deploy", ResourceGroup: "prod"}, pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "b/y"})
		h.in.Slots = make(chan struct{}, 1)
		h.lockIn(dir)
		h.scripts["x"] = func(context.Context, fakeCommand) (int, error) { release(); return 0, nil }
		if got, want := h.statuses(h.run()), "deploy=success x=success y=success → success"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		var order []string
		for _, c := range h.fake.Asked() {
			order = append(order, c.Var("CI_JOB_NAME"))
		}
		same(t, order, []string{"x", "deploy", "y"})
	})
	t.Run("stopped while it waits for the lock", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		release, err := lock.WaitName(t.Context(), dir, "prod")
		must(t, err)
		defer release()
		h := newRun(t, pipeline.Job{Name: "a/deploy", ResourceGroup: "prod"}, pipeline.Job{Name: "a/x"})
		h.lockIn(dir)
		h.scripts["x"] = h.stops("x")
		if got, want := h.statuses(h.run()), "deploy=canceled x=canceled → canceled"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("stopped while it has the lock and waits for a slot", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		h := newRun(t, pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "a/deploy", ResourceGroup: "prod"})
		h.in.Slots = make(chan struct{}, 1)
		locked := make(chan struct{})
		h.in.Lock = func(ctx context.Context, group string) (func(), error) {
			defer close(locked)
			return lock.WaitName(ctx, dir, group)
		}
		h.scripts["x"] = func(ctx context.Context, c fakeCommand) (int, error) {
			<-locked
			return h.stops("x")(ctx, c)
		}
		if got, want := h.statuses(h.run()), "x=canceled deploy=canceled → canceled"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		release, err := lock.WaitName(t.Context(), dir, "prod") // it was given back
		must(t, err)
		release()
	})
	t.Run("no lock to be had", func(t *testing.T) {
		t.Parallel()
		h := newRun(t, pipeline.Job{Name: "a/deploy", ResourceGroup: "prod"}, pipeline.Job{Name: "a/x"})
		h.in.Lock = func(context.Context, string) (func(), error) { return nil, errors.New("disk full") }
		res := h.run()
		if got, want := h.statuses(res), "deploy=failed x=success → failed"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if rec := res.Jobs[0]; rec.Result.Reason != pipeline.ReasonRunnerSystemFailure || rec.Result.Err == nil || rec.Log != "" {
			t.Errorf("got %+v", rec)
		}
	})
}

// With one slot: a trigger job holds none while its child runs, at any depth
// and in a resource group too.
func TestTriggersTakeNoSlot(t *testing.T) {
	t.Parallel()
	for _, group := range []string{"", "prod"} {
		h := newRun(t, pipeline.Job{Name: "a/x"}, trigger("a/outer", "depend"), pipeline.Job{Name: "b/y"})
		h.in.Pipeline.Jobs[1].ResourceGroup = group
		h.in.Slots = make(chan struct{}, 1)
		h.lockIn(t.TempDir())
		h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
			if req.Job.Name == "outer" {
				inner := trigger("c/inner", "mirror")
				inner.ResourceGroup = group + "inner"
				return h.child(req, pipeline.Job{Name: "c/one", ResourceGroup: group + "one"}, inner, pipeline.Job{Name: "c/two"}), nil
			}
			return h.child(req, pipeline.Job{Name: "d/three"}, pipeline.Job{Name: "d/four", ResourceGroup: group + "four"}), nil
		}
		res := h.run()
		if got, want := h.statuses(res), "x=success outer=success y=success → success"; got != want || h.most != 1 {
			t.Errorf("group %q: got %s with %d at once, want %s with 1", group, got, h.most, want)
		}
		started := h.started()
		slices.Sort(started)
		same(t, started, []string{"outer", "outer / inner", "outer / inner / four", "outer / inner / three", "outer / one", "outer / two", "x", "y"})
	}
}
