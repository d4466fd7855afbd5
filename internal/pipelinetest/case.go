// Package pipelinetest checks how a pipeline behaves: which status its jobs get
// when others succeed, fail or are canceled. Nothing is run.
//
// It promises to report every difference between a case and the pipeline, in
// order. It knows no files and no dialect; callers read the cases. `refline test`
// and the published state cases of GitLab use it.
package pipelinetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// Case is a test of a pipeline's behaviour, in the format of GitLab's published
// state cases: the statuses after the pipeline is created, then events and the
// statuses after each.
type Case struct {
	Init        Init         `json:"init" yaml:"init"`
	Transitions []Transition `json:"transitions" yaml:"transitions"`
	// Partial limits Check to the stages and jobs that are listed. Otherwise a
	// list of stages or jobs has to be complete if there is one.
	Partial bool `json:"partial,omitempty" yaml:"partial"`
}

// Init is what is expected before the first event.
type Init struct {
	Expect Expectation `json:"expect" yaml:"expect"`
}

// Transition is one event and the statuses after it. The event happens to all
// Jobs at once, or to the pipeline if there are none.
type Transition struct {
	Event    string          `json:"event" yaml:"event"` // a name that [ParseEvent] accepts
	Jobs     []string        `json:"jobs,omitempty" yaml:"jobs"`
	Reason   pipeline.Reason `json:"reason,omitempty" yaml:"reason"`       // of drop
	ExitCode int             `json:"exit_code,omitempty" yaml:"exit_code"` // of drop
	Group    string          `json:"group,omitempty" yaml:"group"`         // of release
	Expect   Expectation     `json:"expect" yaml:"expect"`
}

// Expectation is a set of statuses. Empty fields are not checked.
type Expectation struct {
	Pipeline pipeline.Status            `json:"pipeline,omitempty" yaml:"pipeline"`
	Stages   map[string]pipeline.Status `json:"stages,omitempty" yaml:"stages"`
	Jobs     map[string]pipeline.Status `json:"jobs,omitempty" yaml:"jobs"`
}

// Difference is one status or event that is not as a [Case] expects.
type Difference struct {
	Step  int    `json:"step"` // 0 for init, then the number of the transition
	Event string `json:"event,omitempty"`
	Kind  string `json:"kind"` // pipeline, stage, job or event
	Name  string `json:"name,omitempty"`
	// Want and Got are statuses, or "" for a stage or job that does not exist. If
	// an event is refused, Got is the reason.
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
}

// String returns "after 2 (drop build): job test: want skipped, got pending".
func (d Difference) String() string {
	var b strings.Builder
	if d.Step == 0 {
		b.WriteString("after create: ")
	} else {
		fmt.Fprintf(&b, "after %d (%s): ", d.Step, d.Event)
	}
	b.WriteString(d.Kind)
	if d.Name != "" {
		fmt.Fprintf(&b, " %s", d.Name)
	}
	switch {
	case d.Kind == "event":
		fmt.Fprintf(&b, ": %s", d.Got)
	case d.Got == "":
		fmt.Fprintf(&b, ": want %s, but it is not in the pipeline", d.Want)
	case d.Want == "":
		fmt.Fprintf(&b, ": got %s, but it is not in the list", d.Got)
	default:
		fmt.Fprintf(&b, ": want %s, got %s", d.Want, d.Got)
	}
	return b.String()
}

// ParseEvent returns the event with the name that test files use: success, drop,
// run (or start), play, enqueue, cancel, canceled, retry or release. Other names
// are Invalid.
func ParseEvent(name string) (pipeline.EventKind, error) {
	switch k := pipeline.EventKind(name); k {
	case pipeline.EventSucceed, pipeline.EventDrop, pipeline.EventStart, pipeline.EventPlay, pipeline.EventEnqueue, pipeline.EventCancel, pipeline.EventCanceled, pipeline.EventRetry, pipeline.EventRelease:
		return k, nil
	case "run":
		return pipeline.EventStart, nil
	default:
		return "", errs.E(errs.Invalid,
			"%q is not an event; events are success, drop, run, play, enqueue, cancel, canceled, retry, release", name)
	}
}

// Check plays the case and returns every difference, in order. It stops at an
// event that is refused.
func (c Case) Check(p *pipeline.Pipeline) []Difference {
	g, err := pipeline.NewGraph(p)
	if err != nil {
		return []Difference{{Kind: "event", Got: err.Error()}}
	}
	s, _, err := g.Advance(pipeline.State{}, pipeline.Event{Kind: pipeline.EventCreate})
	if err != nil {
		return []Difference{{Kind: "event", Got: err.Error()}}
	}
	list := c.compare(p, s, c.Init.Expect, 0, "")
	for k, t := range c.Transitions {
		events, err := t.events(p)
		if err == nil {
			s, _, err = g.Advance(s, events...)
		}
		if err != nil {
			return append(list, Difference{Step: k + 1, Event: t.String(), Kind: "event", Got: err.Error()})
		}
		list = append(list, c.compare(p, s, t.Expect, k+1, t.String())...)
	}
	return list
}

// String returns "drop build, test".
func (t Transition) String() string {
	return strings.TrimSpace(t.Event + " " + strings.Join(t.Jobs, ", "))
}

// events returns one event a job; the base name of a parallel job stands for all
// its instances.
func (t Transition) events(p *pipeline.Pipeline) ([]pipeline.Event, error) {
	kind, err := ParseEvent(t.Event)
	if err != nil {
		return nil, err
	}
	ev := pipeline.Event{Kind: kind, Reason: t.Reason, ExitCode: t.ExitCode, Group: t.Group}
	if len(t.Jobs) == 0 {
		return []pipeline.Event{ev}, nil
	}
	var list []pipeline.Event
	for _, name := range t.Jobs {
		jobs := p.Named(name)
		if len(jobs) == 0 {
			return nil, pipeline.ErrNotInPipeline(name)
		}
		for _, job := range jobs {
			ev.Job = job
			list = append(list, ev)
		}
	}
	return list, nil
}

func (c Case) compare(p *pipeline.Pipeline, s pipeline.State, want Expectation, step int, event string) []Difference {
	var list []Difference
	add := func(kind, name string, want, got pipeline.Status) {
		if want != got {
			list = append(list, Difference{Step: step, Event: event, Kind: kind, Name: name, Want: string(want), Got: string(got)})
		}
	}
	if want.Pipeline != "" {
		add("pipeline", "", want.Pipeline, s.Status)
	}
	check := func(kind string, want map[string]pipeline.Status, names []string, got func(int) pipeline.Status) {
		if len(want) == 0 {
			return
		}
		exists := make(map[string]bool, len(names))
		for i, name := range names {
			exists[name] = true
			if w, ok := want[name]; ok || !c.Partial {
				add(kind, name, w, got(i))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if !exists[name] {
				add(kind, name, want[name], "")
			}
		}
	}
	check("stage", want.Stages, p.Stages, func(i int) pipeline.Status { return s.Stages[i] })
	names := make([]string, len(p.Jobs))
	for i := range p.Jobs {
		names[i] = p.Jobs[i].Name
	}
	check("job", want.Jobs, names, func(i int) pipeline.Status { return s.Jobs[i].Status })
	return list
}
