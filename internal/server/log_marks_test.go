package server

import (
	"fmt"
	"strings"
	"testing"

	"refline/internal/logfile"
)

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
