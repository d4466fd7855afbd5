package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"refline/internal/errs"
	"refline/internal/lock"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// keptRuns is how many runs are remembered; older ones make room for new ones.
const keptRuns = 100

// runRecord is what is remembered of a run: run.json in its folder.
type runRecord struct {
	Number   int64           `json:"number"`
	Project  string          `json:"project"` // folder, or the repository's URL
	File     string          `json:"file"`
	Ref      string          `json:"ref,omitempty"`
	Commit   string          `json:"commit,omitempty"`
	Changed  int             `json:"changed_files,omitempty"`
	Event    string          `json:"event"`
	Started  time.Time       `json:"started"`
	Finished time.Time       `json:"finished,omitzero"`
	Status   pipeline.Status `json:"status"`
	Jobs     []runJob        `json:"jobs,omitempty"`
}

// runJob is a job of a run. Log and Artifacts are paths in the run's folder.
type runJob struct {
	Name         string          `json:"name"`
	Stage        string          `json:"stage"`
	Status       pipeline.Status `json:"status"`
	Attempt      int             `json:"attempt,omitempty"`
	Seconds      float64         `json:"seconds,omitempty"`
	ExitCode     int             `json:"exit_code,omitempty"`
	Reason       pipeline.Reason `json:"reason,omitempty"`
	AllowFailure bool            `json:"allow_failure,omitempty"`
	Log          string          `json:"log,omitempty"`
	Artifacts    string          `json:"artifacts,omitempty"`
}

// runStore is the folder of earlier runs.
type runStore struct {
	dir    string // what is kept: runs/NUMBER
	work   string // what lives as long as a run: work/NUMBER
	builds string // workspaces: builds/PLACE, the first that no other run has
}

func openRunStore(e *env) (runStore, error) {
	state, err := e.stateDir()
	if err != nil {
		return runStore{}, err
	}
	return runStore{filepath.Join(state, "runs"), filepath.Join(state, "work"), filepath.Join(state, "builds")}, nil
}

func (s runStore) folder(n int64) string {
	return filepath.Join(s.dir, strconv.FormatInt(n, 10))
}

// numbers lists the runs, oldest first.
func (s runStore) numbers() ([]int64, error) {
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

// create makes the folder of a new run and returns its number. What is too old
// is removed.
func (s runStore) create() (int64, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return 0, errs.E(errs.Unavailable, "the state folder cannot be made: %w; set REFLINE_STATE_DIR to another", err)
	}
	old, err := s.numbers()
	if err != nil {
		return 0, err
	}
	var n int64 = 1
	if len(old) > 0 {
		n = old[len(old)-1] + 1
	}
	for {
		err := os.Mkdir(s.folder(n), 0o700)
		if err == nil {
			break
		}
		if !os.IsExist(err) {
			return 0, err
		}
		n++ // another run took it
	}
	for _, n := range old[:max(0, len(old)+1-keptRuns)] {
		_ = s.remove(n) // one that still runs is for a later run to remove
	}
	for _, sub := range []string{"logs", "artifacts"} {
		if err := os.Mkdir(filepath.Join(s.folder(n), sub), 0o700); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (s runStore) remove(n int64) error {
	if s.alive(n) {
		return errs.E(errs.Conflict, "run %d is still running", n)
	}
	return workspace.Remove(s.folder(n))
}

// write keeps a record; a reader sees the old or the new one, never a part.
func (s runStore) write(r *runRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(s.folder(r.Number), "run.json")
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// read returns one run, n counted back from the last when it is not positive
// (0 is the last run).
func (s runStore) read(n int64) (*runRecord, error) {
	if n <= 0 {
		all, err := s.numbers()
		if err != nil {
			return nil, err
		}
		if int64(len(all)) <= -n {
			return nil, errs.E(errs.NotFound, "no runs are kept here yet; start one: refline run")
		}
		n = all[int64(len(all))-1+n]
	}
	data, err := os.ReadFile(filepath.Join(s.folder(n), "run.json"))
	if err != nil {
		return nil, errs.E(errs.NotFound, "no run %d is kept here; refline runs lists them", n)
	}
	var r runRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("run %d: %w", n, err)
	}
	if r.Finished.IsZero() {
		r.Jobs = s.notedJobs(n)
		if !s.alive(n) {
			r.Status = "interrupted"
		}
	}
	return &r, nil
}

// noteJob appends what is known of a job while its run goes on. A line is
// written at once or not at all.
func noteJob(f *os.File, j runJob) {
	if line, err := json.Marshal(j); err == nil {
		_, _ = f.Write(append(line, '\n'))
	}
}

// openNotes opens the file that noteJob appends to.
func (s runStore) openNotes(n int64) (*os.File, error) {
	return os.OpenFile(filepath.Join(s.folder(n), "jobs.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// notedJobs reads what noteJob wrote: of each job the last that is known.
func (s runStore) notedJobs(n int64) []runJob {
	data, err := os.ReadFile(filepath.Join(s.folder(n), "jobs.jsonl"))
	if err != nil {
		return nil
	}
	var jobs []runJob
	for line := range bytes.Lines(data) {
		var j runJob
		if json.Unmarshal(line, &j) != nil {
			continue
		}
		if j.Status == "" {
			j.Status = pipeline.StatusRunning
		}
		i := slices.IndexFunc(jobs, func(o runJob) bool { return o.Name == j.Name })
		if i < 0 {
			jobs = append(jobs, j)
			continue
		}
		if j.Log == "" {
			j.Log = jobs[i].Log
		}
		jobs[i] = j
	}
	return jobs
}

// workFolder is where the workspaces of a run are while it lives.
func (s runStore) workFolder(n int64) string {
	return filepath.Join(s.work, strconv.FormatInt(n, 10))
}

// takeBuilds takes the first folder for workspaces that no other run has, so
// that a run which is alone always has the same: tools and caches remember
// paths.
func (s runStore) takeBuilds() (dir string, release func(), err error) {
	for place := 1; ; place++ {
		dir = filepath.Join(s.builds, strconv.Itoa(place))
		unlock, err := lock.Folder(dir)
		if errs.Is(err, errs.Conflict) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		release = func() {
			unlock()
			_ = workspace.Sweep(s.builds, nil)
		}
		if _, err := os.Lstat(filepath.Join(dir, buildsJobs)); os.IsNotExist(err) {
			return dir, release, nil
		}
		unlock() // a run that was killed left what could not be removed
	}
}

// buildsJobs is the folder of takeBuilds that jobs have their folders in.
const buildsJobs = "jobs"

// othersAtWork tells whether other runs have a work folder, alive or dead.
func (s runStore) othersAtWork(own int64) bool {
	entries, err := os.ReadDir(s.work)
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.IsDir() && e.Name() != strconv.FormatInt(own, 10)
	})
}

// alive tells whether the process of a run still lives: it holds the lock of
// its work folder.
func (s runStore) alive(n int64) bool {
	return lock.InUse(s.workFolder(n))
}
