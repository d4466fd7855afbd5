package engine

import (
	"os"
	"testing"
)

func TestWayIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	way, err := WayIn(dir)
	must(t, err)
	if way != ByMount && way != BySharing && way != ByCopy {
		t.Errorf("way %q", way)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := WayIn(dir + "/nowhere"); err == nil {
		t.Error("a way in a folder that is not there")
	}
}
