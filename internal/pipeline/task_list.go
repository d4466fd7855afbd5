package pipeline

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// What a [TaskList] keeps of a job. Further tasks are counted.
const (
	MaxTasks       = 10_000
	maxFailedTasks = 1_000 // that are listed beyond MaxTasks
	maxTaskGroups  = 1_000
	maxTaskText    = 64 << 10 // bytes of one text of a task
	maxTaskWords   = 100      // tags and ids of a task
)

// TaskLine is a line of $REFLINE_EVENTS about one task.
type TaskLine struct {
	Type    StepType   `json:"type"`
	ID      string     `json:"id"`
	State   TaskState  `json:"state,omitempty"`
	Time    float64    `json:"t,omitempty"` // Unix seconds
	Name    string     `json:"name,omitempty"`
	Kind    TaskKind   `json:"kind,omitempty"`
	Parent  *string    `json:"parent,omitempty"`
	Index   int        `json:"index,omitempty"`
	Of      int        `json:"of,omitempty"`
	After   []string   `json:"after,omitempty"`
	Tags    []string   `json:"tags,omitempty"`
	Attempt int        `json:"attempt,omitempty"`
	Worker  string     `json:"worker,omitempty"`
	Seconds float64    `json:"s,omitempty"`
	Delay   float64    `json:"delay,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Error   *TaskError `json:"error,omitempty"`
	Text    string     `json:"text,omitempty"`
}

// TaskEvent is a line of $REFLINE_EVENTS that says something about tasks.
type TaskEvent struct {
	TaskLine

	// Of steps and progress.
	Step    string  `json:"step"`
	Status  string  `json:"status"`
	Message string  `json:"message"`
	Current float64 `json:"current"`
	Total   float64 `json:"total"`

	// Counts of StepTasks.
	Queued    int `json:"queued"`
	Running   int `json:"running"`
	Retrying  int `json:"retrying"`
	Success   int `json:"success"`
	Failed    int `json:"failed"`
	Canceled  int `json:"canceled"`
	Skipped   int `json:"skipped"`
	CachedN   int `json:"cached"`
	KeptTasks int `json:"kept"`
}

type groupKey struct{ parent, name string }

type taskGroup struct {
	kind   TaskKind
	listed TaskCounts // of tasks in the list
	beyond TaskCounts // of others, as they ended
	given  TaskCounts // what the job says of all of them; nil: it does not
}

// TaskList is the tasks of one attempt of a job, made from its events one after the
// other. It is bounded, and counts right what it does not list.
type TaskList struct {
	tasks  []*Task
	byID   map[string]*Task
	groups map[groupKey]*taskGroup
	order  []groupKey
	failed int // listed beyond MaxTasks
}

// Add takes an event. It returns the task that changed, nil if none in the list did.
func (l *TaskList) Add(raw json.RawMessage) *Task {
	var e TaskEvent
	if json.Unmarshal(raw, &e) != nil {
		return nil
	}
	return l.AddEvent(&e)
}

// AddEvent is Add for an event that is decoded already.
func (l *TaskList) AddEvent(e *TaskEvent) *Task {
	switch e.Type {
	case StepTask:
		if e.ID == "" || !e.State.Known() {
			return nil
		}
		return l.task(e)
	case StepTasks:
		l.count(e)
	case StepStarted, StepFinished:
		return l.step(e)
	case StepProgress:
		return l.progress(e)
	case StepLog:
		if t := l.byID[e.ID]; t != nil {
			t.LogLines += 1 + strings.Count(e.Text, "\n")
			return t
		}
	}
	return nil
}

func (l *TaskList) task(e *TaskEvent) *Task {
	t := l.byID[e.ID]
	if t == nil {
		kind := e.Kind
		if kind != TaskKindFlow && kind != TaskKindStep {
			kind = TaskKindTask
		}
		t = &Task{ID: clipText(e.ID, 500), Name: clipText(e.Name, 500), Kind: kind, Index: e.Index, Of: e.Of, Parent: parentOf(e)}
		if t.Name == "" {
			t.Name = t.ID
		}
		if !l.list(t, e.State) {
			return nil
		}
	}
	if t.State.Done() && e.State.Open() && e.Attempt <= t.Attempt {
		return nil // a late line of a worker that was given up
	}
	l.move(t, e.State)
	t.fill(e)
	return t
}

// fill takes what an event says beside the state.
func (t *Task) fill(e *TaskEvent) {
	at := unixTime(e.Time)
	if e.Name != "" {
		t.Name = clipText(e.Name, 500)
	}
	if len(e.After) > 0 {
		t.After = e.After[:min(len(e.After), maxTaskWords)]
	}
	if len(e.Tags) > 0 {
		t.Tags = e.Tags[:min(len(e.Tags), maxTaskWords)]
	}
	if e.Attempt > 0 {
		t.Attempt = e.Attempt
	}
	if e.Worker != "" {
		t.Worker = clipText(e.Worker, 500)
	}
	t.Reason, t.Delay = clipText(e.Reason, maxTaskText), 0
	if e.Error != nil {
		t.Error = &TaskError{clipText(e.Error.Type, 500), clipText(e.Error.Message, maxTaskText), clipText(e.Error.Traceback, maxTaskText)}
	}
	switch {
	case e.State == TaskQueued:
		t.Queued = at
	case e.State == TaskRunning:
		t.Started, t.Finished, t.Seconds = at, time.Time{}, 0
	case e.State == TaskRetrying:
		t.Delay, t.Seconds = e.Delay, e.Seconds
	default:
		t.Finished, t.Seconds, t.Progress = at, e.Seconds, nil
		if e.Seconds > 0 && e.Seconds < 1e9 && !at.IsZero() {
			t.Started = at.Add(-time.Duration(e.Seconds * float64(time.Second)))
		}
		if t.Seconds == 0 && !t.Started.IsZero() && !at.IsZero() {
			t.Seconds = max(at.Sub(t.Started).Seconds(), 0)
		}
	}
}

// step takes the older events of steps, whose names are their ids.
func (l *TaskList) step(e *TaskEvent) *Task {
	te := &TaskEvent{TaskLine: TaskLine{Type: StepTask, ID: "step " + e.Step, Name: e.Step, Kind: TaskKindStep, State: TaskRunning, Time: e.Time, Attempt: 1}}
	if t := l.byID[te.ID]; t != nil && e.Type == StepStarted {
		te.Attempt = t.Attempt + 1
	} else if t != nil {
		te.Attempt = t.Attempt
	}
	if e.Type == StepFinished {
		switch e.Status {
		case "", "success":
			te.State = TaskSuccess
		case "skipped":
			te.State, te.Reason = TaskSkipped, e.Message
		default:
			te.State, te.Reason = TaskFailed, e.Message
		}
	}
	return l.task(te)
}

func (l *TaskList) progress(e *TaskEvent) *Task {
	t := l.byID[e.ID]
	if e.ID == "" && e.Step != "" {
		if t = l.byID["step "+e.Step]; t == nil {
			t = l.step(&TaskEvent{TaskLine: TaskLine{Type: StepStarted, Time: e.Time}, Step: e.Step})
		}
	}
	if t == nil || t.State.Done() {
		return nil
	}
	t.Progress = &TaskProgress{Current: e.Current, Total: e.Total}
	return t
}

// list adds a task, unless there are too many; then it is counted when it ends.
func (l *TaskList) list(t *Task, state TaskState) bool {
	g := l.group(groupKey{t.Parent, t.Name}, t.Kind)
	if len(l.tasks)-l.failed >= MaxTasks {
		if state != TaskFailed || l.failed >= maxFailedTasks {
			if state.Done() {
				g.beyond[state]++
			}
			return false
		}
		l.failed++
	}
	if l.byID == nil {
		l.byID = map[string]*Task{}
	}
	l.byID[t.ID] = t
	l.tasks = append(l.tasks, t)
	return true
}

func (l *TaskList) move(t *Task, state TaskState) {
	g := l.group(groupKey{t.Parent, t.Name}, t.Kind)
	if t.State != "" {
		g.listed[t.State]--
	}
	g.listed[state]++
	t.State = state
}

func (l *TaskList) group(key groupKey, kind TaskKind) *taskGroup {
	g := l.groups[key]
	if g == nil && len(l.groups) >= maxTaskGroups {
		key = groupKey{name: "other tasks"}
		g = l.groups[key]
	}
	if g == nil {
		if l.groups == nil {
			l.groups = map[groupKey]*taskGroup{}
		}
		g = &taskGroup{kind: kind, listed: TaskCounts{}, beyond: TaskCounts{}}
		l.groups[key] = g
		l.order = append(l.order, key)
	}
	return g
}

// count takes what a job says of all tasks of a group.
func (l *TaskList) count(e *TaskEvent) {
	parent := ""
	if e.Parent != nil {
		parent = *e.Parent
	}
	given := TaskCounts{
		TaskQueued: e.Queued, TaskRunning: e.Running, TaskRetrying: e.Retrying, TaskSuccess: e.Success, TaskFailed: e.Failed,
		TaskCanceled: e.Canceled, TaskSkipped: e.Skipped, TaskCached: e.CachedN, TaskKept: e.KeptTasks,
	}
	maps.DeleteFunc(given, func(_ TaskState, n int) bool { return n <= 0 || n > math.MaxInt32 })
	l.group(groupKey{clipText(parent, 500), clipText(e.Name, 500)}, TaskKindTask).given = given
}

// Close ends what is open, for a job that has ended: a process that is killed cannot
// say so itself. What runs gets the state, what waits is canceled. It returns the tasks
// that it ended.
func (l *TaskList) Close(state TaskState, reason string, at time.Time) []*Task {
	var ended []*Task
	for _, t := range l.tasks {
		if !t.State.Open() {
			continue
		}
		end := state
		if t.State != TaskRunning {
			end = TaskCanceled
		}
		l.move(t, end)
		t.Reason, t.Finished, t.Progress, t.Delay = reason, at, nil, 0
		if !t.Started.IsZero() && !at.IsZero() {
			t.Seconds = max(at.Sub(t.Started).Seconds(), 0)
		}
		ended = append(ended, t)
	}
	for _, g := range l.groups {
		for _, open := range []TaskState{TaskQueued, TaskRunning, TaskRetrying} {
			if n := g.given[open]; n > 0 {
				g.given[state] += n
				delete(g.given, open)
			}
		}
	}
	return ended
}

// Tasks are the tasks in the order in which they appeared. They change with the list.
func (l *TaskList) Tasks() []*Task { return l.tasks }

// Task finds a task by its id, nil for none.
func (l *TaskList) Task(id string) *Task { return l.byID[id] }

// Groups are the tasks counted by parent and name, in the order in which they appeared.
func (l *TaskList) Groups() []TaskGroup {
	out := make([]TaskGroup, 0, len(l.order))
	for _, key := range l.order {
		g := l.groups[key]
		counts := TaskCounts{}
		if g.given != nil {
			maps.Copy(counts, g.given)
		} else {
			for _, s := range TaskStates() {
				if n := g.listed[s] + g.beyond[s]; n > 0 {
					counts[s] = n
				}
			}
		}
		out = append(out, TaskGroup{Parent: key.parent, Name: key.name, Kind: g.kind, Counts: counts, Total: counts.Total(), Listed: g.listed.Total()})
	}
	return out
}

// Counts are all tasks by state, without the flows that they are in.
func (l *TaskList) Counts() TaskCounts {
	all := TaskCounts{}
	for _, g := range l.Groups() {
		if g.Kind == TaskKindFlow {
			continue
		}
		for s, n := range g.Counts {
			all[s] += n
		}
	}
	return all
}

// FirstFailure is the task whose error explains the others: the first that failed
// among those without a failed task of their own. Nil for none.
func (l *TaskList) FirstFailure() *Task {
	var failed []*Task
	above := map[string]bool{}
	for _, t := range l.tasks {
		if t.State == TaskFailed {
			failed = append(failed, t)
			above[t.Parent] = true
		}
	}
	failed = slices.DeleteFunc(failed, func(t *Task) bool { return above[t.ID] })
	if len(failed) == 0 {
		return nil
	}
	return slices.MinFunc(failed, func(a, b *Task) int { return a.Finished.Compare(b.Finished) })
}

func parentOf(e *TaskEvent) string {
	if e.Parent != nil {
		return clipText(*e.Parent, 500)
	}
	i := strings.LastIndexByte(e.ID, '.')
	if i < 0 || e.Kind == TaskKindStep {
		return ""
	}
	return clipText(e.ID[:i], 500)
}

func clipText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func unixTime(t float64) time.Time {
	if t <= 0 || t > 1e11 || math.IsNaN(t) {
		return time.Time{}
	}
	whole, part := math.Modf(t)
	return time.Unix(int64(whole), int64(part*1e9)).UTC().Round(time.Millisecond)
}
