package server

import (
	"fmt"
	"strings"
	"testing"

	"refline/internal/logfile"
)

func TestLineMark(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]mark{
		"":                                     markNone,
		"copied 3,150,000 rows":                markNone,
		"ERROR: relation does not exist":       markError,
		"[error] it broke":                     markError,
		"main.go:7:2: error: undefined":        markError,
		"--- FAIL: TestParse (0.01s)":          markError,
		"ValueError: bad day":                  markError,
		"java.lang.NullPointerException":       markError,
		"Traceback (most recent call last):":   markError,
		"panic: runtime error":                 markError,
		"148 passed, 2 failed":                 markError,
		"148 passed, 0 failed":                 markNone,
		"0 errors, 3 warnings found":           markNone,
		"no errors":                            markNone,
		"errors: 0":                            markNone,
		"error_count.csv written":              markNone,
		"on failure it is sent again":          markNone,
		"\x1b[31mbroken\x1b[0m":                markError,
		"\x1b[1;31mbroken\x1b[0m":              markError,
		"\x1b[38;5;31mblue\x1b[0m":             markNone,
		"\x1b[32mgood\x1b[0m":                  markNone,
		"\x1b[31m":                             markNone,
		"\x1b[3":                               markNone,
		"WARNING: slow":                        markWarning,
		"[WARN] slow":                          markWarning,
		"warn: deprecated":                     markWarning,
		"warning, then ERROR: both":            markError,
		"it warns":                             markNone,
		"progress 10 %\rerror: overwritten":    markError,
		"error: gone\rprogress 100 %":          markNone,
		strings.Repeat("x", 70_000) + " error": markNone,
	} {
		if got := lineMark([]byte(line)); got != want {
			t.Errorf("%.60q: %d, want %d", line, got, want)
		}
	}
}

// Many warnings do not hide an error after them.
func TestLogMarks(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	id := logfile.ID{Run: 1, Attempt: 1}
	if marks, err := s.marksOf(t.Context(), id, false); err != nil || marks.Errors == nil || len(marks.Errors) > 0 {
		t.Errorf("no log: %+v, %v", marks, err)
	}
	var text strings.Builder
	for n := range 3000 {
		fmt.Fprintf(&text, "warning: number %d\n", n)
	}
	text.WriteString("\x1b[31mit broke\x1b[0m\n")
	if _, err := s.logs.Append(id, 0, []byte(text.String())); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is the one that is kept
		marks, err := s.marksOf(t.Context(), id, true)
		if err != nil || !marks.More || len(marks.Warnings) != mostWarnings || len(marks.Errors) != 1 || marks.Errors[0].Number != 3001 || marks.Errors[0].Text != "it broke" {
			t.Errorf("%d warnings, errors %+v, more %v, %v", len(marks.Warnings), marks.Errors, marks.More, err)
		}
	}
}
