package engine

import (
	"context"
	"path/filepath"
	"testing"

	"refline/internal/pipeline"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	var n numbers
	same(t, []int{n.take(), n.take(), n.take()}, []int{0, 1, 2})
	n.free(1)
	n.free(0)
	same(t, []int{n.take(), n.take(), n.take()}, []int{0, 1, 3})
}

// Jobs that run one after the other work in the same folder, a child's too; those
// that run at the same time have different numbers.
func TestFoldersOfJobs(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/one"}, pipeline.Job{Name: "b/two"}, trigger("c/t", "depend"))
	h.in.Child = func(_ context.Context, req ChildRequest) (*RunInput, error) {
		return h.child(req, pipeline.Job{Name: "x/three"}), nil
	}
	h.run()
	for _, c := range h.fake.asked() {
		if got := c.workspace(); got != filepath.Join(h.in.Work, "1", "work") || c.env("CI_CONCURRENT_ID") != "0" {
			t.Errorf("%s in %s with number %s", c.env("CI_JOB_NAME"), got, c.env("CI_CONCURRENT_ID"))
		}
	}

	h = newRun(t, pipeline.Job{Name: "a/p"}, pipeline.Job{Name: "a/q"})
	meet := make(chan string)
	h.scripts["p"] = func(_ context.Context, c fakeCommand) (int, error) { meet <- c.env("CI_CONCURRENT_ID"); return 0, nil }
	h.scripts["q"] = func(_ context.Context, c fakeCommand) (int, error) {
		if other, own := <-meet, c.env("CI_CONCURRENT_ID"); other == own {
			t.Errorf("both have number %s", own)
		}
		return 0, nil
	}
	h.run()
}

// The workspace is called like the project, where that is a name for a folder.
func TestNameOfTheWorkspace(t *testing.T) {
	t.Parallel()
	for project, want := range map[string]string{"": "work", "shop": "shop", "a.b-c_1": "a.b-c_1", "..": "work", ".git": "work", "a/b": "work", "ä": "work", "tmp": "work", "before": "work"} {
		h := newJob(t, pipeline.Job{})
		h.in.Variables = []pipeline.Variable{{Name: "CI_PROJECT_NAME", Value: project}}
		h.run()
		if got := filepath.Base(h.fake.asked()[0].workspace()); got != want {
			t.Errorf("%q: got %s, want %s", project, got, want)
		}
	}
}
