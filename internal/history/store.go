package history

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"refline/internal/errs"
	"refline/internal/lock"
	"refline/internal/pipeline"
)

// Kept is how many runs are remembered; older ones make room for new ones.
const Kept = 100

// Store is the folder of earlier runs.
type Store struct {
	dir    string // what is kept: runs/NUMBER
	work   string // what lives as long as a run: work/NUMBER
	remove func(dir string) error
}

// Open is the store in a state folder. remove removes the folder of a run, which
// may hold files that their owner cannot write.
func Open(state string, remove func(dir string) error) Store {
	return Store{dir: filepath.Join(state, "runs"), work: filepath.Join(state, "work"), remove: remove}
}

// Folder is what is kept of a run.
func (s Store) Folder(n int64) string { return filepath.Join(s.dir, strconv.FormatInt(n, 10)) }

// WorkFolder is what a run needs only while it lives. Its lock says that the run
// is alive.
func (s Store) WorkFolder(n int64) string { return filepath.Join(s.work, strconv.FormatInt(n, 10)) }

// Work is the folder of all work folders.
func (s Store) Work() string { return s.work }

// Numbers lists the runs, oldest first.
func (s Store) Numbers() ([]int64, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var out []int64
	for _, entry := range entries {
		if n, err := strconv.ParseInt(entry.Name(), 10, 64); err == nil && entry.IsDir() {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Create makes the folder of a new run and returns its number. What is too old
// is removed.
func (s Store) Create() (int64, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return 0, errs.E(errs.Unavailable, "the state folder cannot be made: %w; set REFLINE_STATE_DIR to another", err)
	}
	n, old, err := s.takeNumber()
	if err != nil {
		return 0, err
	}
	for _, o := range old[:max(0, len(old)+1-Kept)] {
		_ = s.Remove(o) // one that still runs is for a later run to remove
	}
	for _, sub := range []string{"logs", "artifacts"} {
		if err := os.Mkdir(filepath.Join(s.Folder(n), sub), 0o700); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// takeNumber makes the folder of the next run. The last number is kept beside the
// runs, so that a run that was removed never gives its number to another.
func (s Store) takeNumber() (n int64, old []int64, err error) {
	f, err := lock.Open(filepath.Join(s.dir, "last"), lock.ModeExclusive)
	if err != nil {
		return 0, nil, errs.E(errs.Unavailable, "the number of the last run: %w", err)
	}
	defer lock.Release(f)
	if old, err = s.Numbers(); err != nil {
		return 0, nil, err
	}
	n = readNumber(f)
	if len(old) > 0 {
		n = max(n, old[len(old)-1])
	}
	n++
	// The number first: what follows may fail, a number may not come twice.
	if err := writeNumber(f, n); err != nil {
		return 0, nil, err
	}
	return n, old, os.Mkdir(s.Folder(n), 0o700)
}

func writeNumber(f *os.File, n int64) error {
	if _, err := f.WriteAt(fmt.Appendf(nil, "%-20d", n), 0); err != nil {
		return errs.E(errs.Unavailable, "the number of the last run: %w", err)
	}
	return nil
}

func readNumber(f *os.File) int64 {
	text := make([]byte, 20)
	count, _ := f.ReadAt(text, 0)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text[:count])), 10, 64) // damaged: the folders decide
	return n
}

// Discard removes a run that never started. Nobody has seen its number, so the
// next run gets it unless another took one since.
func (s Store) Discard(n int64) error {
	f, err := lock.Open(filepath.Join(s.dir, "last"), lock.ModeExclusive)
	if err != nil {
		return errs.E(errs.Unavailable, "the number of the last run: %w", err)
	}
	defer lock.Release(f)
	if err := s.remove(s.Folder(n)); err != nil {
		return err
	}
	if readNumber(f) == n {
		return writeNumber(f, n-1)
	}
	return nil
}

// Remove removes a run with its log and artifacts.
func (s Store) Remove(n int64) error {
	if s.Alive(n) {
		return errs.E(errs.Conflict, "run %d is still running", n)
	}
	return s.remove(s.Folder(n))
}

// Write keeps a record; a reader sees the old or the new one, never a part.
func (s Store) Write(r *Run) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(s.Folder(r.Number), "run.json")
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Read returns one run, n counted back from the last when it is not positive
// (0 is the last run).
func (s Store) Read(n int64) (*Run, error) {
	n, err := s.number(n)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(s.Folder(n), "run.json"))
	if err != nil {
		return nil, errs.E(errs.NotFound, "no run %d is kept here; refline runs lists them", n)
	}
	var r Run
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("run %d: %w", n, err)
	}
	if r.Finished.IsZero() {
		r.Jobs = s.readJournal(n).jobs
		if !s.Alive(n) {
			r.Status, r.Result, r.Interrupted = pipeline.StatusFailed, pipeline.ResultFailed, true
		}
	}
	return &r, nil
}

// ReadSteps adds to the jobs of a run what they reported.
func (s Store) ReadSteps(r *Run) {
	j := s.readJournal(r.Number)
	for i := range r.Jobs {
		r.Jobs[i].Steps = j.steps[r.Jobs[i].Name]
	}
}

// OthersAtWork reports whether other runs have a work folder, alive or dead.
func (s Store) OthersAtWork(own int64) bool {
	entries, err := os.ReadDir(s.work)
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.IsDir() && e.Name() != strconv.FormatInt(own, 10)
	})
}

// Alive reports whether the process of a run still lives: it holds the lock of
// its work folder.
func (s Store) Alive(n int64) bool {
	return lock.InUse(s.WorkFolder(n))
}

// LastOf is the last run of a project, which has one of the names; nil for none.
func (s Store) LastOf(names ...string) *Run {
	all, err := s.Numbers()
	if err != nil {
		return nil
	}
	for i := len(all) - 1; i >= 0; i-- {
		if r, err := s.Read(all[i]); err == nil && r.Project != "" && slices.Contains(names, r.Project) {
			return r
		}
	}
	return nil
}

// Find returns the number of a run that is kept: n itself, or for 0 the last one
// and for -1 the one before. The run may have no record.
func (s Store) Find(n int64) (int64, error) {
	n, err := s.number(n)
	if err != nil {
		return 0, err
	}
	if _, err := os.Stat(s.Folder(n)); err != nil {
		return 0, errs.E(errs.NotFound, "no run %d is kept here; refline runs lists them", n)
	}
	return n, nil
}

func (s Store) number(n int64) (int64, error) {
	if n > 0 {
		return n, nil
	}
	all, err := s.Numbers()
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, errs.E(errs.NotFound, "no runs are kept here yet; start one: refline run")
	}
	if int64(len(all)) <= -n {
		return 0, errs.E(errs.NotFound, "no run ~%d: only %d are kept here; refline runs lists them", -n, len(all))
	}
	return all[int64(len(all))-1+n], nil
}
