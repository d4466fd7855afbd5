package git

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkOpen is what every command pays in a working tree: Open and Head.
func BenchmarkOpen(b *testing.B) {
	for _, packed := range []bool{false, true} {
		b.Run(fmt.Sprintf("packed %v", packed), func(b *testing.B) {
			dir, env := benchRepo(b, packed)
			for b.Loop() {
				w, err := Open(context.Background(), dir, env)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := w.Head(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSnapshot is what a run pays for the .git of its jobs.
func BenchmarkSnapshot(b *testing.B) {
	dir, env := benchRepo(b, true)
	w, err := Open(context.Background(), dir, env)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := w.Snapshot(context.Background(), filepath.Join(b.TempDir(), fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
	}
}

func benchRepo(b *testing.B, packed bool) (dir string, env []string) {
	b.Helper()
	src := newRepo(b)
	for i := range 200 {
		src.write(fmt.Sprintf("d%d/f%d", i%10, i), fmt.Sprint(i))
	}
	src.commit("one")
	for i := range 20 {
		src.git("tag", "-a", "-m", "x", fmt.Sprintf("v%d", i))
	}
	if packed {
		src.git("gc", "-q")
	}
	return src.dir, src.env
}
