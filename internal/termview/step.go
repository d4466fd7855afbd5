package termview

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"refline/internal/pipeline"
)

// stepList is what a job reported about its inside: its steps and tasks, and the lines
// of text, tables and links that are shown under the job.
type stepList struct {
	tasks pipeline.TaskList
	lines []string
}

// Reported gives what a job that has ended reported: its steps in one line, its tasks
// as a tree, and the lines of its failures, texts, tables and links.
func Reported(steps []json.RawMessage) []string {
	var l stepList
	for _, raw := range steps {
		l.add(raw)
	}
	l.tasks.Close(pipeline.TaskCanceled, "the job ended", time.Time{})
	tasks := make([]pipeline.Task, 0, len(l.tasks.Tasks()))
	tree := false
	for _, t := range l.tasks.Tasks() {
		tasks = append(tasks, *t)
		tree = tree || t.Kind != pipeline.TaskKindStep
	}
	var lines []string
	if tree {
		lines = TaskTree(tasks, l.tasks.Groups())
	} else if text := l.summary(); text != "" {
		lines = append(lines, text)
	}
	return append(lines, l.all()...)
}

// add takes an event, and returns the task whose state it changed.
func (l *stepList) add(raw json.RawMessage) *pipeline.Task {
	var s pipeline.Step
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	switch s.Type {
	case pipeline.StepMarkdown:
		l.lines = append(l.lines, strings.Split(strings.TrimRight(s.Text, "\n"), "\n")...)
	case pipeline.StepTable:
		l.lines = append(l.lines, tableLines(s)...)
	case pipeline.StepLink:
		l.lines = append(l.lines, strings.TrimSpace(s.Title+" "+s.URL))
	default:
		return l.tasks.Add(raw)
	}
	return nil
}

// all are the lines that are shown under the job: failures first.
func (l *stepList) all() []string { return append(failureLines(l.tasks.Tasks()), l.lines...) }

// summary is "3 steps: extract ✓ load … 40 %".
func (l *stepList) summary() string {
	var named []pipeline.TaskGroup
	total := 0
	for _, g := range l.tasks.Groups() {
		if g.Kind == pipeline.TaskKindFlow {
			continue
		}
		total += g.Total
		i := slices.IndexFunc(named, func(o pipeline.TaskGroup) bool { return o.Name == g.Name })
		if i < 0 {
			g.Counts = maps.Clone(g.Counts)
			named = append(named, g)
			continue
		}
		named[i].Total += g.Total
		for state, n := range g.Counts {
			named[i].Counts[state] += n
		}
	}
	if total == 0 {
		return ""
	}
	var b strings.Builder
	if total == 1 {
		b.WriteString("1 step:")
	} else {
		fmt.Fprintf(&b, "%d steps:", total)
	}
	for i, g := range named {
		if i == 6 {
			fmt.Fprintf(&b, " and %d more", len(named)-i)
			break
		}
		fmt.Fprintf(&b, " %s %s", Plain(g.Name), countText(g.Counts, g.Total))
		if p := l.progress(g); p != "" {
			b.WriteString(" " + p)
		}
	}
	return b.String()
}

// progress is that of the one task of a group.
func (l *stepList) progress(g pipeline.TaskGroup) string {
	if g.Total != 1 {
		return ""
	}
	for _, t := range l.tasks.Tasks() {
		if t.Name != g.Name || t.Progress == nil {
			continue
		}
		if t.Progress.Total > 0 {
			return fmt.Sprintf("%.0f %%", 100*t.Progress.Current/t.Progress.Total)
		}
		return fmt.Sprintf("%g", t.Progress.Current)
	}
	return ""
}

func tableLines(s pipeline.Step) []string {
	rows := [][]string{s.Columns}
	for _, r := range s.Rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = fmt.Sprint(c)
		}
		rows = append(rows, cells)
	}
	lines := Align(rows)
	if s.Title != "" {
		lines = append([]string{s.Title}, lines...)
	}
	return lines
}
