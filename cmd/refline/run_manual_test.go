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
