package artifact

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"refline/internal/pipeline"
	"strings"
	"testing"
)

// BenchmarkArtifacts compares keeping and restoring 2,000 files with a tar.
func BenchmarkArtifacts(b *testing.B) {
	tree := files{}
	for i := range 2000 {
		tree[fmt.Sprintf("out/d%d/f%d", i/50, i)] = strings.Repeat("y", 500+i%4000)
	}
	workspace, parent := plant(b, tree), b.TempDir()
	req := Request{Workspace: workspace, Artifacts: &pipeline.Artifacts{Paths: []string{"out"}}}
	dst := inFolder(filepath.Join(parent, "a"))
	b.Run("collect", func(b *testing.B) {
		for b.Loop() {
			_, err := keep(b.Context(), req, dst)
			must(b, err)
		}
	})
	b.Run("restore", func(b *testing.B) {
		a, err := open(dst)
		must(b, err)
		for i := 0; b.Loop(); i++ {
			to := filepath.Join(parent, fmt.Sprint("r", i))
			must(b, os.Mkdir(to, 0o755))
			must(b, a.restore(to))
		}
	})
	b.Run("move", func(b *testing.B) {
		move := req
		move.Move = true
		for b.Loop() {
			_, err := keep(b.Context(), move, dst)
			must(b, err)
			must(b, os.Rename(filepath.Join(parent, "a", filesDir, "out"), filepath.Join(workspace, "out")))
		}
	})
	b.Run("tar", func(b *testing.B) {
		for b.Loop() {
			must(b, exec.Command("tar", "-C", workspace, "-cf", filepath.Join(parent, "t.tar"), "out").Run())
		}
	})
	b.Run("untar", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			to := filepath.Join(parent, fmt.Sprint("t", i))
			must(b, os.Mkdir(to, 0o755))
			must(b, exec.Command("tar", "-C", to, "-xf", filepath.Join(parent, "t.tar")).Run())
		}
	})
}

// BenchmarkRemote packs, sends and restores what jobs keep: many small files, and
// 1 GiB of which a half compresses.
func BenchmarkRemote(b *testing.B) {
	for name, fill := range map[string]func(b *testing.B, dir string){"10000": smallFiles, "1GiB": oneGiB} {
		b.Run(name, func(b *testing.B) {
			r, _ := newRemote(b)
			workspace := b.TempDir()
			fill(b, workspace)
			req := Request{Workspace: workspace, Artifacts: &pipeline.Artifacts{Paths: []string{"out"}}}
			b.Run("put", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					must(b, os.WriteFile(filepath.Join(workspace, "out", "new"), fmt.Append(nil, i, b.N), 0o644)) // other content
					_, err := Keep(b.Context(), r, "job", req)
					must(b, err)
				}
			})
			b.Run("restore", func(b *testing.B) {
				for b.Loop() {
					must(b, opened{r, "job"}.restore(b.TempDir()))
				}
			})
			b.Run("open", func(b *testing.B) {
				for b.Loop() {
					f, err := r.Open(b.Context(), "job", "out/new")
					must(b, err)
					must(b, f.Close())
				}
			})
		})
	}
}

func smallFiles(b *testing.B, dir string) {
	tree := files{}
	for i := range 10_000 {
		tree[fmt.Sprintf("out/d%d/f%d", i/50, i)] = strings.Repeat(fmt.Sprint("line ", i, "\n"), 50+i%300)
	}
	plantIn(b, dir, tree)
}

func oneGiB(b *testing.B, dir string) {
	must(b, os.Mkdir(filepath.Join(dir, "out"), 0o755))
	f, err := os.Create(filepath.Join(dir, "out", "big"))
	must(b, err)
	defer f.Close()
	random := rand.NewChaCha8([32]byte{})
	noise, text := make([]byte, 1<<20), []byte(strings.Repeat("a line of a log, as many of them are\n", 1<<20/37))
	for range 512 {
		_, _ = random.Read(noise)
		_, err := f.Write(noise)
		must(b, err)
		_, err = f.Write(text)
		must(b, err)
	}
}
