package history

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"refline/internal/pipeline"
)

// maxStepBytes bounds what a run keeps of the steps of its jobs.
const maxStepBytes = 64 << 20

// Journal notes what happens while a run goes on. It is safe for concurrent use.
type Journal struct {
	mu    sync.Mutex
	file  *os.File
	steps int // bytes
}

// entry is a line of the journal: a job as it is now, or a step of one.
type entry struct {
	Job
	Step json.RawMessage `json:"step,omitempty"`
}

// Journal opens the journal of a run, to append to it.
func (s Store) Journal(n int64) (*Journal, error) {
	f, err := os.OpenFile(s.journalPath(n), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &Journal{file: f}, nil
}

func (s Store) journalPath(n int64) string { return filepath.Join(s.Folder(n), "jobs.jsonl") }

// Job notes what is known of a job.
func (j *Journal) Job(job Job) { j.append(entry{Job: job}) }

// Step notes what a job reported; progress is not kept. From a bound on, steps
// are dropped.
func (j *Journal) Step(job string, step json.RawMessage) {
	var head struct {
		Type pipeline.StepType `json:"type"`
	}
	if json.Unmarshal(step, &head) != nil || head.Type == pipeline.StepProgress {
		return
	}
	j.append(entry{Job: Job{Name: job}, Step: step})
}

// append writes a line at once or not at all.
func (j *Journal) append(e entry) {
	line, err := json.Marshal(e)
	if err != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Step != nil {
		if j.steps += len(line); j.steps > maxStepBytes {
			return
		}
	}
	_, _ = j.file.Write(append(line, '\n'))
}

// Close ends the journal.
func (j *Journal) Close() error { return j.file.Close() }

// journal is what was noted: of each job the last that is known, and the steps
// of its last attempt.
type journal struct {
	jobs  []Job
	steps map[string][]json.RawMessage
}

func (s Store) readJournal(n int64) journal {
	j := journal{steps: map[string][]json.RawMessage{}}
	data, err := os.ReadFile(s.journalPath(n))
	if err != nil {
		return j
	}
	for line := range bytes.Lines(data) {
		var e entry
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if e.Step != nil {
			j.steps[e.Name] = append(j.steps[e.Name], e.Step)
			continue
		}
		if e.Status == "" {
			e.Status = pipeline.StatusRunning
			delete(j.steps, e.Name) // another attempt starts
		}
		i := slices.IndexFunc(j.jobs, func(o Job) bool { return o.Name == e.Name })
		if i < 0 {
			j.jobs = append(j.jobs, e.Job)
			continue
		}
		if e.Log == "" {
			e.Log = j.jobs[i].Log
		}
		if e.Started.IsZero() {
			e.Started = j.jobs[i].Started
		}
		j.jobs[i] = e.Job
	}
	return j
}
