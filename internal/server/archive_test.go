package server_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/blob"
	"refline/internal/blob/blobtest"
	"refline/internal/logfile"
	"refline/internal/pipeline"
	"refline/internal/refltest"
	"refline/internal/server"
	"refline/internal/store"
)

// faultyBlobs refuses to take anything while down is set.
type faultyBlobs struct {
	blob.Store
	down atomic.Bool
}

var errDown = errors.New("the bucket does not answer")

func (f *faultyBlobs) Put(ctx context.Context, key string, sum blob.Sum, content io.Reader) error {
	if f.down.Load() {
		return errDown
	}
	return f.Store.Put(ctx, key, sum, content)
}

// TestLogsMoveToTheBlobStore: a log moves when its attempt has ended, is read from there
// as before, survives a blob store that is down and a restart, and goes with its run.
func TestLogsMoveToTheBlobStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder, err := blob.OpenFolder(filepath.Join(dir, "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	blobs := &faultyBlobs{Store: folder}
	s := refltest.Start(t, refltest.Options{Dir: dir})
	now := time.Now()
	files := func() *server.Files {
		s.Logs.UseBlobs(blobs)
		return &server.Files{Store: s.Store, Blobs: blobs, Logs: s.Logs, Now: func() time.Time { return now }}
	}
	o := s.RunnerOptions()
	o.Slots = 2
	s.Runner(o)
	gate := filepath.Join(dir, "gate")
	running := s.Create(refltest.Script("echo begun; while [ ! -e " + gate + " ]; do sleep 0.02; done; echo over"))
	var fence int64
	s.Until("the log of the job that runs", func() bool {
		list := s.Attempts(running.ID)
		if len(list) == 0 {
			return false
		}
		fence = list[0].ID
		return strings.Contains(s.Log(running.ID, fence), "begun\n")
	})
	ended := s.Wait(s.Create(refltest.Script("echo hello")).ID)
	attempt := s.Attempts(ended.ID)[0].ID
	want := s.Log(ended.ID, attempt)
	if !strings.Contains(want, "hello") {
		t.Fatalf("log %q", want)
	}
	local := filepath.Join(dir, "logs")

	blobs.down.Store(true)
	if n, err := files().ArchiveLogs(t.Context()); n != 0 || !errors.Is(err, errDown) {
		t.Errorf("the bucket is down: %d moved, %v", n, err)
	}
	if got := s.Log(ended.ID, attempt); got != want {
		t.Errorf("the bucket is down: the log is %q, want %q", got, want)
	}
	blobs.down.Store(false)
	if n, err := files().ArchiveLogs(t.Context()); n != 1 || err != nil {
		t.Errorf("%d moved, %v; want 1", n, err)
	}
	if logs, err := os.ReadDir(local); err != nil || len(logs) != 1 {
		t.Errorf("in the folder: %v, %v; want the log of the job that runs", logs, err)
	}
	if row, err := s.Store.Log(t.Context(), attempt); err != nil || row.Bytes != int64(len(want)) || row.Place != store.LogPlace(ended.ID, attempt) {
		t.Errorf("row %+v, %v; want %d bytes", row, err, len(want))
	}
	if n, err := files().ArchiveLogs(t.Context()); n != 0 || err != nil {
		t.Errorf("once more: %d moved, %v", n, err)
	}
	s.Restart()
	f := files()
	if got := s.Log(ended.ID, attempt); got != want {
		t.Errorf("after a restart: the log is %q, want %q", got, want)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.Wait(running.ID); r.Status != pipeline.StatusSuccess {
		t.Errorf("the job that ran meanwhile: %s", r.Status)
	}
	if n, err := f.ArchiveLogs(t.Context()); n != 1 || err != nil {
		t.Errorf("after its end: %d moved, %v; want 1", n, err)
	}
	if got := s.Log(running.ID, fence); !strings.Contains(got, "begun\n") || !strings.Contains(got, "over\n") {
		t.Errorf("written over a restart: the log is %q", got)
	}
	// One that has a file in the folder again goes with its run too.
	size, err := s.Logs.Size(logfile.ID{Run: running.ID, Attempt: fence})
	if err == nil {
		_, err = s.Logs.Append(logfile.ID{Run: running.ID, Attempt: fence}, size, []byte("!"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Scheduler.Retain(t.Context(), store.Retention{Project: s.Project, Count: 1}); n != 1 || err != nil {
		t.Fatalf("%d runs removed, %v; want 1", n, err)
	}
	now = now.Add(25 * time.Hour)
	if _, err := f.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := blobtest.Keys(t, folder, store.RunLogPlace(running.ID), ""); len(keys) != 0 {
		t.Errorf("logs of a removed run: %q", keys)
	}
	if logs, err := os.ReadDir(local); err != nil || len(logs) != 0 {
		t.Errorf("in the folder after the removal: %v, %v", logs, err)
	}
	if got := s.Log(ended.ID, attempt); got != want {
		t.Errorf("the run that stays: the log is %q, want %q", got, want)
	}
}
