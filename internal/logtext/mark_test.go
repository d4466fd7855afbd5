package logtext

import (
	"strings"
	"testing"
)

func TestMarkOf(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Mark{
		"":                                     None,
		"copied 3,150,000 rows":                None,
		"ERROR: relation does not exist":       Error,
		"[error] it broke":                     Error,
		"main.go:7:2: error: undefined":        Error,
		"--- FAIL: TestParse (0.01s)":          Error,
		"ValueError: bad day":                  Error,
		"java.lang.NullPointerException":       Error,
		"Traceback (most recent call last):":   Error,
		"panic: runtime error":                 Error,
		"148 passed, 2 failed":                 Error,
		"148 passed, 0 failed":                 None,
		"0 errors, 3 warnings found":           None,
		"no errors":                            None,
		"errors: 0":                            None,
		"error_count.csv written":              None,
		"on failure it is sent again":          None,
		"\x1b[31mbroken\x1b[0m":                Error,
		"\x1b[1;31mbroken\x1b[0m":              Error,
		"\x1b[38;5;31mblue\x1b[0m":             None,
		"\x1b[32mgood\x1b[0m":                  None,
		"\x1b[31m":                             None,
		"\x1b[3":                               None,
		"WARNING: slow":                        Warning,
		"[WARN] slow":                          Warning,
		"warn: deprecated":                     Warning,
		"warning, then ERROR: both":            Error,
		"it warns":                             None,
		"progress 10 %\rerror: overwritten":    Error,
		"error: gone\rprogress 100 %":          None,
		strings.Repeat("x", 70_000) + " error": None,
	} {
		if got := MarkOf([]byte(line)); got != want {
			t.Errorf("%.60q: %d, want %d", line, got, want)
		}
	}
}
