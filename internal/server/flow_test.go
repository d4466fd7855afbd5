package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/scheduler"
	"refline/internal/store"
)

// A flow that follows a deleted branch is archived, unless a person named it.
func TestArchiveFlows(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.work()
	s.addTestProject(7, "data/flows")
	for i, f := range []store.Flow{
		{Name: "etl@fix", RefKind: "branch", Ref: "fix"}, {Name: "mine", Named: true, RefKind: "branch", Ref: "fix"},
		{Name: "etl", RefKind: "branch", Ref: "main"}, {Name: "tagged", RefKind: "tag", Ref: "fix"},
	} {
		f.ID, f.Project, f.Version, f.Path = int64(i+1), 7, 1, "etl.yml"
		if err := s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutFlow(t.Context(), f) }); err != nil {
			t.Fatal(err)
		}
	}
	archived, err := s.archiveFlows(t.Context(), 7, []scheduler.RefMove{{Ref: "refs/heads/fix", From: "1"}, {Ref: "refs/tags/main"}})
	if err != nil || len(archived) != 1 || archived[0].Name != "etl@fix" {
		t.Errorf("archived %+v, %v", archived, err)
	}
	left, err := s.store.Flows(t.Context(), store.FlowFilter{Project: 7})
	var names []string
	for _, f := range left {
		names = append(names, f.Name)
	}
	if d := cmp.Diff([]string{"etl", "mine", "tagged"}, names); d != "" || err != nil {
		t.Error(d, err)
	}
	versions, err := s.store.FlowVersions(t.Context(), 1, 10)
	if err != nil || len(versions) != 2 || versions[0].Actor != "deleted branch fix" {
		t.Errorf("versions %+v, %v", versions, err)
	}
	if again, err := s.archiveFlows(t.Context(), 7, []scheduler.RefMove{{Ref: "refs/heads/fix"}}); err != nil || len(again) != 0 {
		t.Errorf("archived again: %+v, %v", again, err)
	}
}
