package server_test

import (
	"os"
	"sync/atomic"
	"testing"

	"refline/internal/errs"
	"refline/internal/refltest"
)

// TestNoRoom: without room on the disk no job starts, what runs ends as ever, and what
// waited starts when there is room again.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{})
	var full atomic.Bool
	s.API.Room = func() error {
		if full.Load() {
			return errs.E(errs.Unavailable, "the disk is nearly full")
		}
		return nil
	}
	dir := t.TempDir()
	first := s.Create(refltest.Script("touch " + dir + "/began; while [ ! -e " + dir + "/go ]; do sleep 0.05; done; echo first"))
	s.Runner(s.RunnerOptions())
	s.Until("the first job runs", func() bool { return exists(dir + "/began") })
	full.Store(true)
	second := s.Create(refltest.Script("echo second"))
	touch(t, dir+"/go")
	s.Wait(first.ID)
	if got := len(s.Attempts(second.ID)); got != 0 {
		t.Errorf("%d attempts were started without room, want none", got)
	}
	full.Store(false)
	s.Wait(second.ID)
	s.Check()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
