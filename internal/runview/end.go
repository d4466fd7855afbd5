package runview

import (
	"fmt"
	"io"
	"slices"

	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/localrun"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// End is a run that has ended, and what is said of it.
type End struct {
	Pipeline *pipeline.Pipeline
	Result   localrun.Result
	Record   *history.Run
	Again    string // options of refline run that mean the same pipeline
	Named    []string
}

// Why returns what a job that never ran waits for, or why it was skipped.
func (e *End) Why() func(i int) string {
	p, res := e.Pipeline, e.Result
	causes := pipeline.SkipCauses(p, res.State)
	return func(i int) string {
		if waiting := localrun.Waiting(res, p.Jobs[i].Name); len(waiting) > 0 && res.State.Jobs[i].Status != pipeline.StatusSuccess {
			return fmt.Sprintf("waits for %s; to run it: refline run%s --manual %s", waiting[0], e.Again, termview.ShellWord(waiting[0]))
		}
		switch st := res.State.Jobs[i]; st.Status {
		case pipeline.StatusManual:
			return "manual; to run it: refline run" + e.Again + " --manual " + termview.ShellWord(p.Jobs[i].Base)
		case pipeline.StatusScheduled:
			return fmt.Sprintf("delayed by %s; not to wait: refline run%s --now", p.Jobs[i].StartIn, e.Again)
		case pipeline.StatusSkipped:
			if causes[i] != "" {
				return "skipped: " + causes[i]
			}
		}
		return termview.StatusWord(res.State.Jobs[i].Status)
	}
}

// Missed is the error of a job that was asked for by name and did not run.
func (e *End) Missed() error {
	why := e.Why()
	for i := range e.Pipeline.Jobs {
		name := e.Pipeline.Jobs[i].Name
		if st := e.Result.State.Jobs[i].Status; slices.Contains(e.Named, name) && st != pipeline.StatusSuccess && st != pipeline.StatusFailed {
			return errs.E(errs.Conflict, "job %q did not run: %s", name, why(i))
		}
	}
	return nil
}

// Sums writes how many jobs ended how, and how to read the logs.
func (e *End) Sums(w io.Writer) {
	took := e.Record.Finished.Sub(e.Record.Started)
	fmt.Fprintf(w, "\n%s in %s%s\n", Sums(e.Record.Jobs), termview.Seconds(took.Seconds()), e.logHint())
}

// logHint says how to read the logs.
func (e *End) logHint() string {
	job, some := " JOB", false
	if len(e.Record.Jobs) == 1 {
		job = ""
	}
	for _, j := range e.Record.Jobs {
		some = some || j.Log != ""
	}
	if !some {
		return ""
	}
	return fmt.Sprintf(" · logs: refline runs log %d%s", e.Record.Number, job)
}

// Uncounted names trigger jobs whose child pipeline failed and does not count, as on
// GitLab.
func (e *End) Uncounted(w io.Writer) {
	for _, c := range e.Result.Children {
		job := e.Pipeline.Job(c.Trigger)
		if job != nil && job.Downstream != nil && !job.Downstream.Waits() && c.Result.Result == pipeline.ResultFailed {
			fmt.Fprintf(w, "the child pipeline of %s failed; it does not count without strategy: depend\n", c.Trigger)
		}
	}
}

const mostFailures = 10

// Failures writes where the logs of failed jobs are, and their last lines if tail has
// them: lines that were not shown already.
func (e *End) Failures(w io.Writer, tail func(job string) []string) {
	var rows [][]string
	for _, j := range e.Record.Jobs {
		if j.Status != pipeline.StatusFailed || j.AllowFailure || j.Log == "" {
			continue
		}
		all := fmt.Sprintf("refline runs log %d %s", e.Record.Number, termview.Argument(j.Name))
		lines := tail(j.Name)
		if lines == nil {
			rows = append(rows, []string{"  " + j.Name, all})
			continue
		}
		fmt.Fprintf(w, "\n%s, last lines; all of it: %s\n", j.Name, all)
		for _, line := range lines {
			fmt.Fprintf(w, "  | %s\n", line)
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(w, "\nlogs of what failed")
	if more := len(rows) - mostFailures; more > 0 {
		rows = append(rows[:mostFailures], []string{fmt.Sprintf("  and %d more", more), fmt.Sprintf("refline runs show %d", e.Record.Number)})
	}
	termview.Table(w, rows)
}
