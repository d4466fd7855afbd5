package workspace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkClone compares the ways to make and remove a workspace. "cp -r" and
// "rm -rf" are what a shell would do.
func BenchmarkClone(b *testing.B) {
	for _, n := range []int{10, 100, 199, 500, 1000, 10000} {
		tree := files{}
		for i := range n {
			tree[fmt.Sprintf("src%d/f%d.go", i/40, i)] = strings.Repeat("x", 200+i*37%8000)
		}
		base := plant(b, tree)
		parent := b.TempDir()
		bench := func(name string, do func(dst string) error) {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					if err := do(filepath.Join(parent, fmt.Sprint(name, i))); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		t := NewTree(base)
		_, _, err := t.Size()
		must(b, err)
		// What a small job does: it adds a file and changes one.
		job := func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "made"), []byte("x"), 0o644),
				os.WriteFile(filepath.Join(dir, "src0", "f0.go"), []byte("changed"), 0o644))
		}
		bench("files+close", func(dst string) error {
			w, err := t.CloneFiles(b.Context(), dst)
			if err != nil {
				return err
			}
			return errors.Join(job(dst), w.Close())
		})
		bench("overlay+close", func(dst string) error {
			must(b, os.Mkdir(dst, 0o777))
			if err := mountOverlay(base, dst); err != nil {
				b.Skip(err)
			}
			return errors.Join(job(dst), (&Workspace{Dir: dst, overlay: true}).Close())
		})
		pooled := NewTree(base)
		pooled.noMount.Store(true)
		pooled.UsePool(filepath.Join(parent, "pool"))
		bench("pool+release", func(dst string) error {
			w, err := pooled.Clone(b.Context(), dst)
			if err != nil {
				return err
			}
			err = job(dst)
			w.Release()
			return errors.Join(err, RemoveAll(dst+".before"))
		})
		bench("cp+rm", func(dst string) error {
			if err := exec.Command("cp", "-r", base, dst).Run(); err != nil {
				return err
			}
			return exec.Command("rm", "-rf", dst).Run()
		})
		bench("scan", func(string) error { return NewTree(base).load() })
	}
}
