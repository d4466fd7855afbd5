package localserver

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/logfile"
	"refline/internal/logtext"
)

const (
	partBytes    = 4 << 20 // of the lines of one answer
	failureLines = 12
)

// logPath is the file of a job's log, "" if it has none.
func (r *run) logPath(j *history.Job) string {
	if j.Log == "" || !filepath.IsLocal(j.Log) {
		return ""
	}
	return filepath.Join(r.folder, j.Log)
}

// openLog opens a log; nil if there is none yet.
func (r *run) openLog(j *job) (*os.File, error) {
	path := r.logPath(j.Job)
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "the log of job %s: %w", j.Name, err)
	}
	return f, nil
}

// logLines are lines of a log from a number on, or its last ones.
func (s *Server) logLines(q *http.Request, r *run, j *job) (any, error) {
	from, _ := strconv.ParseInt(q.URL.Query().Get("from"), 10, 64)
	limit, _ := strconv.Atoi(q.URL.Query().Get("limit"))
	if limit <= 0 || limit > api.MaxLogLines {
		limit = api.MaxLogLines
	}
	part := api.LogPart{Attempt: max(j.Attempt, 1), From: max(from, 1), Lines: []api.LogText{}, Ended: j.Status.Done() || r.Interrupted}
	size, full := 0, false
	err := s.scan(q.Context(), r, j, func(line logfile.Line) bool {
		part.Total = line.Number
		if line.Number < from || full {
			return true // the rest is counted
		}
		part.Lines = append(part.Lines, api.LogText{Number: line.Number, Text: strings.ToValidUTF8(string(line.Text), "\uFFFD"), Cut: line.Cut})
		size += len(line.Text)
		for from <= 0 && len(part.Lines) > 1 && (len(part.Lines) > limit || size > partBytes) {
			size -= len(part.Lines[0].Text)
			part.Lines = part.Lines[1:]
		}
		full = from > 0 && (len(part.Lines) == limit || size > partBytes)
		return true
	})
	if from <= 0 && len(part.Lines) > 0 {
		part.From = part.Lines[0].Number
	}
	return part, err
}

// scan reads the lines of a log until each returns false.
func (s *Server) scan(ctx context.Context, r *run, j *job, each func(logfile.Line) bool) error {
	f, err := r.openLog(j)
	if f == nil || err != nil {
		return err
	}
	defer f.Close()
	return logfile.Scan(ctx, f, each)
}

// logSearch finds lines by their text without colours.
func (s *Server) logSearch(q *http.Request, r *run, j *job) (any, error) {
	want := strings.ToLower(q.URL.Query().Get("q"))
	if want == "" || len(want) > 400 {
		return nil, errs.E(errs.Invalid, "the text to find has 1 to 400 characters")
	}
	hits := api.LogHits{Lines: []api.LogLine{}}
	err := s.scan(q.Context(), r, j, func(line logfile.Line) bool {
		if !logtext.Contains(line.Text, want) {
			return true
		}
		if hits.More = len(hits.Lines) == logfile.MaxHits; !hits.More {
			hits.Lines = append(hits.Lines, api.LogLine{Number: line.Number, Text: logtext.Around(line.Text, want)})
		}
		return !hits.More
	})
	return hits, err
}

// logMarks are the lines that report errors and warnings.
func (s *Server) logMarks(q *http.Request, r *run, j *job) (any, error) {
	marks := api.LogMarks{Errors: []api.LogLine{}, Warnings: []api.LogLine{}}
	err := s.scan(q.Context(), r, j, func(line logfile.Line) bool {
		list := &marks.Errors
		switch logtext.MarkOf(line.Text) {
		case logtext.None:
			return true
		case logtext.Warning:
			list = &marks.Warnings
		}
		if len(*list) == logfile.MaxHits/2 {
			marks.More = true
			return true
		}
		*list = append(*list, api.LogLine{Number: line.Number, Text: logtext.Line(line.Text)})
		return true
	})
	return marks, err
}

// lastLines are the last lines of a log that say something.
func lastLines(path string) []api.LogLine {
	f, err := os.Open(path)
	if path == "" || err != nil {
		return nil // the log itself says what is wrong with it
	}
	defer f.Close()
	var out []api.LogLine
	_ = logfile.Scan(context.Background(), f, func(line logfile.Line) bool {
		if text := logtext.Line(line.Text); text != "" {
			if len(out) == failureLines {
				out = out[1:]
			}
			out = append(out, api.LogLine{Number: line.Number, Text: text})
		}
		return true
	})
	return out
}

// serveLog sends a log as it is.
func (s *Server) serveLog(w http.ResponseWriter, q *http.Request) {
	found, err := s.find(q.PathValue("run"))
	var j *job
	if err == nil {
		j, err = found.job(q.PathValue("job"))
	}
	var f *os.File
	if err == nil {
		f, err = found.openLog(j)
	}
	if err != nil {
		s.fail(w, q, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if q.URL.Query().Get("download") != "" {
		w.Header().Set("Content-Disposition", `attachment; filename="run-`+strconv.FormatInt(found.Number, 10)+`.log"`)
	}
	if f == nil {
		return
	}
	defer f.Close()
	_, _ = io.Copy(w, f) // the reader may be gone
}
