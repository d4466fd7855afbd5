package server

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

const (
	maxTaskViews   = 64  // attempts whose tasks are kept in memory
	maxTaskReports = 500 // tables, texts and links of an attempt
	eventPage      = 1_000
)

// taskViews keep the tasks of attempts that were asked for lately, so that a page that
// follows a run reads new events only. A view can always be made again from the store.
type taskViews struct {
	mu    sync.Mutex
	views map[int64]*taskView
}

// taskView is what the events of one attempt say so far.
type taskView struct {
	mu      sync.Mutex
	next    int64 // number of the next event
	used    time.Time
	list    pipeline.TaskList
	reports []api.TaskReport
	ended   bool
}

func (v *taskViews) of(attempt int64, now time.Time) *taskView {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.views == nil {
		v.views = map[int64]*taskView{}
	}
	view := v.views[attempt]
	if view == nil {
		if len(v.views) >= maxTaskViews {
			v.dropOldest()
		}
		view = &taskView{}
		v.views[attempt] = view
	}
	view.used = now
	return view
}

func (v *taskViews) dropOldest() {
	var oldest int64
	for id, view := range v.views {
		if o := v.views[oldest]; o == nil || view.used.Before(o.used) {
			oldest = id
		}
	}
	delete(v.views, oldest)
}

// jobAttempt finds an attempt of a job: the last one, or the one with a number.
func (s *Server) jobAttempt(ctx context.Context, run int64, name string, number int) (store.Attempt, *pipeline.Job, error) {
	var none store.Attempt
	r, err := s.store.Run(ctx, run)
	if err != nil {
		return none, nil, err
	}
	pos, job, err := s.findJob(ctx, r, name)
	if err != nil {
		return none, nil, err
	}
	attempts, err := s.store.RunAttempts(ctx, run)
	if err != nil {
		return none, nil, err
	}
	found := none
	for _, a := range attempts {
		if a.Pos == pos && (number == 0 && a.ID > found.ID || number != 0 && a.Attempt == number) {
			found = a
		}
	}
	if found.ID == 0 && number != 0 {
		return none, nil, errs.E(errs.NotFound, "job %q of run %d has no attempt %d", job.Name, run, number)
	}
	return found, job, nil
}

// jobTasks returns the tasks of a job.
func (s *Server) jobTasks(ctx context.Context, run int64, name string, number int) (api.Tasks, error) {
	a, job, err := s.jobAttempt(ctx, run, name, number)
	if err != nil {
		return api.Tasks{}, err
	}
	out := api.Tasks{Run: run, Job: job.Name, Attempt: a.Attempt, Counts: pipeline.TaskCounts{}}
	if a.ID == 0 {
		return out, nil
	}
	view := s.tasks.of(a.ID, s.options.Now())
	view.mu.Lock()
	defer view.mu.Unlock()
	if err := view.read(ctx, s.store, a); err != nil {
		return api.Tasks{}, err
	}
	out.Counts, out.Groups, out.Reports, out.Version = view.list.Counts(), view.list.Groups(), view.reports, view.next
	out.Total = out.Counts.Total()
	for _, t := range view.list.Tasks() {
		out.Tasks = append(out.Tasks, *t)
	}
	return out, nil
}

// read takes the events that are new. The tasks of an attempt that has ended have
// ended too, also if its runner could not say so.
func (v *taskView) read(ctx context.Context, st *store.Store, a store.Attempt) error {
	for !v.ended {
		list, err := st.Events(ctx, a.ID, v.next, eventPage)
		if err != nil {
			return err
		}
		for _, row := range list {
			v.next = row.Seq + 1
			var e api.JobEvent
			if json.Unmarshal([]byte(row.Body), &e) == nil && e.Kind == pipeline.ReportStep {
				v.add(e)
			}
		}
		if len(list) < eventPage {
			break
		}
	}
	if !a.Finished.IsZero() && !v.ended {
		v.ended = true
		v.list.Close(pipeline.TaskCanceled, "the job ended", a.Finished)
	}
	return nil
}

func (v *taskView) add(e api.JobEvent) {
	var t pipeline.TaskEvent
	if json.Unmarshal(e.Step, &t) != nil {
		return
	}
	if t.Time == 0 {
		t.Time = float64(e.Time) / 1000
	}
	v.list.AddEvent(&t)
	if len(v.reports) >= maxTaskReports {
		return
	}
	if r, ok := api.ReadTaskReport(e.Step); ok {
		v.reports = append(v.reports, r)
	}
}

// taskLog returns what a task and the tasks below it printed, from an event on.
func (s *Server) taskLog(ctx context.Context, run int64, job, task string, number int, from int64) (api.TaskLog, error) {
	const most = 1_000
	out := api.TaskLog{Lines: []api.TaskLogLine{}}
	a, _, err := s.jobAttempt(ctx, run, job, number)
	if err != nil || a.ID == 0 {
		return out, err
	}
	for {
		list, err := s.store.Events(ctx, a.ID, from, eventPage)
		if err != nil {
			return out, err
		}
		for _, row := range list {
			from = row.Seq + 1
			if line, ok := logLineOf(row.Body, task); ok {
				out.Lines = append(out.Lines, line)
			}
			if len(out.Lines) == most {
				out.Next = from
				return out, nil
			}
		}
		if len(list) < eventPage {
			break
		}
	}
	if a.Finished.IsZero() {
		out.Next = from
	}
	return out, nil
}

func logLineOf(body, task string) (api.TaskLogLine, bool) {
	if !strings.Contains(body, `"log"`) {
		return api.TaskLogLine{}, false
	}
	var e api.JobEvent
	var line struct {
		Type   pipeline.StepType `json:"type"`
		ID     string            `json:"id"`
		Text   string            `json:"text"`
		Stream string            `json:"stream"`
		Level  string            `json:"level"`
	}
	if json.Unmarshal([]byte(body), &e) != nil || e.Kind != pipeline.ReportStep || json.Unmarshal(e.Step, &line) != nil {
		return api.TaskLogLine{}, false
	}
	if line.Type != pipeline.StepLog || line.ID != task && !strings.HasPrefix(line.ID, task+".") {
		return api.TaskLogLine{}, false
	}
	return api.TaskLogLine{Task: line.ID, Time: time.UnixMilli(e.Time).UTC(), Text: line.Text, Stream: line.Stream, Level: line.Level}, true
}
