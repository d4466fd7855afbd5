package git

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/errs"
)

// A damaged mirror is never taken for a commit without a file: wherever a byte of
// the pack or of its index changed, or the file was cut, the file is read in the
// end and the damage is reported once.
func TestDamageIsNotAMissingFile(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	for i := range 6 {
		src.commit(fmt.Sprint(i), "top.yml", fmt.Sprintf("file %d\n%s", i, strings.Repeat(fmt.Sprintln("line", i*7919), 40)),
			"a/b/c.yml", fmt.Sprint("deep ", i), "a/other", fmt.Sprint(i))
	}
	r0 := remote(t, src.dir, localAccess(t))
	c, err := r0.Update(t.Context(), Ref{}, 0)
	must(t, err)
	want := src.tree("HEAD")
	places := orShort(16, 2)
	damages := map[string]func(text []byte, place int) []byte{
		"changed": func(text []byte, place int) []byte { text[place] ^= 0x55; return text },
		"zeros": func(text []byte, place int) []byte {
			clear(text[place:min(len(text), place+64)])
			return text
		},
		"cut": func(text []byte, place int) []byte { return text[:place] },
	}
	for _, kind := range []string{"*.pack", "*.idx"} {
		for name, damage := range damages {
			t.Run(name+kind[1:], func(t *testing.T) {
				t.Parallel()
				for i := range places {
					cache := filepath.Join(t.TempDir(), "cache")
					must(t, os.CopyFS(cache, os.DirFS(filepath.Dir(r0.dir))))
					var notices []string
					a := localAccess(t)
					a.Notice = func(s string) { notices = append(notices, s) }
					r, err := NewRemote(src.dir, cache, a)
					must(t, err)
					files, err := filepath.Glob(filepath.Join(r.objects(), "pack", kind))
					if err != nil || len(files) != 1 {
						t.Fatalf("%d files %s, %v", len(files), kind, err)
					}
					text, err := os.ReadFile(files[0])
					must(t, err)
					must(t, os.Chmod(files[0], 0o644))
					must(t, os.WriteFile(files[0], damage(text, len(text)*i/places), 0o444))

					reader := r.Reader(t.Context())
					for _, path := range []string{"top.yml", "a/b/c.yml"} {
						if got, err := reader.ReadFile(c.Commit, path); err != nil || string(got) != want[path] {
							t.Errorf("place %d: %s is %.20q, %v; notices %q", i, path, got, err, notices)
						}
					}
					if _, err := reader.ReadFile(c.Commit, "none.yml"); !errs.Is(err, errs.NotFound) {
						t.Errorf("place %d: a file that is not there: %v", i, err)
					}
					if got, err := reader.Commit(c.Commit); err != nil || got.Title() != "5" {
						t.Errorf("place %d: commit %q, %v", i, got.Title(), err)
					}
					if got, err := reader.List(c.Commit); err != nil || len(got) != 3 {
						t.Errorf("place %d: %d files, %v", i, len(got), err)
					}
					reader.Close()
					if len(notices) > 1 {
						t.Errorf("place %d: notices %q, want one at most", i, notices)
					}
				}
			})
		}
	}
}
