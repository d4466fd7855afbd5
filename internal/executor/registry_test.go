package executor_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"refline/internal/errs"
	"refline/internal/executor"
)

type fake struct {
	executor.Executor
	closed *int
}

func (f fake) Close() error {
	*f.closed++
	return nil
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	var opened, failed, closed int
	broken := errors.New("no engine")
	r := executor.NewRegistry(
		executor.Kind{Name: "good", Open: func(context.Context) (executor.Executor, error) {
			opened++
			return fake{closed: &closed}, nil
		}},
		executor.Kind{Name: "bad", Isolated: true, Open: func(ctx context.Context) (executor.Executor, error) {
			failed++
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, broken
		}},
	)
	if got, want := r.Names(), []string{"good", "bad"}; !slices.Equal(got, want) {
		t.Errorf("names: got %q, want %q", got, want)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Open(done, "bad"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
	for range 2 {
		if ex, err := r.Open(t.Context(), "good"); ex == nil || err != nil {
			t.Errorf("good: got %v, %v", ex, err)
		}
		if _, err := r.Open(t.Context(), "bad"); !errors.Is(err, broken) {
			t.Errorf("bad: got %v, want %v", err, broken)
		}
	}
	if opened != 1 || failed != 2 {
		t.Errorf("opened %d and failed %d times, want 1, and 2 since a canceled call is not remembered", opened, failed)
	}
	if _, err := r.Open(t.Context(), "other"); !errs.Is(err, errs.Invalid) {
		t.Errorf("unknown: got %v, want invalid", err)
	}
	for range 2 {
		if err := r.Close(); err != nil || closed != 1 {
			t.Errorf("close: %v, %d times, want once", err, closed)
		}
	}
}
