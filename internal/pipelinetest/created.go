package pipelinetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// Created is what is expected of a pipeline as it is created.
type Created struct {
	Jobs    *[]string           `yaml:"jobs"`    // exactly these
	Present []string            `yaml:"present"` // these among others
	Absent  []string            `yaml:"absent"`
	When    map[string]string   `yaml:"when"` // of jobs
	Needs   map[string][]string `yaml:"needs"`
	Created *bool               `yaml:"created"` // whether there is a pipeline at all
	Error   string              `yaml:"error"`   // a part of an error that must come
}

func (x Created) empty() bool {
	return x.Jobs == nil && x.Created == nil && x.Error == "" && len(x.Present)+len(x.Absent)+len(x.When)+len(x.Needs) == 0
}

// Outcome is what a pipeline's files compile to.
type Outcome struct {
	Pipeline   *pipeline.Pipeline // nil if none is created
	NotCreated string             // why
	Findings   diag.List
}

// Check returns a line for each expectation that the outcome does not meet; none
// if the test passes. A test that expects nothing fails.
func (t Test) Check(o Outcome) []string {
	if t.expectsNothing() {
		return []string{"the test has no expectations; add expect:, or init: and transitions:"}
	}
	failures := t.Expect.check(o)
	if o.Pipeline != nil && t.hasStates() {
		for _, d := range t.Case.Check(o.Pipeline) {
			failures = append(failures, d.String())
		}
	}
	return failures
}

func (t Test) expectsNothing() bool { return t.Expect.empty() && !t.hasStates() }

func (t Test) hasStates() bool {
	return len(t.Transitions) > 0 || t.Init.Expect.Pipeline != "" || len(t.Init.Expect.Jobs) > 0
}

func (x Created) check(o Outcome) []string {
	var out []string
	failf := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if o.Findings.HasErrors() {
		for _, f := range o.Findings {
			if x.Error != "" && f.Level == diag.Error && strings.Contains(f.String(), x.Error) {
				return nil
			}
		}
		for _, f := range o.Findings {
			if f.Level == diag.Error {
				failf("%s", f)
			}
		}
		return out
	}
	if x.Error != "" {
		failf("want an error with %q, got none", x.Error)
	}
	if x.Created != nil && *x.Created != (o.Pipeline != nil) {
		failf("want a pipeline: %t, got %t (%s)", *x.Created, o.Pipeline != nil, o.NotCreated)
	}
	if o.Pipeline == nil {
		if x.Created == nil || *x.Created {
			failf("no pipeline is created: %s", o.NotCreated)
		}
		return out
	}
	return append(out, x.checkJobs(o.Pipeline)...)
}

func (x Created) checkJobs(p *pipeline.Pipeline) []string {
	var out []string
	failf := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	has := func(name string) bool { return len(p.Named(name)) > 0 }
	if x.Jobs != nil {
		for _, want := range *x.Jobs {
			if !has(want) {
				failf("job %q is not in the pipeline", want)
			}
		}
		for i := range p.Jobs {
			if !slices.Contains(*x.Jobs, p.Jobs[i].Name) && !slices.Contains(*x.Jobs, p.Jobs[i].Base) {
				failf("job %q is in the pipeline but not expected", p.Jobs[i].Name)
			}
		}
	}
	for _, want := range x.Present {
		if !has(want) {
			failf("job %q is not in the pipeline", want)
		}
	}
	for _, no := range x.Absent {
		if has(no) {
			failf("job %q is in the pipeline", no)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.When)) {
		j := p.Job(name)
		switch {
		case j == nil:
			failf("job %q is not in the pipeline, so its when is not %s", name, x.When[name])
		case string(j.When) != x.When[name]:
			failf("job %q: want when %s, got %s", name, x.When[name], j.When)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.Needs)) {
		j, want := p.Job(name), x.Needs[name]
		if j == nil {
			failf("job %q is not in the pipeline, so it needs nothing", name)
			continue
		}
		var got []string
		for _, n := range j.Needs {
			got = append(got, n.Job)
		}
		if !slices.Equal(got, want) {
			failf("job %q: want needs %q, got %q", name, want, got)
		}
	}
	return out
}
