package lint_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"refline/internal/cfn"
	"refline/internal/cfn/lint"
	"refline/internal/diag"
	"refline/internal/jsonnet"
)

// today is the day of the data that the tests compare with.
func today() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }

// lintFile gives the findings of a file, syntax errors included.
func lintFile(t *testing.T, path string) diag.List {
	t.Helper()
	tmpl, err := cfn.Load(t.Context(), jsonnet.Input{File: path})
	var failure *diag.Failure
	if errors.As(err, &failure) {
		return failure.Findings
	}
	if err != nil {
		t.Fatal(err)
	}
	list, err := lint.Lint(t.Context(), tmpl, lint.Options{Today: today()})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Every bad template trips its rule at its lines; the good ones have no error.
func TestConformance(t *testing.T) {
	t.Parallel()
	root := os.Getenv("REFLINE_CONFORMANCE")
	if root == "" {
		t.Skip("REFLINE_CONFORMANCE is not set: set it to the folder of the conformance data")
	}
	folder := filepath.Join(root, "cloudformation")
	index, err := os.ReadFile(filepath.Join(folder, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(index)), "\n") {
		cells := strings.Split(line, "\t")
		if cells[0] == "file" {
			continue
		}
		t.Run(cells[0], func(t *testing.T) {
			t.Parallel()
			list := lintFile(t, filepath.Join(folder, filepath.FromSlash(cells[0])))
			if cells[1] == "none" {
				for _, f := range list {
					if f.Level == diag.Error {
						t.Errorf("false alarm: %s [%s] (%s)", f, f.Rule, f.Subject)
					}
				}
				return
			}
			for want := range strings.SplitSeq(cells[2], ",") {
				number, err := strconv.Atoi(want)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(list, func(f diag.Finding) bool { return f.Rule == cells[1] && f.Line == number }) {
					t.Errorf("line %d does not trip %s", number, cells[1])
				}
			}
		})
	}
}
