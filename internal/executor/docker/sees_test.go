package docker_test

import (
	"path/filepath"
	"testing"

	"refline/internal/errs"
	"refline/internal/executor/docker"
)

func TestSees(t *testing.T) {
	engine(t)
	e := newExecutor(t).(*docker.Executor)
	dir := t.TempDir()
	if err := e.Sees(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if err := e.Sees(t.Context(), filepath.Join(dir, "nowhere")); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if e.Address() == "" {
		t.Error("no address")
	}
}
