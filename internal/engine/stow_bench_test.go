package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/pipeline"
)

// BenchmarkArtifacts compares keeping and restoring 2,000 files with a tar.
func BenchmarkArtifacts(b *testing.B) {
	tree := files{}
	for i := range 2000 {
		tree[fmt.Sprintf("out/d%d/f%d", i/50, i)] = strings.Repeat("y", 500+i%4000)
	}
	workspace, parent := plant(b, tree), b.TempDir()
	req := ArtifactRequest{Workspace: workspace, Artifacts: &pipeline.Artifacts{Paths: []string{"out"}}}
	dst := filepath.Join(parent, "a")
	b.Run("collect", func(b *testing.B) {
		for b.Loop() {
			_, err := Collect(b.Context(), req, dst)
			must(b, err)
		}
	})
	b.Run("restore", func(b *testing.B) {
		a, err := OpenArtifacts(dst)
		must(b, err)
		for i := 0; b.Loop(); i++ {
			to := filepath.Join(parent, fmt.Sprint("r", i))
			must(b, os.Mkdir(to, 0o755))
			must(b, a.Restore(b.Context(), to))
		}
	})
	b.Run("move", func(b *testing.B) {
		move := req
		move.Move = true
		for b.Loop() {
			_, err := Collect(b.Context(), move, dst)
			must(b, err)
			must(b, os.Rename(filepath.Join(dst, artifactFiles, "out"), filepath.Join(workspace, "out")))
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

// BenchmarkCache is a job that restores a cache of 2,000 files, changes a few
// and saves it again.
func BenchmarkCache(b *testing.B) {
	tree := files{}
	for i := range 2000 {
		tree[fmt.Sprintf("deps/d%d/f%d", i/50, i)] = strings.Repeat("z", 500+i%4000)
	}
	for _, changed := range []int{0, 10} {
		b.Run(fmt.Sprintf("%d changed", changed), func(b *testing.B) {
			c := NewCaches(filepath.Join(b.TempDir(), "c"), 0)
			req := cacheOf("k", "deps")
			req.Workspace = plant(b, tree)
			_, err := c.Save(b.Context(), req, CacheReport{})
			must(b, err)
			req.Workspace = b.TempDir()
			restored, err := c.Restore(b.Context(), req)
			must(b, err)
			for n := 0; b.Loop(); n++ {
				for i := range changed {
					at := filepath.Join(req.Workspace, fmt.Sprintf("deps/d%d/f%d", i, i*50))
					must(b, os.WriteFile(at, fmt.Append(nil, n), 0o644))
				}
				_, err := c.Save(b.Context(), req, restored)
				must(b, err)
			}
		})
	}
}
