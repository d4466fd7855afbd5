package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"refline/internal/pipeline"
)

// Bounds of what one attempt reports, below what a server takes of it
// (api.MaxEvents). The last state of every listed task is passed on in any case.
const (
	mostTaskLines = 50_000
	mostLogEvents = 25_000
	mostReports   = 2_000 // tables, texts, links
	mostPaces     = 10_000
	mostArtifacts = 1_000    // files that tasks keep
	mostLogText   = 64 << 10 // bytes of lines that are passed on together
	firstGap      = 500 * time.Millisecond
)

// eventFold passes on what a job reports, in batches: states of one task that come
// together become one line, so do its printed lines; counts and progress come less
// often the longer the job runs. So 10,000 tasks are about 10,000 lines.
type eventFold struct {
	emit  func(json.RawMessage)
	note  func(string)
	now   func() time.Time
	tasks pipeline.TaskList

	batch     []*foldedEvent
	states    map[string]*foldedEvent // of the batch, by task
	logs      map[string]*foldedEvent
	described map[string]bool // tasks whose first line was passed on
	late      map[string]bool // tasks whose last state was not
	counts    map[[2]string]*pace
	progress  map[string]*pace
	artifacts []string

	lines, printed, reports int
	noted                   map[string]bool
}

// foldedEvent is a line to pass on.
type foldedEvent struct {
	raw  json.RawMessage
	task string // its state is to be passed on instead of raw
	log  *taskLine
}

// taskLine is a line about a task as it is passed on.
type taskLine struct {
	pipeline.TaskLine
	Stream string `json:"stream,omitempty"` // of a line of its log
	Level  string `json:"level,omitempty"`
}

// pace spaces lines of one kind: the gap grows with the time since the first.
type pace struct {
	first, next time.Time
	raw         json.RawMessage
	waits       bool
}

// due reports whether a line may be passed on now.
func (p *pace) due(now time.Time, last bool) bool {
	if !p.waits || now.Before(p.next) && !last {
		return false
	}
	if p.first.IsZero() {
		p.first = now
	}
	p.next = now.Add(max(firstGap, now.Sub(p.first)/100))
	p.waits = false
	return true
}

func newEventFold(emit func(json.RawMessage), note func(string)) *eventFold {
	return &eventFold{
		emit: emit, note: note, now: time.Now,
		states: map[string]*foldedEvent{}, logs: map[string]*foldedEvent{}, described: map[string]bool{}, late: map[string]bool{},
		counts: map[[2]string]*pace{}, progress: map[string]*pace{}, noted: map[string]bool{},
	}
}

// add takes a line whose type is known.
func (f *eventFold) add(raw json.RawMessage) {
	var e pipeline.TaskEvent
	if json.Unmarshal(raw, &e) != nil {
		return
	}
	t := f.tasks.AddEvent(&e)
	switch e.Type {
	case pipeline.StepTask:
		f.state(&e, t)
	case pipeline.StepTasks:
		parent := ""
		if e.Parent != nil {
			parent = *e.Parent
		}
		f.counted(parent, e.Name)
	case pipeline.StepLog:
		f.log(raw, &e)
	case pipeline.StepProgress:
		f.progressed(raw, &e)
	case pipeline.StepStarted, pipeline.StepFinished:
		f.limited(&f.lines, mostTaskLines, "steps", raw)
	default:
		f.limited(&f.reports, mostReports, "tables, texts and links", raw)
		if e.Type == pipeline.StepArtifact {
			f.artifact(raw)
		}
	}
}

func (f *eventFold) state(e *pipeline.TaskEvent, t *pipeline.Task) {
	if t == nil {
		if f.tasks.Task(e.ID) == nil { // one too many: counted
			parent := e.ID[:max(strings.LastIndexByte(e.ID, '.'), 0)]
			if e.Parent != nil {
				parent = *e.Parent
			}
			f.counted(parent, e.Name)
		}
		return
	}
	if f.states[e.ID] != nil {
		return
	}
	fe := &foldedEvent{task: e.ID}
	f.states[e.ID] = fe
	f.batch = append(f.batch, fe)
}

// counted notes that the counts of a group changed.
func (f *eventFold) counted(parent, name string) {
	key := [2]string{parent, name}
	if f.counts[key] == nil {
		if len(f.counts) >= mostPaces {
			return
		}
		f.counts[key] = &pace{}
	}
	f.counts[key].waits = true
}

func (f *eventFold) log(raw json.RawMessage, e *pipeline.TaskEvent) {
	var line taskLine
	if json.Unmarshal(raw, &line) != nil {
		return
	}
	if last := f.logs[e.ID]; last != nil && last.log.Stream == line.Stream && last.log.Level == line.Level && len(last.log.Text)+len(line.Text) < mostLogText {
		last.log.Text += "\n" + line.Text
		return
	}
	if f.printed++; f.printed > mostLogEvents {
		f.once(fmt.Sprintf("$REFLINE_EVENTS: more than %d times lines of tasks; further ones are only in the log of the job", mostLogEvents))
		return
	}
	fe := &foldedEvent{log: &line}
	f.logs[e.ID] = fe
	f.batch = append(f.batch, fe)
}

func (f *eventFold) progressed(raw json.RawMessage, e *pipeline.TaskEvent) {
	key := e.ID + " " + e.Step
	p := f.progress[key]
	if p == nil {
		if len(f.progress) >= mostPaces {
			return
		}
		p = &pace{}
		f.progress[key] = p
	}
	p.raw, p.waits = slices.Clone(raw), true
}

func (f *eventFold) limited(n *int, most int, what string, raw json.RawMessage) {
	if *n++; *n > most {
		f.once(fmt.Sprintf("$REFLINE_EVENTS: more than %d %s; further ones are left out", most, what))
		return
	}
	f.batch = append(f.batch, &foldedEvent{raw: slices.Clone(raw)})
}

func (f *eventFold) artifact(raw json.RawMessage) {
	var s pipeline.Step
	if json.Unmarshal(raw, &s) == nil && s.Path != "" && len(f.artifacts) < mostArtifacts {
		f.artifacts = append(f.artifacts, s.Path)
	}
}

func (f *eventFold) once(text string) {
	if !f.noted[text] {
		f.noted[text] = true
		f.note(text)
	}
}

// flush passes the batch on.
func (f *eventFold) flush(last bool) {
	for _, e := range f.batch {
		switch {
		case e.log != nil:
			f.emitLine(e.log)
		case e.task != "":
			f.emitState(e.task, last)
		default:
			f.emit(e.raw)
		}
	}
	f.batch = f.batch[:0]
	clear(f.states)
	clear(f.logs)
	now := f.now()
	for _, p := range f.progress {
		if p.due(now, false) {
			f.emit(p.raw)
		}
	}
	f.emitCounts(now, last)
	if last {
		for _, id := range slices.Sorted(maps.Keys(f.late)) {
			f.emitState(id, true)
		}
	}
}

func (f *eventFold) emitState(id string, last bool) {
	t := f.tasks.Task(id)
	if f.lines++; f.lines > mostTaskLines && !last && f.described[id] {
		f.late[id] = true
		return
	}
	delete(f.late, id)
	line := &taskLine{TaskLine: pipeline.TaskLine{
		Type: pipeline.StepTask, ID: t.ID, State: t.State, Attempt: t.Attempt, Worker: t.Worker, Seconds: t.Seconds,
		Delay: t.Delay, Reason: t.Reason,
	}}
	if t.State == pipeline.TaskFailed || t.State == pipeline.TaskRetrying || t.Attempt > 1 {
		line.Error = t.Error
	}
	at := t.Finished
	for _, other := range []time.Time{t.Started, t.Queued} {
		if at.IsZero() {
			at = other
		}
	}
	if !at.IsZero() {
		line.Time = float64(at.UnixMilli()) / 1000
	}
	if !f.described[id] {
		f.described[id] = true
		line.Name, line.Kind, line.Index, line.Of, line.After, line.Tags = t.Name, t.Kind, t.Index, t.Of, t.After, t.Tags
		if t.Parent != id[:max(strings.LastIndexByte(id, '.'), 0)] {
			line.Parent = &t.Parent
		}
	}
	f.emitLine(line)
}

func (f *eventFold) emitLine(line *taskLine) {
	if raw, err := json.Marshal(line); err == nil {
		f.emit(raw)
	}
}

func (f *eventFold) emitCounts(now time.Time, last bool) {
	due := map[[2]string]bool{}
	for key, p := range f.counts {
		if p.due(now, last) {
			due[key] = true
		}
	}
	if len(due) == 0 {
		return
	}
	for _, g := range f.tasks.Groups() {
		if !due[[2]string{g.Parent, g.Name}] {
			continue
		}
		line := map[string]any{"type": pipeline.StepTasks, "parent": g.Parent, "name": g.Name, "total": g.Total}
		for state, n := range g.Counts {
			line[string(state)] = n
		}
		if raw, err := json.Marshal(line); err == nil {
			f.emit(raw)
		}
	}
}

// finish passes on what is left, and ends tasks that are open by the result of the
// job: a process that is killed cannot say so itself.
func (f *eventFold) finish(res *JobResult) {
	state, reason := pipeline.TaskCanceled, "the job was canceled"
	switch {
	case res.Status == pipeline.StatusSuccess:
		reason = "the job ended before it"
	case res.Reason == pipeline.ReasonJobExecutionTimeout:
		reason = "the job's timeout was over"
	case res.Status == pipeline.StatusFailed:
		state, reason = pipeline.TaskFailed, "its process ended before it"
		if res.ExitCode > 128 {
			reason = fmt.Sprintf("its process was killed (exit code %d)", res.ExitCode)
		}
	}
	for _, t := range f.tasks.Close(state, reason, f.now().UTC()) {
		if t.Kind == pipeline.TaskKindStep || f.states[t.ID] != nil {
			continue
		}
		f.batch = append(f.batch, &foldedEvent{task: t.ID})
	}
	for _, g := range f.tasks.Groups() {
		if p := f.counts[[2]string{g.Parent, g.Name}]; p != nil {
			p.waits = true
		}
	}
	f.flush(true)
}
