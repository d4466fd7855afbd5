package artifact

import (
	"fmt"
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
