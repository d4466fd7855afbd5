package termview

import (
	"fmt"
	"strings"

	"refline/internal/pipeline"
)

func (v *View) printFinal(j *jobView) {
	v.printLine(j, v.remarks(j))
	for _, line := range j.extra {
		v.print("      " + Plain(line))
	}
}

func (v *View) printLine(j *jobView, remarks string) {
	j.shown = true
	took := "        "
	if !j.started.IsZero() && j.final.EarlierRun == 0 {
		took = fmt.Sprintf("%8s", Seconds(j.final.Seconds))
	}
	v.print(strings.TrimRight(fmt.Sprintf("  %s %s %s   %s", v.symbol(j), Pad(Plain(j.name), v.width), took, Plain(firstLine(remarks))), " "))
}

// remarks are what stands behind a job's duration.
func (v *View) remarks(j *jobView) string {
	var parts []string
	ev := j.final
	switch {
	case ev.Status == pipeline.StatusCanceled:
		parts = append(parts, "canceled")
	case ev.EarlierRun != 0:
		parts = append(parts, fmt.Sprintf("from run %d", ev.EarlierRun))
	case ev.Status != pipeline.StatusFailed:
	case ev.Message != "":
		parts = append(parts, ev.Message)
	case ev.Reason == pipeline.ReasonJobExecutionTimeout:
		parts = append(parts, "timed out")
	case ev.ExitCode != 0:
		parts = append(parts, fmt.Sprintf("exit %d", ev.ExitCode))
	default:
		parts = append(parts, strings.ReplaceAll(string(ev.Reason), "_", " "))
	}
	if ev.Status == pipeline.StatusFailed && ev.AllowFailure {
		parts = append(parts, "failed, allowed")
	}
	if ev.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", ev.Attempt))
	}
	out := strings.Join(parts, ", ")
	var more []string
	if n := len(j.steps); n > 0 {
		more = append(more, stepsText(j.steps))
	}
	if ev.Coverage != nil {
		more = append(more, fmt.Sprintf("coverage %g %%", *ev.Coverage))
	}
	if len(more) > 0 {
		if out != "" {
			out += " · "
		}
		out += strings.Join(more, " · ")
	}
	return out
}

func stepsText(steps []stepView) string {
	var b strings.Builder
	if len(steps) == 1 {
		b.WriteString("1 step:")
	} else {
		fmt.Fprintf(&b, "%d steps:", len(steps))
	}
	for i, s := range steps {
		if i == 6 {
			fmt.Fprintf(&b, " and %d more", len(steps)-i)
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

func (v *View) symbol(j *jobView) string {
	s := Symbol(j.status)
	if j.status == pipeline.StatusFailed && j.final.AllowFailure {
		s = "!"
	}
	color := map[string]string{"✓": "32", "✗": "31", "!": "33", "◌": "34", "–": "2", "▸": "36"}[s]
	if !v.color || color == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// Symbol is one character for a status.
func Symbol(s pipeline.Status) string {
	switch s {
	case pipeline.StatusSuccess:
		return "✓"
	case pipeline.StatusFailed:
		return "✗"
	case pipeline.StatusManual, pipeline.StatusScheduled:
		return "◌"
	case pipeline.StatusRunning, pipeline.StatusPending, pipeline.StatusPreparing:
		return "▸"
	case pipeline.StatusCanceling, pipeline.StatusCanceled:
		return "■"
	default:
		return "–"
	}
}

func (v *View) dim(s string) string {
	if !v.color {
		return s
	}
	return "\x1b[2m" + s + "\x1b[0m"
}

// firstLine drops what stands in the log anyway.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
