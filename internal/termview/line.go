package termview

import (
	"fmt"
	"strings"

	"refline/internal/pipeline"
)

func (v *View) printFinal(j *jobView) {
	v.printLine(j, v.remarks(j))
	for _, line := range j.steps.all() {
		v.print("      " + Plain(line))
	}
}

func (v *View) printLine(j *jobView, remarks string) {
	j.shown = true
	took := "        "
	if !j.started.IsZero() && j.final.EarlierRun == 0 {
		took = fmt.Sprintf("%8s", Seconds(j.final.Seconds))
	}
	v.print(strings.TrimRight(fmt.Sprintf("  %s %s %s   %s", v.symbol(j), Pad(Plain(j.name), v.width), took, Plain(FirstLine(remarks))), " "))
}

// remarks come after the duration of a job.
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
		parts = append(parts, ExitCode(ev.ExitCode))
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
	if text := j.steps.summary(); text != "" {
		more = append(more, text)
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

// FirstLine drops what is in the log anyway.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// ExitCode is "exit 1", with what a code means that few people know.
func ExitCode(code int) string {
	text := fmt.Sprintf("exit %d", code)
	switch code {
	case 137:
		text += " (killed, often for lack of memory)"
	case 141:
		text += " (a program wrote to a pipe that its reader had closed; pipefail counts that)"
	}
	return text
}
