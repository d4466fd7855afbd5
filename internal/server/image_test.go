package server

import (
	"fmt"
	"testing"

	"refline/internal/store"
)

// An image says itself of which commit it is. A run of it sets no status on that
// commit, which its maker may have chosen, and its ref is that of the image.
func TestRunOfAnImageSetsNoStatus(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.work()
	s.addTestProject(7, "data/flows")
	for run, image := range map[int64]string{1: "", 2: "registry.example.com/flows@sha256:1"} {
		facts := fmt.Appendf(nil, `{"facts": {"branch": "main", "sha": "abc"}, "image": %q}`, image)
		if err := s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutRunFacts(t.Context(), run, facts) }); err != nil {
			t.Fatal(err)
		}
		n, _, err := s.noticeRun(t.Context(), store.Run{ID: run, Project: 7, SHA: "abc", Ref: "registry.example.com/flows:1"})
		if err != nil {
			t.Fatal(err)
		}
		messages, err := s.messages(n, wantedNotices{status: true})
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "refs/heads/main", false: "registry.example.com/flows:1"}[image == ""]
		if (len(messages) == 1) != (image == "") || n.Ref != want {
			t.Errorf("image %q: %d messages, ref %s, want %s", image, len(messages), n.Ref, want)
		}
	}
}
