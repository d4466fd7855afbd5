package localrun

import (
	"context"
	"path/filepath"
	"testing"

	"refline/internal/pipeline"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	var n numbers
	same(t, []int{n.Take(), n.Take(), n.Take()}, []int{0, 1, 2})
	n.Free(1)
	n.Free(0)
	same(t, []int{n.Take(), n.Take(), n.Take()}, []int{0, 1, 3})
}

// Jobs that run one after the other work in the same folder, a child's too; those
// that run at the same time have different numbers.
func TestFoldersOfJobs(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/one"}, pipeline.Job{Name: "b/two"}, trigger("c/t", "depend"))
	h.in.Child = func(_ context.Context, req ChildRequest) (*Input, error) {
		return h.child(req, pipeline.Job{Name: "x/three"}), nil
	}
	h.run()
	for _, c := range h.fake.Asked() {
		if got := c.Workspace(); got != filepath.Join(h.in.Work, "1", "work") || c.Var("CI_CONCURRENT_ID") != "0" {
			t.Errorf("%s in %s with number %s", c.Var("CI_JOB_NAME"), got, c.Var("CI_CONCURRENT_ID"))
		}
	}

	h = newRun(t, pipeline.Job{Name: "a/p"}, pipeline.Job{Name: "a/q"})
	meet := make(chan string)
	h.scripts["p"] = func(_ context.Context, c fakeCommand) (int, error) { meet <- c.Var("CI_CONCURRENT_ID"); return 0, nil }
	h.scripts["q"] = func(_ context.Context, c fakeCommand) (int, error) {
		if other, own := <-meet, c.Var("CI_CONCURRENT_ID"); other == own {
			t.Errorf("both have number %s", own)
		}
		return 0, nil
	}
	h.run()
}
