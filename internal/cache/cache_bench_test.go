package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkCache is a job that restores a cache of 2,000 files, changes a few
// and saves it again.
func BenchmarkCache(b *testing.B) {
	tree := files{}
	for i := range 2000 {
		tree[fmt.Sprintf("deps/d%d/f%d", i/50, i)] = strings.Repeat("z", 500+i%4000)
	}
	for _, changed := range []int{0, 10} {
		b.Run(fmt.Sprintf("%d changed", changed), func(b *testing.B) {
			c := NewFolder(filepath.Join(b.TempDir(), "c"), 0)
			req := cacheOf("k", "deps")
			req.Workspace = plant(b, tree)
			_, err := Save(b.Context(), c, req, Report{})
			must(b, err)
			req.Workspace = b.TempDir()
			restored, err := Restore(b.Context(), c, req)
			must(b, err)
			for n := 0; b.Loop(); n++ {
				for i := range changed {
					at := filepath.Join(req.Workspace, fmt.Sprintf("deps/d%d/f%d", i, i*50))
					must(b, os.WriteFile(at, fmt.Append(nil, n), 0o644))
				}
				_, err := Save(b.Context(), c, req, restored)
				must(b, err)
			}
		})
	}
}
