package history

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/lock"
	"refline/internal/pipeline"
)

func open(t *testing.T) Store {
	t.Helper()
	return Open(t.TempDir(), os.RemoveAll)
}

func create(t *testing.T, s Store) int64 {
	t.Helper()
	n, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A number never names two runs, also when all runs were removed between.
func TestNumbersAreNeverReused(t *testing.T) {
	t.Parallel()
	s := open(t)
	for want := range int64(3) {
		if got := create(t, s); got != want+1 {
			t.Fatalf("got run %d, want %d", got, want+1)
		}
	}
	for n := range int64(3) {
		if err := s.Remove(n + 1); err != nil {
			t.Fatal(err)
		}
	}
	if got := create(t, s); got != 4 {
		t.Errorf("after all were removed: got run %d, want 4", got)
	}
	// One that never started leaves its number to the next.
	if err := s.Discard(create(t, s)); err != nil {
		t.Fatal(err)
	}
	// A damaged number: the folders decide.
	if err := os.WriteFile(filepath.Join(s.dir, "last"), []byte("what"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := create(t, s); got != 5 {
		t.Errorf("with a damaged number: got run %d, want 5", got)
	}
}

func TestNumbersAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			n, err := s.Create()
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[n] {
				t.Errorf("run %d twice", n)
			}
			seen[n] = true
		})
	}
	wg.Wait()
	if len(seen) != 20 {
		t.Errorf("%d numbers, want 20", len(seen))
	}
}

func TestOldRunsMakeRoom(t *testing.T) {
	t.Parallel()
	s := open(t)
	for range Kept + 2 {
		create(t, s)
	}
	all, err := s.Numbers()
	if err != nil || len(all) != Kept || all[0] != 3 {
		t.Errorf("%d runs from %d, %v; want %d from 3", len(all), all[0], err, Kept)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	s := open(t)
	if _, err := s.Read(0); !errs.Is(err, errs.NotFound) {
		t.Errorf("no runs: %v", err)
	}
	n := create(t, s)
	want := Run{Number: n, File: "a.yml", Status: pipeline.StatusSuccess, Started: time.Unix(1, 0).UTC(), Finished: time.Unix(3, 0).UTC(), Jobs: []Job{{Name: "a"}}}
	if err := s.Write(&want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Read(0)
	if err != nil || got.Number != n || got.File != "a.yml" || len(got.Jobs) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := s.Read(9); !errs.Is(err, errs.NotFound) {
		t.Errorf("run 9: %v", err)
	}
}

// A run without an end whose process is gone was interrupted; its jobs are those
// of the journal.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := open(t)
	n := create(t, s)
	unlock, err := lock.Folder(s.WorkFolder(n))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(&Run{Number: n, Status: pipeline.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	j, err := s.Journal(n)
	if err != nil {
		t.Fatal(err)
	}
	j.Job(Job{Name: "a", Log: "logs/a"})
	j.Step("a", json.RawMessage(`{"type":"step_started","step":"one"}`))
	j.Job(Job{Name: "a", Status: pipeline.StatusSuccess})
	j.Job(Job{Name: "b", Log: "logs/b"})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(n); !errs.Is(err, errs.Conflict) {
		t.Errorf("remove of a run that is alive: %v", err)
	}
	r, err := s.Read(n)
	if err != nil || r.Status != pipeline.StatusRunning || len(r.Jobs) != 2 || r.Jobs[0].Log != "logs/a" || r.Jobs[0].Status != pipeline.StatusSuccess || r.Jobs[1].Status != pipeline.StatusRunning {
		t.Errorf("alive: %+v, %v", r, err)
	}
	unlock()
	if r, err = s.Read(n); err != nil || !r.Interrupted || r.Status != pipeline.StatusFailed {
		t.Errorf("dead: %+v, %v", r, err)
	}
	s.ReadSteps(r)
	if len(r.Jobs[0].Steps) != 1 || r.Jobs[1].Steps != nil {
		t.Errorf("steps %s, %s", r.Jobs[0].Steps, r.Jobs[1].Steps)
	}
}

// Of a job that ran twice the steps of its last attempt count; progress is not
// kept, nor what is no step.
func TestStepsOfTheLastAttempt(t *testing.T) {
	t.Parallel()
	s := open(t)
	n := create(t, s)
	j, err := s.Journal(n)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.Job(Job{Name: "a", Log: "1"})
	j.Step("a", json.RawMessage(`{"type":"markdown","text":"first"}`))
	j.Job(Job{Name: "a", Log: "2"})
	for _, step := range []string{`{"type":"progress","current":1}`, `{"type":"markdown","text":"second"}`, `{`} {
		j.Step("a", json.RawMessage(step))
	}
	j.steps = maxStepBytes
	j.Step("a", json.RawMessage(`{"type":"markdown","text":"too much"}`))
	r := &Run{Number: n, Jobs: []Job{{Name: "a"}}}
	s.ReadSteps(r)
	if got := r.Jobs[0].Steps; len(got) != 1 || string(got[0]) != `{"type":"markdown","text":"second"}` {
		t.Errorf("got %s", got)
	}
}
