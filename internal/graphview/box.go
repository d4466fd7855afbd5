package graphview

import (
	"strconv"
	"strings"
	"time"

	"refline/internal/pipeline"
)

// box is what a job shows, and its size.
type box struct {
	name, note, look string
	w, h             float64
}

func (d *drawing) box(i int) box {
	job := &d.p.Jobs[i]
	b := box{name: fit(job.Name, nameWidth), note: fit(d.note(i), nameWidth), look: d.look(i), h: 34}
	b.w = max(textWidth(b.name, fontSize), textWidth(b.note, noteSize), smallWidth) + iconSize + 3*padding
	if b.note != "" {
		b.h = 48
	}
	return b
}

// look selects the symbol and colour of a job: a status, or "warned".
func (d *drawing) look(i int) string {
	job := &d.p.Jobs[i]
	if d.state != nil {
		state := d.state.Jobs[i]
		if state.Status == pipeline.StatusFailed && state.AllowFailure {
			return "warned"
		}
		return string(state.Status)
	}
	switch job.When {
	case pipeline.WhenManual:
		return "manual"
	case pipeline.WhenDelayed:
		return "scheduled"
	default:
		return "created"
	}
}

// note is the second line of a job: what is special about it, the most urgent
// first.
func (d *drawing) note(i int) string {
	job := &d.p.Jobs[i]
	var parts []string
	add := func(text string) { parts = append(parts, text) }
	if d.state != nil {
		state := d.state.Jobs[i]
		if state.Status == pipeline.StatusFailed && state.ExitCode != 0 {
			add("exit " + strconv.Itoa(state.ExitCode))
		} else if state.Status == pipeline.StatusFailed && state.Reason != "" {
			add(strings.ReplaceAll(string(state.Reason), "_", " "))
		}
		if state.Attempt > 1 {
			add("attempt " + strconv.Itoa(state.Attempt))
		}
	}
	switch job.When {
	case pipeline.WhenManual:
		if job.AllowFailure {
			add("manual")
		} else {
			add("manual, blocking")
		}
	case pipeline.WhenDelayed:
		add("delayed " + shortDuration(job.StartIn.D()))
	case pipeline.WhenOnFailure:
		add("on failure")
	case pipeline.WhenAlways:
		add("always")
	}
	if job.AllowFailure && job.When != pipeline.WhenManual {
		add("allowed to fail")
	}
	if job.Downstream != nil && job.Downstream.Project != "" {
		add("starts " + job.Downstream.Project)
	} else if job.Downstream != nil {
		add("starts a pipeline")
	}
	if job.Environment != nil {
		add("to " + job.Environment.Name)
	}
	if job.DAG && len(job.Needs) == 0 && job.Stage != d.p.Stages[0] {
		add("starts immediately")
	}
	return strings.Join(parts, " · ")
}

// shortDuration is "1h30m" rather than "1h30m0s".
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func statusText(s pipeline.Status) string { return strings.ReplaceAll(string(s), "_", " ") }
