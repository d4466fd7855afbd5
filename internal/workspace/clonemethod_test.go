package workspace

import (
	"os"
	"testing"
)

func TestDetectCloneMethod(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	method, err := DetectCloneMethod(dir)
	must(t, err)
	if method != CloneMethodOverlay && method != CloneMethodReflink && method != CloneMethodCopy {
		t.Errorf("method %q", method)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := DetectCloneMethod(dir + "/nowhere"); err == nil {
		t.Error("a method in a folder that is not there")
	}
}
