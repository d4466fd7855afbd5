package main

import (
	"context"
	"fmt"
	"slices"

	"refline/internal/errs"
	"refline/internal/localrun"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// why says behind a job that never ran what it waits for or why it was skipped.
func (s *session) why(res localrun.Result) func(int) string {
	p := s.p
	causes := pipeline.SkipCauses(p, res.State)
	return func(i int) string {
		if waiting := localrun.Waiting(res, p.Jobs[i].Name); len(waiting) > 0 && res.State.Jobs[i].Status != pipeline.StatusSuccess {
			return fmt.Sprintf("waits for %s; to run it: refline run%s --manual %s", waiting[0], s.options.Again(), termview.ShellWord(waiting[0]))
		}
		switch st := res.State.Jobs[i]; st.Status {
		case pipeline.StatusManual:
			return "manual; to run it: refline run" + s.options.Again() + " --manual " + termview.ShellWord(p.Jobs[i].Base)
		case pipeline.StatusScheduled:
			return fmt.Sprintf("delayed by %s; not to wait: refline run%s --now", p.Jobs[i].StartIn, s.options.Again())
		case pipeline.StatusSkipped:
			if causes[i] != "" {
				return "skipped: " + causes[i]
			}
			return "skipped"
		case pipeline.StatusCreated, pipeline.StatusPending, pipeline.StatusWaitingForResource:
			return "not started"
		default:
			return string(st.Status)
		}
	}
}

// verdict prints the last lines of what failed and the sums, and says how the
// run ended.
func (s *session) verdict(res localrun.Result) error {
	s.showFailures()
	took := s.Record.Finished.Sub(s.Record.Started)
	if !s.o.json {
		fmt.Fprintf(s.e.stdout, "\n%s in %s%s\n", localrun.Sums(s.Record.Jobs), termview.Seconds(took.Seconds()), s.logHint())
		if len(s.CutLogs) > 0 {
			fmt.Fprintf(s.e.stdout, "log longer than %d MiB, its rest not kept: %s; --log-limit MIB keeps more\n", s.o.logLimit, termview.Names(s.CutLogs))
		}
	}
	s.noteUncounted(res)
	switch {
	case s.e.stop.Err() != nil:
		return context.Canceled
	case res.Result == pipeline.ResultFailed, res.Result == pipeline.ResultCanceled:
		return errRed
	}
	return s.ranAll(res)
}

// noteUncounted names trigger jobs whose child pipeline failed and does not count,
// as on GitLab.
func (s *session) noteUncounted(res localrun.Result) {
	for _, c := range res.Children {
		job := s.p.Job(c.Trigger)
		if !s.o.json && job != nil && job.Downstream != nil && !job.Downstream.Waits() && c.Result.Result == pipeline.ResultFailed {
			fmt.Fprintf(s.e.stdout, "the child pipeline of %s failed; it does not count without strategy: depend\n", c.Trigger)
		}
	}
}

// logHint says how to read the logs.
func (s *session) logHint() string {
	job, some := " JOB", false
	if len(s.Record.Jobs) == 1 {
		job = ""
	}
	for _, j := range s.Record.Jobs {
		some = some || j.Log != ""
	}
	if !some {
		return ""
	}
	return fmt.Sprintf(" · logs: refline runs log %d%s", s.Record.Number, job)
}

// ranAll makes an error of a job that was asked for by name and did not run.
func (s *session) ranAll(res localrun.Result) error {
	why := s.why(res)
	for i := range s.p.Jobs {
		name := s.p.Jobs[i].Name
		if st := res.State.Jobs[i].Status; slices.Contains(s.jobs, name) && st != pipeline.StatusSuccess && st != pipeline.StatusFailed {
			return errs.E(errs.Conflict, "job %q did not run: %s", name, why(i))
		}
	}
	return nil
}

// showFailures prints where the logs of failed jobs are, and their last lines
// where those were not shown already.
func (s *session) showFailures() {
	if s.o.json {
		return
	}
	var rows [][]string
	for _, j := range s.Record.Jobs {
		if j.Status != pipeline.StatusFailed || j.AllowFailure || j.Log == "" {
			continue
		}
		all := fmt.Sprintf("refline runs log %d %s", s.Record.Number, termview.Argument(j.Name))
		tail := s.view.Tail(j.Name)
		if s.view.Mode() != termview.ModeLive || tail == nil {
			rows = append(rows, []string{"  " + j.Name, all})
			continue
		}
		fmt.Fprintf(s.e.stdout, "\n%s, last lines; all of it: %s\n", j.Name, all)
		for _, line := range tail {
			fmt.Fprintf(s.e.stdout, "  | %s\n", line)
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(s.e.stdout, "\nlogs of what failed")
	if more := len(rows) - mostFailures; more > 0 {
		rows = append(rows[:mostFailures], []string{fmt.Sprintf("  and %d more", more), fmt.Sprintf("refline runs show %d", s.Record.Number)})
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(s.e.stdout, line)
	}
}

const mostFailures = 10
