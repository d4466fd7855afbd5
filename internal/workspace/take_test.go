package workspace_test

import (
	"os"
	"path/filepath"
	"testing"

	"refline/internal/workspace"
)

// TestNewCheckout: the first clone is the checkout itself; with a list the tree still
// knows afterwards which files were in it, and reads the others' content from there.
func TestNewCheckout(t *testing.T) {
	t.Parallel()
	for _, list := range []bool{true, false} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		if err := os.Mkdir(from, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, "a"), []byte("one"), 0o600); err != nil {
			t.Fatal(err)
		}
		tree := workspace.NewCheckout(from, list)
		w, err := tree.Clone(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(from); !os.IsNotExist(err) {
			t.Errorf("the checkout is still there: %v", err)
		}
		if id, err := tree.BlobID("a"); err != nil || id != "43dd47ea691c90a5fa7827892c70241913351963" {
			t.Errorf("blob id %q, %v", id, err)
		}
		if err := os.WriteFile(filepath.Join(to, "b"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := tree.Has("b"); list && got || !tree.Has("a") {
			t.Errorf("list %v: has b: %v, has a: %v", list, got, tree.Has("a"))
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(to); !os.IsNotExist(err) {
			t.Errorf("the workspace is still there: %v", err)
		}
	}
}
