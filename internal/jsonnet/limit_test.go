package jsonnet

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"refline/internal/diag"
	"refline/internal/errs"
)

func one(name, text string) Read {
	return func(path string) ([]byte, error) {
		if path != name {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
}

// TestLimits: what would run for ever, use all memory or end the program in a
// stack that overflows is an error at its line.
func TestLimits(t *testing.T) {
	const heavy = "builds a stack of 256 MiB"
	for name, tc := range map[string]struct {
		text   string
		limits Limits
		want   string
		line   int
		heavy  string
	}{
		// All that can take long is on line 2, whichever function is looked at last.
		"time": {"local f(n) = if n == 0 then 0 else f(n - 1) + 1;\nlocal g(n) = std.foldl(function(a, i) a + h(300), std.range(1, 100000), 0) + n, h(n) = if n == 0 then 0 else h(n - 1) + 1;\ng(f(1))\n",
			Limits{Time: 500 * time.Millisecond}, "the evaluation takes longer than 500ms", 2, ""},
		"memory": {"local f(n, all) =\n  local x = std.range(1, 100000);\n  if n == 0 || std.length(x) == 0 then all else f(n - 1, [x, all]) tailstrict;\nstd.length(f(1000, []))\n",
			Limits{Memory: 64 << 20, Time: time.Minute}, "the evaluation uses more than 64 MiB of memory", 2, ""},
		"memory of a standard function": {"std.length(std.makeArray(20000000, function(i) i))\n",
			Limits{Memory: 64 << 20, Time: time.Minute}, "the evaluation uses more than 64 MiB of memory", 0, ""},
		"depth": {"local f(n) =\n  if n == 0 then 0 else f(n - 1) tailstrict;\nf(10000000)\n", Limits{}, "calls are nested too deep here", 2, heavy},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.heavy != "" && testing.Short() {
				t.Skip("-short: it " + tc.heavy)
			}
			_, err := Evaluate(t.Context(), Input{File: "a.jsonnet", Read: one("a.jsonnet", tc.text), Limits: tc.limits})
			var failure *diag.Failure
			if !errors.As(err, &failure) || !errs.Is(err, errs.Invalid) {
				t.Fatalf("got %v, want a finding", err)
			}
			f := failure.Findings[0]
			if !strings.Contains(f.Message, tc.want) || f.File != "a.jsonnet" {
				t.Errorf("got %s, want %q in a.jsonnet", f, tc.want)
			}
			if tc.line > 0 && f.Line != tc.line {
				t.Errorf("at line %d, want %d", f.Line, tc.line)
			}
		})
	}
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	res, err := Evaluate(t.Context(), Input{File: "a.jsonnet", Read: one("a.jsonnet", "std.length(std.range(1, 1000))"), Limits: Limits{Memory: -1, Time: -1}})
	if err != nil || res.Text != "1000\n" {
		t.Errorf("got %q, %v", res.Text, err)
	}
}
