package stacktest

import (
	"fmt"
	"slices"
	"time"

	"refline/internal/errs"
)

type driftRun struct {
	st      *stack
	started time.Time
	left    int
}

// Drift changes a property of a resource behind the stack's back.
func (s *Server) Drift(stackName, resource, property, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.stacks {
		if st.name != stackName || st.status == "DELETE_COMPLETE" || st.resources[resource] == nil {
			continue
		}
		r := st.resources[resource]
		if r.drifted == nil {
			r.drifted = map[string]string{}
		}
		r.drifted[property] = value
		return nil
	}
	return errs.E(errs.NotFound, "no resource %s in a stack %s", resource, stackName)
}

// driftOf is known only after a detection.
func (st *stack) driftOf(r *resource) string {
	switch {
	case st.driftChecked.IsZero():
		return "NOT_CHECKED"
	case len(r.drifted) > 0:
		return "MODIFIED"
	default:
		return "IN_SYNC"
	}
}

func (s *Server) detectStackDrift(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	if err := st.updatable(); err != nil {
		return nil, invalid("Stack [%s] is in [%s] state; drift detection cannot be performed", st.name, st.status)
	}
	id := s.uuid()
	s.drifts[id] = &driftRun{st: st, started: s.tick(), left: 2}
	return []elem{el("StackDriftDetectionId", id)}, nil
}

func (s *Server) describeDriftDetection(c call) ([]elem, error) {
	id := c.Get("StackDriftDetectionId")
	run := s.drifts[id]
	if run == nil {
		return nil, invalid("Drift detection id [%s] does not exist", id)
	}
	n := s.pace
	if n == 0 {
		n = run.left
	}
	run.left = max(0, run.left-n)
	if run.left > 0 {
		return []elem{el("StackId", run.st.id), el("StackDriftDetectionId", id), el("DetectionStatus", "DETECTION_IN_PROGRESS"),
			el("Timestamp", stamp(run.started))}, nil
	}
	count := 0
	for _, r := range run.st.resources {
		if len(r.drifted) > 0 {
			count++
		}
	}
	run.st.driftChecked, run.st.drift = run.started, "IN_SYNC"
	if count > 0 {
		run.st.drift = "DRIFTED"
	}
	return []elem{el("StackId", run.st.id), el("StackDriftDetectionId", id), el("StackDriftStatus", run.st.drift),
		el("DetectionStatus", "DETECTION_COMPLETE"), el("DriftedStackResourceCount", fmt.Sprint(count)),
		el("Timestamp", stamp(run.started))}, nil
}

func (s *Server) describeResourceDrifts(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	wanted := c.list("StackResourceDriftStatusFilters")
	var all []*resource
	for _, name := range sortedKeys(st.resources) {
		r := st.resources[name]
		if len(wanted) == 0 || slices.Contains(wanted, st.driftOf(r)) {
			all = append(all, r)
		}
	}
	part, more, err := page(all, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	return []elem{members("StackResourceDrifts", part, func(r *resource) []elem {
		differences := elem{name: "PropertyDifferences"}
		for _, name := range sortedKeys(r.drifted) {
			kind := "NOT_EQUAL"
			if r.properties[name] == nil {
				kind = "ADD"
			}
			differences.kids = append(differences.kids, group("member", el("PropertyPath", "/"+name),
				el("ExpectedValue", text(r.properties[name])), el("ActualValue", r.drifted[name]), el("DifferenceType", kind)))
		}
		return []elem{el("StackId", st.id), el("LogicalResourceId", r.logical), el("PhysicalResourceId", r.physical),
			el("ResourceType", r.kind), el("ExpectedProperties", jsonText(r.properties)), el("ActualProperties", jsonText(r.actual())),
			differences, el("StackResourceDriftStatus", st.driftOf(r)), el("Timestamp", stamp(st.driftChecked))}
	}), opt("NextToken", more)}, nil
}
