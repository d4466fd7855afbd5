package logtext

import (
	"bytes"
	"regexp"
	"sync"
)

// Mark says what a line reports.
type Mark uint8

// The marks.

const (
	None Mark = iota
	Warning
	Error
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

// MarkOf says what a line reports, by its words and by whether it is printed in red.
func MarkOf(line []byte) Mark {
	found := false
	for _, part := range markBytes() {
		if found = bytes.Contains(line, part); found {
			break
		}
	}
	if !found {
		return None
	}
	text := []byte(Plain(line, 10*lineLength))
	if len(text) == 0 {
		return None
	}
	w := markWords()
	switch {
	case isRed(line), w.bad.Match(text) && !w.good.Match(text):
		return Error
	case w.warn.Match(text):
		return Warning
	}
	return None
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
