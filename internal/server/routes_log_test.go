package server

import (
	"fmt"
	"strings"
	"testing"

	"refline/internal/logfile"
)

func TestLogParts(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	id := logfile.ID{Run: 1, Attempt: 1}
	if part, err := s.logPart(t.Context(), id, 0, 0); err != nil || part.Total != 0 || part.Lines == nil {
		t.Errorf("no log: %+v, %v", part, err)
	}
	var text strings.Builder
	for n := 1; n <= 500; n++ {
		fmt.Fprintf(&text, "line %d\n", n)
	}
	text.WriteString("\x1b[31mPart\x1b[0mner \xff" + strings.Repeat("x", 600) + "NEEDLE")
	if _, err := s.logs.Append(id, 0, []byte(text.String())); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from               int64
		limit              int
		first, last, count int64
	}{{0, 0, 1, 501, 501}, {0, 10, 492, 501, 10}, {3, 200, 3, 202, 200}, {495, 0, 495, 501, 7}, {502, 0, 0, 0, 0}} {
		part, err := s.logPart(t.Context(), id, c.from, c.limit)
		if err != nil || part.Total != 501 || int64(len(part.Lines)) != c.count {
			t.Fatalf("from %d, %d lines: %d of %d, %v", c.from, c.limit, len(part.Lines), part.Total, err)
		}
		if c.count > 0 && (part.Lines[0].Number != c.first || part.Lines[c.count-1].Number != c.last) {
			t.Errorf("from %d, %d lines: %d to %d", c.from, c.limit, part.Lines[0].Number, part.Lines[c.count-1].Number)
		}
	}
	for want, count := range map[string]int{"LINE 49": 11, "partner": 1, "needle": 1, "[31m": 0, "nothing": 0} {
		hits, err := s.searchLog(t.Context(), id, want)
		if err != nil || hits.More || len(hits.Lines) != count {
			t.Errorf("%q: %d hits, %v", want, len(hits.Lines), err)
			continue
		}
		for _, line := range hits.Lines {
			if !strings.Contains(strings.ToLower(line.Text), strings.ToLower(want)) {
				t.Errorf("%q: line %d shows %q", want, line.Number, line.Text)
			}
		}
	}
}

// A log of long lines comes in parts that end before they are large.
func TestLogPartIsBounded(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	id := logfile.ID{Run: 1, Attempt: 1}
	line := []byte(strings.Repeat("x", 100<<10) + "\n")
	for n := range int64(150) {
		if _, err := s.logs.Append(id, n*int64(len(line)), line); err != nil {
			t.Fatal(err)
		}
	}
	part, err := s.logPart(t.Context(), id, 1, 0)
	if err != nil || part.Total != 150 || len(part.Lines) >= 150 || !part.Lines[0].Cut {
		t.Errorf("%d of %d lines, %v", len(part.Lines), part.Total, err)
	}
}

func TestLogDisposition(t *testing.T) {
	t.Parallel()
	if got := logDisposition(7, "unit: [1.25]\r\n\"/../x", 2); got != `attachment; filename=run-7-unit---1.25-----..-x-2.log` {
		t.Error(got)
	}
}
