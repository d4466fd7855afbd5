package main

import (
	"slices"
	"testing"

	"refline/internal/pipeline"
)

func TestWhichManualJobsAnAnswerMeans(t *testing.T) {
	t.Parallel()
	s := &session{c: &compiled{pipeline: &pipeline.Pipeline{Jobs: []pipeline.Job{
		{Name: "test: [a]", Base: "test"}, {Name: "test: [b]", Base: "test"}, {Name: "2", Base: "2"}, {Name: "deploy", Base: "deploy"},
	}}}}
	waiting := []string{"deploy", "test: [a]", "test: [b]", "2"}
	for answer, want := range map[string][]string{
		"deploy":    {"deploy"},
		"3":         {"test: [b]"},
		"2":         {"2"}, // a name before a number
		"test":      {"test: [a]", "test: [b]"},
		"test: [b]": {"test: [b]"},
		"all":       waiting,
		"0":         nil,
		"5":         nil,
		"none":      nil,
	} {
		if got := s.chosen(answer, waiting); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", answer, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"8.9p1": true, "9.2p1 Debian": true, "10.0p2": true, "8.8p1": false, "7.9": false, "": false, "8": false, "x.y": false,
	} {
		if got := atLeast(version, 8, 9); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}
