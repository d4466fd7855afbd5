package server

import (
	"context"
	"slices"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/logtext"
	"refline/internal/pipeline"
	"refline/internal/store"
)

const (
	failureLines = 12 // of a log that are shown with a failure
	mostFailures = 5
)

// failuresOf describes the jobs of a run that failed, the worst first: those that may
// fail come last. lines is how many lines of each log are wanted.
func (s *Server) failuresOf(ctx context.Context, r store.Run, most, lines int) ([]api.Failure, error) {
	p, err := s.pipelineOf(ctx, r)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.RunJobs(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(j store.Job) bool { return j.Status != pipeline.StatusFailed || j.Pos >= len(p.Jobs) })
	slices.SortStableFunc(rows, func(a, b store.Job) int {
		switch {
		case a.AllowFailure == b.AllowFailure:
			return a.Finished.Compare(b.Finished)
		case a.AllowFailure:
			return 1
		}
		return -1
	})
	var out []api.Failure
	for _, j := range rows[:min(len(rows), most)] {
		f := api.Failure{Job: p.Jobs[j.Pos].Name, Attempt: j.Attempt, Attempts: j.Attempt, ExitCode: j.ExitCode, Reason: j.Reason, Error: j.Note, Allowed: j.AllowFailure}
		if j.AttemptID != 0 {
			f.Lines = s.tailOf(logfile.ID{Run: r.ID, Attempt: j.AttemptID}, !j.Finished.IsZero())
			f.Lines = f.Lines[max(len(f.Lines)-lines, 0):]
		}
		out = append(out, f)
	}
	return out, nil
}

const keptTails = 500

// tailOf returns the end of a log, nil if it cannot be read: the page is shown without,
// and the log itself says what is wrong with it.
func (s *Server) tailOf(id logfile.ID, ended bool) []api.LogLine {
	lines, err := s.tails.of(id, ended, keptTails, func() ([]api.LogLine, error) {
		list, err := s.logs.Tail(id, failureLines+20)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		return lastLines(list, failureLines), nil
	})
	if err != nil {
		return nil
	}
	return lines
}

// lastLines returns the last lines that say something.
func lastLines(list []logfile.Line, n int) []api.LogLine {
	var out []api.LogLine
	for _, line := range list {
		if text := logtext.Line(line.Text); text != "" {
			out = append(out, api.LogLine{Number: line.Number, Text: text})
		}
	}
	return out[max(len(out)-n, 0):]
}
