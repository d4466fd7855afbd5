package server

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/pipeline"
	"refline/internal/store"
)

const (
	failureLines = 12 // of a log that are shown with a failure
	lineLength   = 400
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
			f.Lines = s.tails.of(s.logs, logfile.ID{Run: r.ID, Attempt: j.AttemptID}, !j.Finished.IsZero())
			f.Lines = f.Lines[max(len(f.Lines)-lines, 0):]
		}
		out = append(out, f)
	}
	return out, nil
}

// logTails keeps the ends of logs that do not change any more.
type logTails struct {
	mu   sync.Mutex
	byID map[logfile.ID][]api.LogLine
	last []logfile.ID
}

const keptTails = 500

func (t *logTails) of(logs *logfile.Dir, id logfile.ID, ended bool) []api.LogLine {
	t.mu.Lock()
	lines, known := t.byID[id]
	t.mu.Unlock()
	if known {
		return lines
	}
	list, err := logs.Tail(id, failureLines+20)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil // the page is shown without; the log itself says what is wrong with it
	}
	lines = lastLines(list, failureLines)
	if !ended {
		return lines
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = map[logfile.ID][]api.LogLine{}
	}
	if _, known := t.byID[id]; !known {
		t.last = append(t.last, id)
	}
	t.byID[id] = lines
	if len(t.last) > keptTails {
		delete(t.byID, t.last[0])
		t.last = t.last[1:]
	}
	return lines
}

// lastLines returns the last lines that say something.
func lastLines(list []logfile.Line, n int) []api.LogLine {
	var out []api.LogLine
	for _, line := range list {
		if text := plainLine(line.Text); text != "" {
			out = append(out, api.LogLine{Number: line.Number, Text: text})
		}
	}
	return out[max(len(out)-n, 0):]
}

// plainLine is a line as a terminal shows it in the end, without colours: what a
// carriage return overwrites and the markers of sections are gone.
func plainLine(text []byte) string { return plainText(text, lineLength) }

// plainText is [plainLine] with another limit of its length.
func plainText(text []byte, most int) string {
	text = bytes.TrimRight(text, "\r")
	if at := bytes.LastIndexByte(text, '\r'); at >= 0 {
		text = text[at+1:]
	}
	var out strings.Builder
	for i := 0; i < len(text) && out.Len() < most; {
		if text[i] == 0x1b {
			i += escapeLength(text[i:])
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		i += size
		if r == '\t' || r >= ' ' && r != 0x7f {
			out.WriteRune(r)
		}
	}
	line := strings.TrimRight(out.String(), " \t")
	if strings.HasPrefix(line, "section_start:") || strings.HasPrefix(line, "section_end:") {
		return ""
	}
	return line
}

// escapeLength is the length of an escape sequence: CSI ends at its final byte, OSC at
// BEL or ST.
func escapeLength(text []byte) int {
	if len(text) < 2 {
		return len(text)
	}
	switch text[1] {
	case '[':
		for i := 2; i < len(text); i++ {
			if text[i] >= 0x40 && text[i] <= 0x7e {
				return i + 1
			}
		}
		return len(text)
	case ']':
		for i := 2; i < len(text); i++ {
			if text[i] == 0x07 {
				return i + 1
			}
			if text[i] == 0x1b {
				return min(i+2, len(text))
			}
		}
		return len(text)
	}
	return 2
}
