package server

import (
	"bytes"
	"context"
	"regexp"
	"sync"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/logfile"
)

// mostWarnings leaves room for errors among the marks of a log.
const mostWarnings = logfile.MaxHits / 2

// keptMarks are logs that do not change any more whose marks are kept.
const keptMarks = 100

// logMarks keeps the marks of logs that are over.
type logMarks struct {
	mu   sync.Mutex
	byID map[logfile.ID]api.LogMarks
	last []logfile.ID
}

// marksOf finds the lines of a log that report errors and warnings.
func (s *Server) marksOf(ctx context.Context, id logfile.ID, ended bool) (api.LogMarks, error) {
	k := &s.marks
	k.mu.Lock()
	marks, known := k.byID[id]
	k.mu.Unlock()
	if known {
		return marks, nil
	}
	marks, err := s.findMarks(ctx, id)
	if err != nil || !ended {
		return marks, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID == nil {
		k.byID = map[logfile.ID]api.LogMarks{}
	}
	if _, known := k.byID[id]; !known {
		k.last = append(k.last, id)
	}
	k.byID[id] = marks
	if len(k.last) > keptMarks {
		delete(k.byID, k.last[0])
		k.last = k.last[1:]
	}
	return marks, nil
}

func (s *Server) findMarks(ctx context.Context, id logfile.ID) (api.LogMarks, error) {
	warnings := 0
	lines, more, err := s.logs.Search(ctx, id, func(line []byte) bool {
		switch lineMark(line) {
		case markError:
			return true
		case markWarning:
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
		shown := api.LogLine{Number: line.Number, Text: plainLine(line.Text)}
		if lineMark(line.Text) == markError {
			marks.Errors = append(marks.Errors, shown)
		} else {
			marks.Warnings = append(marks.Warnings, shown)
		}
	}
	return marks, nil
}

// mark says what a line reports.
type mark uint8

const (
	markNone mark = iota
	markWarning
	markError
)

// markBytes are in every line with a mark: a line without any of them is not looked at
// more closely.
var markBytes = sync.OnceValue(func() [][]byte {
	var out [][]byte
	for _, text := range []string{"rror", "RROR", "ail", "AIL", "atal", "ATAL", "anic", "xception", "raceback", "ritical", "RITICAL", "arn", "ARN", "\x1b["} {
		out = append(out, []byte(text))
	}
	return out
})

var markWords = sync.OnceValue(func() (w struct{ bad, good, warn *regexp.Regexp }) {
	const before, after = `(?:^|[\s\[(<:"'=|])`, `(?:[\s\])>:!,."']|$)`
	w.bad = regexp.MustCompile(`(?i)` + before + `(?:error|fatal|panic|failed|fail|failure|critical)` + after + `|[A-Za-z](?:Error|Exception)(?::|$)|Traceback \(most recent call last\)`)
	w.good = regexp.MustCompile(`(?i)(?:^|\W)(?:0|no|without|if|on|or) (?:errors?|failed|failures?|fail)\b|(?:errors?|failed|failures?)\s*[:=]\s*0\b`)
	w.warn = regexp.MustCompile(`(?i)` + before + `warn(?:ing)?` + after)
	return w
})

// lineMark says what a line reports, by its words and by whether it is printed in red.
func lineMark(line []byte) mark {
	found := false
	for _, part := range markBytes() {
		if found = bytes.Contains(line, part); found {
			break
		}
	}
	if !found {
		return markNone
	}
	text := []byte(plainText(line, lineLength*10))
	if len(text) == 0 {
		return markNone
	}
	w := markWords()
	switch {
	case isRed(line), w.bad.Match(text) && !w.good.Match(text):
		return markError
	case w.warn.Match(text):
		return markWarning
	}
	return markNone
}

// isRed reports whether a line has text in one of a terminal's two reds.
func isRed(line []byte) bool {
	for {
		at := bytes.Index(line, []byte("\x1b["))
		if at < 0 {
			return false
		}
		line = line[at+2:]
		end := 0
		for end < len(line) && (line[end] >= '0' && line[end] <= '9' || line[end] == ';') {
			end++
		}
		if end == len(line) || line[end] != 'm' {
			continue
		}
		for code := range bytes.SplitSeq(line[:end], []byte{';'}) {
			if string(code) == "38" || string(code) == "48" {
				break // another way to name colours
			}
			if string(code) == "31" || string(code) == "91" {
				return true
			}
		}
	}
}
