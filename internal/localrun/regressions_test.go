package localrun

import (
	"context"
	"testing"
	"time"

	"refline/internal/pipeline"
)

// A run that is ended at once does not wait for the time of a delayed job.
func TestHardCancelEndsTheWaitOfADelayedJob(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/d", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(time.Minute)}, pipeline.Job{Name: "a/x"})
	ctx, kill := context.WithCancel(t.Context())
	h.scripts["x"] = func(ctx context.Context, _ fakeCommand) (int, error) { kill(); return untilStopped(ctx) }
	res, err := h.runErr(ctx)
	must(t, err)
	if res.Seconds > 30 || res.State.Jobs[0].Status != pipeline.StatusCanceled {
		t.Errorf("got %s after %v s", h.statuses(res), res.Seconds)
	}
}

// After a hard cancel nothing is asked nor played.
func TestHardCancelPlaysNothing(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "a/m", When: pipeline.WhenManual, AllowFailure: true})
	ctx, kill := context.WithCancel(t.Context())
	h.scripts["x"] = func(ctx context.Context, _ fakeCommand) (int, error) { kill(); return untilStopped(ctx) }
	n := 0
	h.in.Ask = func(context.Context, []string) string {
		n++
		if n > 1 {
			return ""
		}
		return "m"
	}
	res, err := h.runErr(ctx)
	must(t, err)
	if n > 0 {
		t.Errorf("asked %d times; got %s", n, h.statuses(res))
	}
}

// Stop ends the compilation of a child too.
func TestStopEndsAChildsCompilation(t *testing.T) {
	t.Parallel()
	h := newRun(t, trigger("a/t", "depend"))
	h.in.Child = func(ctx context.Context, _ ChildRequest) (*Input, error) {
		h.cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if got, want := h.statuses(h.run()), "t=canceled → canceled"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A run that was stopped before it began starts no script.
func TestStopBeforeAnythingBegan(t *testing.T) {
	t.Parallel()
	for range 20 {
		h := newRun(t, withAfter("a/x"), pipeline.Job{Name: "b/y"}, pipeline.Job{Name: "b/m", When: pipeline.WhenManual})
		h.cancel()
		if got, want := h.statuses(h.run()), "x=canceled y=canceled m=canceled → canceled"; got != want || h.ran() != "" {
			t.Errorf("got %s, ran %q", got, h.ran())
		}
	}
}

// As on GitLab a child gets what the trigger job's yaml says, not what
// overrides it in the job itself.
func TestForwardedVariablesKeepTheirOwnValue(t *testing.T) {
	t.Parallel()
	j := trigger("a/t", "depend")
	j.Variables = []pipeline.Variable{{Name: "TOKEN", Value: "of yaml"}, {Name: "URL", Value: "x $SOFT"}}
	h := newRun(t, j)
	h.in.Variables = func(*pipeline.Job) (below, above []pipeline.Variable) {
		return nil, []pipeline.Variable{{Name: "TOKEN", Value: "the secret", Raw: true, Masked: true}, {Name: "SOFT", Value: "another secret", Masked: true}}
	}
	var got []pipeline.Variable
	h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
		got = req.Variables
		return nil, context.Canceled
	}
	h.run()
	same(t, got, []pipeline.Variable{{Name: "TOKEN", Value: "of yaml"}, {Name: "URL", Value: "x $SOFT"}})
}

// Once the run is stopped no other script begins, though the job that ran when
// it was ended well at the same moment.
func TestNothingBeginsAfterStop(t *testing.T) {
	t.Parallel()
	for range 100 {
		h := newRun(t, pipeline.Job{Name: "a/x"}, pipeline.Job{Name: "b/y"})
		h.scripts["x"] = func(context.Context, fakeCommand) (int, error) { h.cancel(); return 0, nil }
		res := h.run()
		if h.ran() != "x" || res.State.Jobs[1].Status != pipeline.StatusCanceled {
			t.Fatalf("got %s, ran %q", h.statuses(res), h.ran())
		}
	}
}
