package engine

import (
	"io"
	"strings"
	"testing"
)

func TestCoverage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		expr string
		log  string
		want float64 // -1: none
	}{
		{"the number of the match", `TOTAL.*\d+%`, "TOTAL is 81.5%\n", 81.5},
		{"the number of the group", `lines: 10, covered: (\d+)`, "lines: 10, covered: 7\n", 7},
		{"of the last line that matches", `^cov: \d+`, "cov: 1\ncov: 22\nno cov: 3\n", 22},
		{"without a last line break", `cov: \d+`, "x\ncov: 5", 5},
		{"a match without a number counts for nothing", `cov: .*`, "cov: 5\ncov: unknown\n", 5},
		{"no match", `cov: \d+`, "nothing\n", -1},
		{"an empty log", `.*`, "", -1},
		{"an expression that is not known here", `(?=x)`, "x1\n", -1},
		{"whole number", `\d+`, "100\n", 100},
		{"a comma is not a point", `\d+,\d+`, "12,5\n", 12},
		{"a line that never ends", `x\d`, strings.Repeat("y", 3*maxCoverageLine) + "\nx4\n", 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 7, len(tt.log) + 1} { // however it is cut
				c := newCoverage(tt.expr)
				got := -1.0
				if c != nil {
					w := c.tee(io.Discard)
					for rest := tt.log; rest != ""; {
						n, err := w.Write([]byte(rest[:min(size, len(rest))]))
						must(t, err)
						rest = rest[n:]
					}
					if len(c.line) > maxCoverageLine {
						t.Errorf("%d bytes of a line are kept", len(c.line))
					}
					if v := c.value(); v != nil {
						got = *v
					}
				}
				if got != tt.want {
					t.Errorf("cut to %d: got %v, want %v", size, got, tt.want)
				}
			}
		})
	}
}
