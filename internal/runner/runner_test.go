//go:build unix

package runner_test

import (
	"strings"
	"testing"

	"refline/internal/pipeline"
	"refline/internal/refltest"
	"refline/internal/store/storetest"
)

// TestRun: jobs run, in order, and their logs and results arrive.
func TestRun(t *testing.T) {
	t.Parallel()
	storetest.Each(t, testRun)
}

func testRun(t *testing.T, database string) {
	s := refltest.Start(t, refltest.Options{Database: database})
	s.Runner(s.RunnerOptions())
	r := s.Create(refltest.Jobs(
		pipeline.Job{Name: "first", Script: []string{"echo hello from $CI_JOB_ID"}},
		pipeline.Job{Name: "second", DAG: true, Needs: []pipeline.Need{{Job: "first"}}, Script: []string{"echo and bye", "exit 3"}},
	))
	if got := s.Wait(r.ID).Status; got != pipeline.StatusFailed {
		t.Errorf("status %s, want failed", got)
	}
	list := s.Attempts(r.ID)
	if len(list) != 2 {
		t.Fatalf("%d attempts, want 2", len(list))
	}
	for i, want := range []string{"hello from ", "and bye\n"} {
		if got := s.Log(r.ID, list[i].ID); !strings.Contains(got, want) {
			t.Errorf("log %d: got %q, want %q in it", i, got, want)
		}
	}
	s.Check()
}
