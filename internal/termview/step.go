package termview

import (
	"encoding/json"
	"fmt"
	"strings"

	"refline/internal/pipeline"
)

// stepList is what a job reported about its inside: its steps, and the lines of
// markdown and tables that are shown under the job.
type stepList struct {
	steps []stepView
	lines []string
}

type stepView struct{ name, status, progress string }

// Reported gives what a job reported as one line about its steps, "" without
// any, and the lines of its markdown, tables and failures.
func Reported(steps []json.RawMessage) (summary string, lines []string) {
	var l stepList
	for _, raw := range steps {
		l.add(raw)
	}
	return l.summary(), l.lines
}

func (l *stepList) add(raw json.RawMessage) {
	var s pipeline.Step
	if json.Unmarshal(raw, &s) != nil {
		return
	}
	switch s.Type {
	case pipeline.StepStarted:
		l.named(s.Step).status = "running"
	case pipeline.StepFinished:
		st := l.named(s.Step)
		st.status, st.progress = "success", ""
		if s.Status != "" {
			st.status = s.Status
		}
		if s.Message != "" && st.status == "failed" {
			l.lines = append(l.lines, s.Step+": "+s.Message)
		}
	case pipeline.StepProgress:
		st := l.named(s.Step)
		if s.Total > 0 {
			st.progress = fmt.Sprintf("%.0f %%", 100*s.Current/s.Total)
		} else {
			st.progress = fmt.Sprintf("%g", s.Current)
		}
	case pipeline.StepMarkdown:
		l.lines = append(l.lines, strings.Split(strings.TrimRight(s.Text, "\n"), "\n")...)
	case pipeline.StepTable:
		l.lines = append(l.lines, tableLines(s)...)
	}
}

func (l *stepList) named(name string) *stepView {
	for i := range l.steps {
		if l.steps[i].name == name {
			return &l.steps[i]
		}
	}
	l.steps = append(l.steps, stepView{name: name})
	return &l.steps[len(l.steps)-1]
}

// summary is "3 steps: extract ✓ load … 40 %".
func (l *stepList) summary() string {
	if len(l.steps) == 0 {
		return ""
	}
	var b strings.Builder
	if len(l.steps) == 1 {
		b.WriteString("1 step:")
	} else {
		fmt.Fprintf(&b, "%d steps:", len(l.steps))
	}
	for i, s := range l.steps {
		if i == 6 {
			fmt.Fprintf(&b, " and %d more", len(l.steps)-i)
			break
		}
		mark := map[string]string{"success": "✓", "failed": "✗", "skipped": "–", "running": "…"}[s.status]
		fmt.Fprintf(&b, " %s %s", s.name, mark)
		if s.progress != "" {
			b.WriteString(" " + s.progress)
		}
	}
	return b.String()
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
