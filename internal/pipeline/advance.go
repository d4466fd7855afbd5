package pipeline

import (
	"slices"

	"refline/internal/errs"
)

// Advance applies events to a state and then decides what becomes of every job,
// until nothing changes any more. It returns the new state and the changes in the
// order in which they happened; each job is listed once, with its first and its
// last status. Several events count as simultaneous: decisions follow the last.
//
// Errors: NotFound for a job that is not in the pipeline, Conflict for an event
// that the job's status does not allow, Invalid for a state or an event that is
// impossible. After an error the state is s, unchanged.
//
// The rules are those of GitLab's pipeline processing (18.9).
//
// Each call copies the state of all jobs and looks at all of them, so a caller
// that has several events passes them together.
func (g *Graph) Advance(s State, events ...Event) (State, []Change, error) {
	t := transition{g: g, jobs: slices.Clone(s.Jobs), busyGroups: s.BusyGroups}
	for k, ev := range events {
		if k == 0 && ev.Kind == EventCreate {
			if len(s.Jobs) > 0 {
				return s, nil, errAlreadyCreated()
			}
			t.create()
			continue
		}
		if len(t.jobs) != len(g.p.Jobs) {
			return s, nil, errs.E(errs.Invalid, "the state has %d jobs, the pipeline %d", len(t.jobs), len(g.p.Jobs))
		}
		if err := t.apply(ev); err != nil {
			return s, nil, err
		}
	}
	if len(t.jobs) != len(g.p.Jobs) {
		return s, nil, errs.E(errs.Invalid, "the first event of a pipeline must be create")
	}
	next := State{Jobs: t.jobs}
	next.Status, next.Stages = t.evaluate(s)
	next.BusyGroups = t.busyGroups
	return next, t.changes(s.Jobs), nil
}

// transition is the work of one call of Advance.
type transition struct {
	g          *Graph
	jobs       []JobState // the new state
	busyGroups []string
	touched    []int  // positions of changed jobs, in the order of their first change
	seen       []bool // by position: is in touched
}

func (t *transition) set(i int, to Status) {
	t.jobs[i].Status = to
	if to != StatusCreated {
		t.jobs[i].Asked = false
	}
	t.touch(i)
}

func (t *transition) touch(i int) {
	if t.seen == nil {
		t.seen = make([]bool, len(t.jobs))
	}
	if !t.seen[i] {
		t.seen[i] = true
		t.touched = append(t.touched, i)
	}
}

// changes lists how the touched jobs differ from before.
func (t *transition) changes(before []JobState) []Change {
	var list []Change
	for _, i := range t.touched {
		was := JobState{Status: StatusCreated, Attempt: 1}
		if len(before) > 0 {
			was = before[i]
		}
		is := t.jobs[i]
		if was.Status == is.Status && was.Attempt == is.Attempt {
			continue
		}
		list = append(list, Change{Pos: i, Job: t.g.p.Jobs[i].Name, From: was.Status, To: is.Status, Attempt: is.Attempt})
	}
	return list
}

func (t *transition) create() {
	t.jobs = make([]JobState, len(t.g.p.Jobs))
	for i := range t.jobs {
		t.jobs[i] = JobState{Status: StatusCreated, Attempt: 1, AllowFailure: t.g.p.Jobs[i].AllowFailure}
	}
}
