package docker_test

import (
	"os"
	"path/filepath"
	"testing"

	"refline/internal/errs"
	"refline/internal/executor/docker"
)

func TestSharesFilesystem(t *testing.T) {
	engine(t)
	e := newExecutor(t).(*docker.Executor)
	dir := t.TempDir()
	if seen, err := e.SharesFilesystem(t.Context(), dir); !seen || err != nil {
		t.Errorf("seen: %v, %v", seen, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if seen, err := e.SharesFilesystem(t.Context(), filepath.Join(dir, "nowhere")); seen || !errs.Is(err, errs.Denied) {
		t.Errorf("a folder that is not there: %v, %v", seen, err)
	}
	if e.Address() == "" {
		t.Error("no address")
	}
}
