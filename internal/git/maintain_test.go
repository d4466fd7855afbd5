package git

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"refline/internal/errs"
)

func TestMaintain(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("base", "a", "0")
	r := remote(t, src.dir, localAccess(t))
	must(t, r.Maintain(t.Context(), MaintainOptions{Forget: time.Hour})) // no mirror yet
	var topics []Resolved
	for i := range 5 {
		src.git("checkout", "-q", "-B", "topic", "main")
		src.commit(fmt.Sprint(i), "a", strings.Repeat(fmt.Sprint("only in this topic ", i, "\n"), 100))
		c, err := r.Update(t.Context(), Ref{KindBranch, "topic"}, 0)
		must(t, err)
		must(t, r.Fetch(t.Context(), Resolved{Kind: KindCommit, Commit: c.Commit}, 0))
		topics = append(topics, c)
	}
	has := func(c Resolved) bool {
		_, err := r.own("--git-dir="+r.mirror(), "cat-file", "-e", c.Commit).output(t.Context())
		return err == nil
	}
	packs := func() int {
		names, _ := filepath.Glob(filepath.Join(r.objects(), "pack", "*.pack"))
		return len(names)
	}
	must(t, r.Maintain(t.Context(), MaintainOptions{}))
	for i, c := range topics {
		if !has(c) {
			t.Errorf("topic %d was dropped without being asked to", i)
		}
	}
	if n := packs(); n != 1 {
		t.Errorf("%d packs, want 1", n)
	}
	// All but the last two are old, and the first one is used again.
	past := time.Now().Add(-48 * time.Hour)
	for _, c := range topics[:3] {
		must(t, os.Chtimes(recordPath(r.mirror(), 0, c.Commit), past, past))
	}
	must(t, r.Fetch(t.Context(), topics[0], 0))
	names, _ := filepath.Glob(filepath.Join(r.objects(), "pack", "*"))
	for _, name := range names {
		must(t, os.Chtimes(name, past, past))
	}
	must(t, r.Maintain(t.Context(), MaintainOptions{Forget: 24 * time.Hour}))
	for i, want := range []bool{true, false, false, true, true} {
		if got := has(topics[i]); got != want {
			t.Errorf("topic %d is in the mirror: %v, want %v", i, got, want)
		}
		if _, ok := r.record(topics[i], 0); ok != want {
			t.Errorf("topic %d has a record: %v, want %v", i, ok, want)
		}
	}
	if got := tree(t, r.mustCheckout(t, topics[4], CheckoutOptions{}))["a"]; !strings.Contains(got, "topic 4") {
		t.Errorf("the last topic: %.40q", got)
	}
	gitIn(t, r.mirror(), src.env, "--git-dir=.", "fsck")
	// What was dropped comes again if the remote still has it.
	if err := r.Fetch(t.Context(), topics[1], 0); err != nil && !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	PruneMirrors(filepath.Dir(r.dir), time.Hour)
	if _, err := os.Stat(r.dir); err != nil {
		t.Errorf("a mirror in use was removed: %v", err)
	}
	must(t, os.Chtimes(filepath.Join(r.dir, "lock"), past, past))
	PruneMirrors(filepath.Dir(r.dir), time.Hour)
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("an unused mirror stayed: %v", err)
	}
}
