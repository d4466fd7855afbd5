package git

import (
	"strings"
	"testing"

	"refline/internal/errs"
)

func TestContains(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	first := open(t, src.dir).SHA
	src.commit("two", "a", "2")
	src.git("checkout", "-q", "-b", "topic", first)
	src.commit("beside", "b", "1")
	beside := open(t, src.dir).SHA
	src.git("checkout", "-q", "main")
	w := open(t, src.dir)
	for commit, want := range map[string]bool{first: true, w.SHA: true, beside: false} {
		if got, err := w.Contains(t.Context(), commit); err != nil || got != want {
			t.Errorf("%s: got %t, %v, want %t", commit, got, err, want)
		}
	}
	if _, err := w.Contains(t.Context(), strings.Repeat("0", 40)); !errs.Is(err, errs.NotFound) {
		t.Errorf("a commit that is not here: got %v, want NotFound", err)
	}
	for _, bad := range []string{"", "--all"} {
		if _, err := w.Contains(t.Context(), bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v, want Invalid", bad, err)
		}
	}
}
