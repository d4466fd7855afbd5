package workspace

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"pgregory.net/rapid"
)

// What a pattern finds is what doublestar's own search finds, and all that is
// below.
func TestSelectFindsWhatGlobFinds(t *testing.T) {
	t.Parallel()
	name := rapid.SampledFrom([]string{"a", "b", "ab", ".c", "a.x"})
	part := rapid.SampledFrom([]string{"a", "b", "ab", "*", "**", "a*", "?", "[ab]", "{a,ab}", "*.x", "{a/b,b}", ".c", "a?"})
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "select")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		for range rapid.IntRange(1, 8).Draw(r, "files") {
			at := filepath.Join(append([]string{dir}, rapid.SliceOfN(name, 1, 4).Draw(r, "path")...)...)
			_ = os.MkdirAll(filepath.Dir(at), 0o755) // a file may be in the way
			_ = os.WriteFile(at, nil, 0o644)
		}
		pattern := strings.Join(rapid.SliceOfN(part, 1, 4).Draw(r, "pattern"), "/")

		want := map[string]bool{}
		disk := os.DirFS(dir)
		found, err := doublestar.Glob(disk, pattern)
		if err != nil {
			r.Fatal(err)
		}
		for _, match := range found {
			err := fs.WalkDir(disk, match, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					want[path] = true
				}
				return err
			})
			if err != nil {
				r.Fatal(err)
			}
		}
		sel, err := Select(t.Context(), dir, Wanted{Paths: []string{pattern}})
		if err != nil {
			r.Fatal(err)
		}
		defer sel.Close()
		got := map[string]bool{}
		for _, path := range sel.Paths() {
			got[path] = true
		}
		for path := range want {
			if !got[path] {
				r.Errorf("%q does not find %q", pattern, path)
			}
		}
		for path := range got {
			if !want[path] {
				r.Errorf("%q finds %q", pattern, path)
			}
		}
	})
}
