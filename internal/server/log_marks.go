package server

import (
	"context"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/logtext"
)

// mostWarnings leaves room for errors among the marks of a log.
const mostWarnings = logfile.MaxHits / 2

// keptMarks are logs that do not change any more whose marks are kept.
const keptMarks = 100

// marksOf finds the lines of a log that report errors and warnings.
func (s *Server) marksOf(ctx context.Context, id logfile.ID, ended bool) (api.LogMarks, error) {
	return s.marks.of(id, ended, keptMarks, func() (api.LogMarks, error) { return s.findMarks(ctx, id) })
}

func (s *Server) findMarks(ctx context.Context, id logfile.ID) (api.LogMarks, error) {
	warnings := 0
	lines, more, err := s.logs.Search(ctx, id, func(line []byte) bool {
		switch logtext.MarkOf(line) {
		case logtext.Error:
			return true
		case logtext.Warning:
			warnings++
			return warnings <= mostWarnings
		}
		return false
	})
	marks := api.LogMarks{Errors: []api.LogLine{}, Warnings: []api.LogLine{}, More: more || warnings > mostWarnings}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return marks, err
	}
	for _, line := range lines {
		shown := api.LogLine{Number: line.Number, Text: logtext.Line(line.Text)}
		if logtext.MarkOf(line.Text) == logtext.Error {
			marks.Errors = append(marks.Errors, shown)
		} else {
			marks.Warnings = append(marks.Warnings, shown)
		}
	}
	return marks, nil
}
