package workspace

import (
	"os"
	"testing"
)

func TestWayIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	way, err := DetectCloneMethod(dir)
	must(t, err)
	if way != CloneMethodOverlay && way != CloneMethodReflink && way != CloneMethodCopy {
		t.Errorf("way %q", way)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := DetectCloneMethod(dir + "/nowhere"); err == nil {
		t.Error("a way in a folder that is not there")
	}
}
