package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"refline/internal/errs"
)

// Case is a test of a pipeline's behaviour, in the shape of GitLab's own state
// cases: what is expected of it once it is created, then events and what is
// expected after each.
type Case struct {
	Init        Init         `json:"init" yaml:"init"`
	Transitions []Transition `json:"transitions" yaml:"transitions"`
	// Partial makes Check look at the stages and jobs that are listed only. Else
	// a list of stages or jobs, where there is one, has to be complete.
	Partial bool `json:"partial,omitempty" yaml:"partial"`
}

// Init is what is expected before the first event.
type Init struct {
	Expect Expectation `json:"expect" yaml:"expect"`
}

// Transition is one event for each of Jobs at once, or for the pipeline when
// there are none, and what is expected after it.
type Transition struct {
	Event    string      `json:"event" yaml:"event"` // as [EventNamed] knows them
	Jobs     []string    `json:"jobs,omitempty" yaml:"jobs"`
	Reason   Reason      `json:"reason,omitempty" yaml:"reason"`       // of drop
	ExitCode int         `json:"exit_code,omitempty" yaml:"exit_code"` // of drop
	Group    string      `json:"group,omitempty" yaml:"group"`         // of release
	Expect   Expectation `json:"expect" yaml:"expect"`
}

// Expectation is a set of statuses. What is empty is not looked at.
type Expectation struct {
	Pipeline Status            `json:"pipeline,omitempty" yaml:"pipeline"`
	Stages   map[string]Status `json:"stages,omitempty" yaml:"stages"`
	Jobs     map[string]Status `json:"jobs,omitempty" yaml:"jobs"`
}

// Difference is one thing that is not as a [Case] expects.
type Difference struct {
	Step  int    `json:"step"` // 0 for init, else of the transition, from 1
	Event string `json:"event,omitempty"`
	Kind  string `json:"kind"` // pipeline, stage, job or event
	Name  string `json:"name,omitempty"`
	// Want and Got are statuses, or "" for a stage or job that is not there. For
	// an event that was refused Got says why.
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
}

// String gives "after 2 (drop build): job test: want skipped, got pending".
func (d Difference) String() string {
	var b strings.Builder
	if d.Step == 0 {
		b.WriteString("at first: ")
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
		fmt.Fprintf(&b, ": is %s, but not expected at all", d.Got)
	default:
		fmt.Fprintf(&b, ": want %s, got %s", d.Want, d.Got)
	}
	return b.String()
}

// EventNamed is the event that a test file names: success, drop, run (or
// start), play, enqueue, cancel, canceled, retry, release. Others are Invalid.
func EventNamed(name string) (EventKind, error) {
	switch k := EventKind(name); k {
	case EventSucceed, EventDrop, EventStart, EventPlay, EventEnqueue, EventCancel, EventCanceled, EventRetry, EventRelease:
		return k, nil
	case "run":
		return EventStart, nil
	default:
		return "", errs.E(errs.Invalid,
			"%q is not an event; events are success, drop, run, play, enqueue, cancel, canceled, retry, release", name)
	}
}

// Check plays the case and returns every difference, in order. After an event
// that is refused the rest is not played.
func (c Case) Check(p *Pipeline) []Difference {
	g, err := NewGraph(p)
	if err != nil {
		return []Difference{{Kind: "event", Got: err.Error()}}
	}
	s, _, err := g.Advance(State{}, Event{Kind: EventCreate})
	if err != nil {
		return []Difference{{Kind: "event", Got: err.Error()}}
	}
	list := c.compare(p, s, c.Init.Expect, 0, "")
	for k, t := range c.Transitions {
		events, err := t.events()
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

// String gives "drop build, test".
func (t Transition) String() string {
	return strings.TrimSpace(t.Event + " " + strings.Join(t.Jobs, ", "))
}

func (t Transition) events() ([]Event, error) {
	kind, err := EventNamed(t.Event)
	if err != nil {
		return nil, err
	}
	ev := Event{Kind: kind, Reason: t.Reason, ExitCode: t.ExitCode, Group: t.Group}
	if len(t.Jobs) == 0 {
		return []Event{ev}, nil
	}
	var list []Event
	for _, job := range t.Jobs {
		ev.Job = job
		list = append(list, ev)
	}
	return list, nil
}

func (c Case) compare(p *Pipeline, s State, want Expectation, step int, event string) []Difference {
	var list []Difference
	differs := func(kind, name string, want, got Status) {
		if want != got {
			list = append(list, Difference{Step: step, Event: event, Kind: kind, Name: name, Want: string(want), Got: string(got)})
		}
	}
	if want.Pipeline != "" {
		differs("pipeline", "", want.Pipeline, s.Status)
	}
	check := func(kind string, want map[string]Status, names []string, got func(int) Status) {
		if len(want) == 0 {
			return
		}
		there := make(map[string]bool, len(names))
		for i, name := range names {
			there[name] = true
			if w, ok := want[name]; ok || !c.Partial {
				differs(kind, name, w, got(i))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if !there[name] {
				differs(kind, name, want[name], "")
			}
		}
	}
	check("stage", want.Stages, p.Stages, func(i int) Status { return s.Stages[i] })
	names := make([]string, len(p.Jobs))
	for i := range p.Jobs {
		names[i] = p.Jobs[i].Name
	}
	check("job", want.Jobs, names, func(i int) Status { return s.Jobs[i].Status })
	return list
}
