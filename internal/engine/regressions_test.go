package engine

import (
	"context"
	"os"
	"path/filepath"
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

// environment:url uses variables of the job's own dotenv report.
func TestURLOfADeploymentFromItsOwnReport(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{
		Environment: &pipeline.Environment{Name: "review/$BRANCH", URL: "$DYNAMIC_URL/$CI_ENVIRONMENT_SLUG"},
		Artifacts:   &pipeline.Artifacts{Reports: map[string][]string{"dotenv": {"v.env"}}},
	})
	h.in.Variables = []pipeline.Variable{{Name: "BRANCH", Value: "fix"}, {Name: "DYNAMIC_URL", Value: "before"}}
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		return 0, os.WriteFile(filepath.Join(c.Workspace(), "v.env"), []byte("DYNAMIC_URL=https://made.example.com\n"), 0o644)
	}
	h.run()
	same(t, h.notes(), []string{"deployed to review/fix: https://made.example.com/" + pipeline.EnvironmentSlug("review/fix")})
}
