package server

import (
	"context"
	"fmt"
	"mime"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/logtext"
	"refline/internal/store"
)

const (
	logPartBytes = 4 << 20 // of a part; the next one goes on
	logBatch     = 64      // lines that are read at once
)

func (s *Server) logRoutes(a huma.API) {
	op(s, a, "GET /api/v1/runs/{run}/jobs/{job}/log/lines", actRead, "show lines of a log", func(ctx context.Context, in *struct {
		ByAttempt
		From  int64 `query:"from" minimum:"0" doc:"number of the first line, from 1; by default the last lines"`
		Limit int   `query:"limit" minimum:"0" maximum:"20000" doc:"how many lines; by default 20000. There are fewer when they are long"`
	}) (*answer[api.LogPart], error) {
		attempt, err := s.logOf(ctx, in.ByAttempt)
		if err != nil {
			return nil, err
		}
		part, err := s.logPart(ctx, logfile.ID{Run: in.Run, Attempt: attempt.ID}, in.From, in.Limit)
		part.Attempt, part.Ended = attempt.Attempt, !attempt.Finished.IsZero()
		return &answer[api.LogPart]{part}, err
	})
	op(s, a, "GET /api/v1/runs/{run}/jobs/{job}/log/search", actRead, "search a log", func(ctx context.Context, in *struct {
		ByAttempt
		Text string `query:"q" required:"true" minLength:"1" maxLength:"400" doc:"text to find, in any case of letters"`
	}) (*answer[api.LogHits], error) {
		attempt, err := s.logOf(ctx, in.ByAttempt)
		if err != nil {
			return nil, err
		}
		hits, err := s.searchLog(ctx, logfile.ID{Run: in.Run, Attempt: attempt.ID}, in.Text)
		return &answer[api.LogHits]{hits}, err
	})
	op(s, a, "GET /api/v1/runs/{run}/jobs/{job}/log/marks", actRead, "find lines of a log that report errors and warnings", func(ctx context.Context, in *ByAttempt) (*answer[api.LogMarks], error) {
		attempt, err := s.logOf(ctx, *in)
		if err != nil {
			return nil, err
		}
		marks, err := s.marksOf(ctx, logfile.ID{Run: in.Run, Attempt: attempt.ID}, !attempt.Finished.IsZero())
		return &answer[api.LogMarks]{marks}, err
	})
}

// logOf finds the attempt whose log is wanted. A job that has not started has none.
func (s *Server) logOf(ctx context.Context, in ByAttempt) (store.Attempt, error) {
	return s.findAttempt(ctx, in.Run, in.Job, in.Attempt, false)
}

// logPart reads lines of a log: at most limit lines and about logPartBytes.
func (s *Server) logPart(ctx context.Context, id logfile.ID, from int64, limit int) (api.LogPart, error) {
	part := api.LogPart{From: max(from, 1), Lines: []api.LogText{}}
	last, err := s.logs.Tail(id, 1)
	if errs.Is(err, errs.NotFound) || err == nil && len(last) == 0 {
		return part, nil // nothing was printed
	}
	if err != nil {
		return part, err
	}
	if limit == 0 {
		limit = api.MaxLogLines
	}
	part.Total = last[0].Number
	if from == 0 {
		part.From = max(part.Total-int64(limit)+1, 1)
	}
	for size, next := 0, part.From; len(part.Lines) < limit && size < logPartBytes; {
		if ctx.Err() != nil {
			return part, context.Cause(ctx)
		}
		lines, err := s.logs.Lines(id, next, min(logBatch, limit-len(part.Lines)))
		if err != nil {
			return part, err
		}
		if len(lines) == 0 {
			break
		}
		for _, line := range lines {
			part.Lines = append(part.Lines, api.LogText{Number: line.Number, Text: strings.ToValidUTF8(string(line.Text), "\uFFFD"), Cut: line.Cut})
			size += len(line.Text)
			next = line.Number + 1
		}
		part.Total = max(part.Total, next-1)
	}
	return part, nil
}

// searchLog finds lines by their text without colours.
func (s *Server) searchLog(ctx context.Context, id logfile.ID, text string) (api.LogHits, error) {
	want := strings.ToLower(text)
	lines, more, err := s.logs.Search(ctx, id, func(line []byte) bool { return logtext.Contains(line, want) })
	hits := api.LogHits{Lines: []api.LogLine{}, More: more}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return hits, err
	}
	for _, line := range lines {
		hits.Lines = append(hits.Lines, api.LogLine{Number: line.Number, Text: logtext.Around(line.Text, want)})
	}
	return hits, nil
}

// logDisposition names the file that a log is kept in.
func logDisposition(run int64, job string, attempt int) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, job)
	return mime.FormatMediaType("attachment", map[string]string{"filename": fmt.Sprintf("run-%d-%s-%d.log", run, name, attempt)})
}
