package termview

import (
	"fmt"
	"strings"
	"time"

	"refline/internal/pipeline"
)

const (
	mostFailures  = 3  // tasks whose error is shown under a job
	mostTraceback = 12 // lines of a traceback
	mostDepth     = 50 // of a tree
)

// taskMark is the symbol of a state.
func taskMark(s pipeline.TaskState) string {
	switch s {
	case pipeline.TaskSuccess, pipeline.TaskCached, pipeline.TaskKept:
		return "✓"
	case pipeline.TaskFailed:
		return "✗"
	case pipeline.TaskRunning:
		return "…"
	case pipeline.TaskRetrying:
		return "↻"
	case pipeline.TaskQueued:
		return "·"
	default:
		return "–"
	}
}

// countText is "✓" for one task, "×120 118 ✓ 2 ↻" for several.
func countText(counts pipeline.TaskCounts, total int) string {
	if total == 1 {
		return taskMark(counts.State())
	}
	byMark := map[string]int{}
	var marks []string
	for _, s := range pipeline.TaskStates() {
		if counts[s] == 0 {
			continue
		}
		mark := taskMark(s)
		if byMark[mark] == 0 {
			marks = append(marks, mark)
		}
		byMark[mark] += counts[s]
	}
	text := fmt.Sprintf("×%d", total)
	for _, mark := range marks {
		if len(marks) == 1 {
			return text + " " + mark
		}
		text += fmt.Sprintf(" %d %s", byMark[mark], mark)
	}
	return text
}

// taskName is the name, with the index of a mapped task.
func taskName(t *pipeline.Task) string {
	if t.Of > 0 {
		return fmt.Sprintf("%s[%d]", Plain(t.Name), t.Index)
	}
	return Plain(t.Name)
}

// taskLine says how a task ended.
func taskLine(t *pipeline.Task) string {
	words := []string{strings.Repeat("  ", strings.Count(t.ID, ".")) + taskMark(t.State), taskName(t)}
	if t.Seconds > 0 || t.State == pipeline.TaskSuccess {
		words = append(words, " "+Seconds(t.Seconds))
	}
	switch {
	case t.State == pipeline.TaskFailed && t.Error != nil:
		words = append(words, " "+errorText(t.Error))
	case t.State != pipeline.TaskSuccess:
		words = append(words, " "+string(t.State))
		if t.Reason != "" {
			words = append(words, "("+Plain(t.Reason)+")")
		}
	}
	if t.Attempt > 1 {
		words = append(words, fmt.Sprintf(" attempt %d", t.Attempt))
	}
	return strings.Join(words, " ")
}

func errorText(e *pipeline.TaskError) string {
	text := e.Type
	if e.Message != "" {
		text += ": " + FirstLine(e.Message)
	}
	return Plain(text)
}

// failureLines are the errors of the tasks that failed by themselves, the first ones
// with their tracebacks.
func failureLines(tasks []*pipeline.Task) []string {
	above := map[string]bool{} // they failed since one below them did
	failed := 0
	for _, t := range tasks {
		if t.State == pipeline.TaskFailed {
			above[t.Parent] = true
		}
	}
	var lines []string
	for _, t := range tasks {
		if t.State != pipeline.TaskFailed || above[t.ID] {
			continue
		}
		failed++
		if failed > mostFailures {
			continue
		}
		switch {
		case t.Error == nil:
			if t.Reason == "" && t.Kind == pipeline.TaskKindStep {
				failed--
				continue
			}
			lines = append(lines, taskName(t)+": "+Plain(t.Reason))
		default:
			lines = append(lines, taskName(t)+": "+errorText(t.Error))
			lines = append(lines, traceback(t.Error.Traceback)...)
		}
	}
	if more := failed - mostFailures; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more tasks failed", more))
	}
	return lines
}

// traceback gives the last lines of a traceback, indented.
func traceback(text string) []string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if text == "" {
		return nil
	}
	var lines []string
	if len(all) > mostTraceback {
		lines = append(lines, "  …")
		all = all[len(all)-mostTraceback:]
	}
	for _, line := range all {
		lines = append(lines, "  "+Plain(line))
	}
	return lines
}

// taskNode is a line of a tree: the tasks with one name below one line.
type taskNode struct {
	name        string
	counts      pipeline.TaskCounts
	total       int
	first, last time.Time
	seconds     float64
	below       []*taskNode
}

func (n *taskNode) child(name string) *taskNode {
	for _, c := range n.below {
		if c.name == name {
			return c
		}
	}
	c := &taskNode{name: name, counts: pipeline.TaskCounts{}}
	n.below = append(n.below, c)
	return c
}

// TaskTree gives the tasks of a job as lines: those with the same name below the same
// parent are one.
func TaskTree(tasks []pipeline.Task, groups []pipeline.TaskGroup) []string {
	root := &taskNode{}
	byID := make(map[string]*pipeline.Task, len(tasks))
	for i := range tasks {
		byID[tasks[i].ID] = &tasks[i]
	}
	of := map[string]*taskNode{"": root}
	var place func(id string, depth int) *taskNode
	place = func(id string, depth int) *taskNode {
		t := byID[id]
		if of[id] == nil && (t == nil || depth == mostDepth) { // a parent that is not known
			of[id] = root
		}
		if of[id] == nil {
			of[id] = place(t.Parent, depth+1).child(t.Name)
		}
		return of[id]
	}
	for i := range tasks {
		t := &tasks[i]
		n := place(t.ID, 0)
		n.seconds = t.Seconds
		if !t.Started.IsZero() && (n.first.IsZero() || t.Started.Before(n.first)) {
			n.first = t.Started
		}
		if t.Finished.After(n.last) {
			n.last = t.Finished
		}
	}
	for _, g := range groups {
		n := place(g.Parent, 0).child(g.Name)
		n.total += g.Total
		for state, count := range g.Counts {
			n.counts[state] += count
		}
	}
	return root.lines(0)
}

func (n *taskNode) lines(depth int) []string {
	var out []string
	for _, c := range n.below {
		text := strings.Repeat("  ", depth)
		seconds := c.seconds
		if c.total == 1 {
			text += taskMark(c.counts.State()) + " " + Plain(c.name)
		} else {
			text += taskMark(c.counts.State()) + " " + Plain(c.name) + " " + countText(c.counts, c.total)
			seconds = c.last.Sub(c.first).Seconds()
		}
		if seconds > 0 && !c.first.IsZero() {
			text += "  " + Seconds(seconds)
		}
		out = append(append(out, text), c.lines(depth+1)...)
	}
	return out
}

// Failures are the lines of what failed by itself among tasks.
func Failures(tasks []pipeline.Task) []string {
	pointers := make([]*pipeline.Task, len(tasks))
	for i := range tasks {
		pointers[i] = &tasks[i]
	}
	return failureLines(pointers)
}
