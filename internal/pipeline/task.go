package pipeline

import "time"

// Task is one task of a job as its events describe it: a task or a flow of a script,
// or a step. Its parent is the task that started it.
type Task struct {
	ID       string        `json:"id"`
	Parent   string        `json:"parent,omitempty" doc:"id of the task or flow that started it"`
	Name     string        `json:"name"`
	Kind     TaskKind      `json:"kind" enum:"flow,task,step"`
	State    TaskState     `json:"state" enum:"queued,running,retrying,success,failed,canceled,skipped,cached,kept"`
	Reason   string        `json:"reason,omitempty" doc:"why it did not succeed, if not by an error of its own"`
	Index    int           `json:"index,omitempty" doc:"of a mapped task, from 0"`
	Of       int           `json:"of,omitempty" doc:"number of tasks of its map; 0 for one that is not mapped"`
	After    []string      `json:"after,omitempty" doc:"ids of the tasks whose results it takes"`
	Tags     []string      `json:"tags,omitempty"`
	Attempt  int           `json:"attempt,omitempty" doc:"number of the last attempt, from 1"`
	Worker   string        `json:"worker,omitempty" doc:"host/process"`
	Queued   time.Time     `json:"queued,omitzero"`
	Started  time.Time     `json:"started,omitzero" doc:"of the last attempt"`
	Finished time.Time     `json:"finished,omitzero"`
	Seconds  float64       `json:"seconds,omitempty" doc:"of the last attempt"`
	Delay    float64       `json:"delay,omitempty" doc:"seconds until the next attempt, while it is retrying"`
	Error    *TaskError    `json:"error,omitempty" doc:"of the last attempt that failed"`
	Progress *TaskProgress `json:"progress,omitempty"`
	LogLines int           `json:"log_lines,omitempty" doc:"printed lines of the task"`
}

// TaskError is an exception of a task.
type TaskError struct {
	Type      string `json:"type,omitempty"`
	Message   string `json:"message,omitempty"`
	Traceback string `json:"traceback,omitempty" doc:"of the task's own code"`
}

// TaskProgress is how far a task is.
type TaskProgress struct {
	Current float64 `json:"current"`
	Total   float64 `json:"total,omitempty"`
}

// TaskKind says what a [Task] is.
type TaskKind string

// The kinds of tasks.
const (
	TaskKindFlow TaskKind = "flow"
	TaskKindTask TaskKind = "task"
	TaskKindStep TaskKind = "step" // of the events step_started and step_finished
)

// TaskState is the state of a [Task].
type TaskState string

// The states of tasks. Cached and kept are successes whose result is an earlier one.
const (
	TaskQueued   TaskState = "queued"
	TaskRunning  TaskState = "running"
	TaskRetrying TaskState = "retrying"
	TaskSuccess  TaskState = "success"
	TaskFailed   TaskState = "failed"
	TaskCanceled TaskState = "canceled"
	TaskSkipped  TaskState = "skipped"
	TaskCached   TaskState = "cached"
	TaskKept     TaskState = "kept"
)

// TaskStates are all states, in the order in which they are shown.
func TaskStates() []TaskState {
	return []TaskState{TaskSuccess, TaskCached, TaskKept, TaskRunning, TaskRetrying, TaskQueued, TaskFailed, TaskSkipped, TaskCanceled}
}

// Known reports whether s is one of the states above.
func (s TaskState) Known() bool { return s.Open() || s.Done() }

// Open reports whether the task has not ended.
func (s TaskState) Open() bool {
	return s == TaskQueued || s == TaskRunning || s == TaskRetrying
}

// Done reports whether the task has ended.
func (s TaskState) Done() bool {
	return s.Good() || s == TaskFailed || s == TaskCanceled || s == TaskSkipped
}

// Good reports whether the task has a result.
func (s TaskState) Good() bool { return s == TaskSuccess || s == TaskCached || s == TaskKept }

// TaskCounts are numbers of tasks by state.
type TaskCounts map[TaskState]int

// Total is the number of all tasks.
func (c TaskCounts) Total() int {
	n := 0
	for _, k := range c {
		n += k
	}
	return n
}

// State is the state that stands for all of them: the worst of what has ended, unless
// something is still open.
func (c TaskCounts) State() TaskState {
	for _, s := range []TaskState{TaskRunning, TaskRetrying, TaskQueued, TaskFailed, TaskCanceled, TaskSkipped, TaskSuccess, TaskCached, TaskKept} {
		if c[s] > 0 {
			return s
		}
	}
	return TaskSuccess
}

// TaskGroup counts the tasks with one name under one parent.
type TaskGroup struct {
	Parent string     `json:"parent,omitempty"`
	Name   string     `json:"name"`
	Kind   TaskKind   `json:"kind" enum:"flow,task,step"`
	Counts TaskCounts `json:"counts" doc:"number of tasks by state"`
	Total  int        `json:"total"`
	Listed int        `json:"listed" doc:"how many of them are in the list; the others are counted only"`
}
