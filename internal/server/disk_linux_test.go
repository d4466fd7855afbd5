package server

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
)

// smallDisk is a folder with room for size bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk needs a tmpfs, which only root may mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file until the disk has no room left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err == nil {
			_, err = f.Write(bytes.Repeat([]byte{1}, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
}

// TestDiskIsFull is the second half of invariant 14: on a full disk what cannot be
// kept is answered with 503 and leaves nothing behind, pages are still shown, and
// with room again everything works without a restart.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "24m")
	s := startServer(t, func(o *Options) { o.Data = filepath.Join(disk, "data") })
	s.work()
	s.addTestProject(7, "data/flows")
	s.addTestRun(7, "before")
	keep := func(name string) int {
		t.Helper()
		return s.do(request{method: "POST", path: "/api/v1/tokens", token: s.owner, body: `{"name": "` + name + `", "scopes": ["read"], "hours": 1}`,
			header: map[string]string{"Content-Type": "application/json"}}).StatusCode
	}
	if got := keep("first"); got/100 != 2 {
		t.Fatalf("with room: %d", got)
	}
	fill(t, filepath.Join(disk, "filler"))
	refused := 0
	for range 500 { // the database has some room of its own
		if got := keep("more"); got == http.StatusServiceUnavailable {
			refused++
		} else if got/100 != 2 {
			t.Fatalf("on a full disk: %d, want 503", got)
		}
		if refused == 3 {
			break
		}
	}
	if refused < 3 {
		t.Errorf("%d requests were refused on a full disk", refused)
	}
	p := &pipeline.Pipeline{Stages: []string{"test"}, Jobs: []pipeline.Job{{Name: "job", Base: "job", Stage: "test", When: pipeline.WhenManual}}}
	var kept []int64
	for range 500 {
		r, err := s.scheduler.Create(t.Context(), scheduler.NewRun{Project: 7, Pipeline: p, Ref: "main", Source: pipeline.TriggerPush})
		if err != nil {
			if !errs.Is(err, errs.Unavailable) {
				t.Errorf("a run on a full disk: %v", err)
			}
			break
		}
		kept = append(kept, r.ID)
	}
	if got := s.do(request{path: "/api/v1/runs", token: s.owner}).StatusCode; got != http.StatusOK {
		t.Errorf("the list of runs on a full disk: %d", got)
	}
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	if got := keep("later"); got/100 != 2 {
		t.Errorf("with room again: %d", got)
	}
	kept = append(kept, s.addTestRun(7, "after").ID)
	for _, id := range kept {
		if _, err := s.store.Run(t.Context(), id); err != nil {
			t.Errorf("a run that was acknowledged: %v", err)
		}
	}
	broken, err := s.store.Check(t.Context())
	if err != nil || len(broken) > 0 {
		t.Errorf("the database is not consistent: %q, %v", broken, err)
	}
}
