package engine

import (
	"context"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
	"testing"
)

// The reason is the same whether or not the job has a hook.
func TestMissingImageOfAJobWithAHook(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{PreGetSources: []string{"true"}})
	h.fake.OnStart = func(context.Context, executor.Spec) error { return errs.E(errs.NotFound, "no image") }
	if res := h.run(); res.Reason != pipeline.ReasonImagePull {
		t.Errorf("got %+v", res)
	}
}

// As on GitLab the last match of a line counts, and the last of its groups.
func TestCoverageTakesTheLastMatchOfALine(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]float64{`\d+%`: 81, `(\d+) of (\d+)%`: 81} {
		c := newCoverage(expr)
		c.feed([]byte("10% before, 5 of 81%\n"))
		if v := c.value(); v == nil || *v != want {
			t.Errorf("%s: got %v, want %v", expr, *v, want)
		}
	}
}
