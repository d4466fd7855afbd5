package flowfile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/diag"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse("flows.yml", []byte(`repository: https://git.example.com/data/flows.git
flows:
  hello:
    path: flows/hello.py
    branch: main
    runtime: python312
    inputs: {day: "2026-01-02", n: 3}
    schedules:
      - cron: 0 6 * * *
        timezone: Europe/Berlin
        catch-up: last
      - every: 15m
    concurrency: 1
    when-busy: skip
    slots: [warehouse]
    priority: 5
  release: {tag: v1, follow-tag: true, schedules: []}
`), time.ParseDuration)
	if err != nil {
		t.Fatal(err)
	}
	none := []Schedule{}
	want := File{Repository: "https://git.example.com/data/flows.git", Flows: []Flow{
		{Place: diag.Place{File: "flows.yml", Line: 3, Column: 3}, Name: "hello", Path: "flows/hello.py", Branch: "main", Runtime: "python312",
			Inputs: map[string]any{"day": "2026-01-02", "n": 3}, Concurrency: 1, WhenBusy: "skip", Slots: []string{"warehouse"}, Priority: 5,
			Schedules: &[]Schedule{{Cron: "0 6 * * *", Timezone: "Europe/Berlin", CatchUp: "last"}, {Every: 15 * time.Minute}}},
		{Place: diag.Place{File: "flows.yml", Line: 17, Column: 3}, Name: "release", Tag: "v1", FollowTag: true, Schedules: &none},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Every mistake is reported at its place, and all of them at once.
func TestParseErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                  {"flows.yml:1:1: error: the file is empty"},
		"flows: {}":                         {"the file has no flows"},
		"flows: [a]":                        {"flows.yml:1:8: error: flows is a mapping"},
		"a: [":                              {"flows.yml"},
		"- a":                               {"flows.yml:1:1: error: a file of flows is a mapping of flows, project, repository"},
		"flows:\n  a:\n    paht: x\n":       {`flows.yml:3:5: error: "paht" is not a key of a flow; did you mean "path"?; the keys are branch,`},
		"flows:\n  a:\n    path: [x]\n":     {"flows.yml:3:11: error: want a text that is not empty"},
		"flows:\n  a: {priority: high}\n":   {"flows.yml:2:17: error: want a number"},
		"flows:\n  a: {tag: x, branch: y}":  {"flows.yml:2:3: error: flow a has more than one of branch, tag and commit"},
		"flows:\n  a: {path: x}\n  a: {}\n": {"a"},
		"flows:\n  a: {schedules: [{every: x}, {cron: y, zone: z}]}\n  b: 3\n": {
			`flows.yml:2:27: error: every "x"`, `flows.yml:2:41: error: "zone" is not a key of a schedule`, "flows.yml:3:6: error: a flow is a mapping",
		},
		"flows:\n  a: {schedules: [{timezone: UTC}]}\n": {"flows.yml:2:19: error: a schedule has cron or every"},
	} {
		_, err := Parse("flows.yml", []byte(text), time.ParseDuration)
		failure, ok := errors.AsType[*diag.Failure](err)
		if !ok {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var lines []string
		for _, f := range failure.Findings {
			lines = append(lines, f.String())
		}
		for _, part := range want {
			if !strings.Contains(strings.Join(lines, "\n"), part) {
				t.Errorf("%q: got %q, want %q", text, lines, part)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("flows:\n  a: {schedules: [{every: 15m}], inputs: {x: 1}}\n")
	f.Add("flows: &a\n  b: *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("f", []byte(text), time.ParseDuration)
		if err == nil && len(file.Flows) == 0 {
			t.Errorf("%q: no flows and no error", text)
		}
	})
}
