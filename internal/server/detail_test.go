package server

import (
	"testing"

	"refline/internal/pipeline"
	"refline/internal/store"
)

// A run that failed says since which run of its ref all have; those of other refs, and
// those that were canceled, change nothing.
func TestFailingSince(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(7, "data/flows")
	var runs []store.Run
	for i, x := range []struct {
		ref    string
		status pipeline.Status
	}{
		{"main", "failed"}, {"main", "success"}, {"main", "canceled"}, {"main", "failed"}, {"side", "success"}, {"main", "skipped"}, {"main", "failed"}, {"side", "failed"}, {"main", "success"},
	} {
		n := int64(i + 1)
		runs = append(runs, store.Run{ID: n, Number: n, Project: 7, Pipeline: 1, Version: 1, Status: x.status, Ref: x.ref, SHA: string(rune('a' + i)), Created: s.now()})
	}
	if err := s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutRuns(t.Context(), runs) }); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int]struct {
		run, good int64
		failed    int
	}{0: {1, 0, 1}, 3: {4, 2, 1}, 6: {4, 2, 2}, 7: {8, 5, 1}} {
		got, err := s.failingSince(t.Context(), runs[at])
		if err != nil || got == nil || got.Run != want.run || got.Good != want.good || got.Failed != want.failed || got.More {
			t.Errorf("run %d: %+v, %v; want %+v", at+1, got, err, want)
		}
	}
	for _, at := range []int{1, 2, 8} {
		if got, err := s.failingSince(t.Context(), runs[at]); got != nil || err != nil {
			t.Errorf("run %d, which did not fail: %+v, %v", at+1, got, err)
		}
	}
}
