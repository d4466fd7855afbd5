package stack

import (
	"context"
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/stack/planfile"
)

// Retained is a resource that its policy kept when its stack let it go: it
// exists, and is in no stack.
type Retained struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	PhysicalID string `json:"physicalId"`
}

func (r Retained) String() string { return r.ID + " (" + r.Type + " " + r.PhysicalID + ")" }

// explain completes the causes of a failed deployment by what the service knows
// beside the stack's events: the reasons of validations and of resource
// handlers, which come first, each at the line of the source.
func (s *Session) explain(ctx context.Context, p *planfile.Plan, w *watch, causes []Cause) []Cause {
	var first []Cause
	for _, id := range w.stacks() {
		failures, err := s.Cloud.Failures(ctx, id)
		if err != nil {
			s.Notef("more about the failure cannot be read: %v", err)
			continue
		}
		slices.SortStableFunc(failures, func(a, b Failure) int { return a.Time.Compare(b.Time) })
		for _, f := range failures {
			if f.Time.Before(w.started) && !f.Time.IsZero() || !f.explains(id) {
				continue
			}
			c := Cause{ID: strings.Join(append(slices.Clone(w.trail[id]), f.LogicalID), "/"), Type: f.Type, Status: Status(f.Status),
				Reason: strings.TrimSuffix(f.Reason, "."), Hint: hintFor(f.Reason)}
			if i := slices.IndexFunc(causes, func(x Cause) bool { return x.ID == c.ID }); i >= 0 {
				if f.Validation != "" || refersToEvents(causes[i].Reason) {
					causes[i].Reason, causes[i].Hint, causes[i].Place = c.Reason, c.Hint, placeOf(p, c, f.Path)
				}
				continue
			}
			if slices.ContainsFunc(first, func(x Cause) bool { return x.ID == c.ID && x.Reason == c.Reason }) {
				continue
			}
			c.Place = placeOf(p, c, f.Path)
			first = append(first, c)
		}
	}
	causes = append(first, causes...)
	for i := range causes {
		if causes[i].Place == nil {
			causes[i].Place = placeOf(p, causes[i], "")
		}
	}
	return causes
}

// explains reports whether a failure says why: not a warning, not the stack that
// failed because of a resource, and not what was canceled because of another.
func (f Failure) explains(stackID string) bool {
	return f.Mode != "WARN" && f.Reason != "" && f.LogicalID != "" && f.PhysicalID != stackID && f.Type != nestedStack &&
		!strings.Contains(strings.ToLower(f.Reason), "cancelled") && !strings.Contains(f.Status, "ROLLBACK")
}

// refersToEvents reports whether a reason only says where the reason is.
func refersToEvents(reason string) bool {
	return reason == "" || strings.Contains(reason, "DescribeEvents")
}

// placeOf is the line of the source that a cause is about: that of the property
// at a validation's path, else the resource's.
func placeOf(p *planfile.Plan, cause Cause, path string) *diag.Place {
	i := slices.IndexFunc(p.Changes, func(c planfile.Change) bool { return c.ID() == cause.ID })
	if i < 0 {
		return nil
	}
	c := p.Changes[i]
	_, below, _ := strings.Cut(strings.Trim(path, "/"), c.LogicalID+"/")
	for _, x := range c.Properties {
		if below != "" && x.Place != nil && (x.Path == below || strings.HasPrefix(x.Path, below+"/")) {
			return x.Place
		}
	}
	return c.Place
}

// retained lists the resources that a creation that was rolled back left
// behind.
func (s *Session) retained(ctx context.Context, st Stack) ([]Retained, error) {
	if st.Status != rollbackComplete {
		return nil, nil
	}
	events, err := s.Cloud.Events(ctx, EventQuery{Stack: st.ID})
	if err != nil {
		return nil, err
	}
	var out []Retained
	for _, e := range events {
		one := Retained{ID: e.LogicalID, Type: e.Type, PhysicalID: e.PhysicalID}
		if e.Status == deleteSkipped && e.PhysicalID != "" && !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	slices.Reverse(out) // newest first
	return out, nil
}

// leaving adds to a way out what is left of the stack: planned again, it would
// fail at it.
func (r *Recovery) leaving(list []Retained, stack, env string) *Recovery {
	if r == nil || len(list) == 0 {
		return r
	}
	var names []string
	for _, x := range list {
		names = append(names, x.String())
	}
	more := *r
	more.Problem = "its creation failed and was rolled back, but " + strings.Join(names, ", ") +
		" is kept and in no stack; delete the stack, then import what is kept, or delete it too and plan again"
	more.Commands = []string{r.Commands[0] + ", then refline stack plan " + stack + " --env " + env + " --import-existing"}
	return &more
}
