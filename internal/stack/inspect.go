package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
)

// TargetStatus is the state of a target in AWS.
type TargetStatus struct {
	Target    *Target
	Exists    bool
	Stack     Stack
	Resources []Resource
	Recovery  *Recovery
	Pending   []PendingPlan // plans that were not executed yet
}

// MarshalJSON writes what scripts read of a status.
func (t *TargetStatus) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Stack     string        `json:"stack"`
		StackName string        `json:"stackName"`
		Exists    bool          `json:"exists"`
		Status    Status        `json:"status,omitempty"`
		Reason    string        `json:"reason,omitempty"`
		Resources int           `json:"resources"`
		Drift     string        `json:"drift,omitempty"`
		Pending   []PendingPlan `json:"pending,omitempty"`
		Recovery  *Recovery     `json:"recovery,omitempty"`
	}{t.Target.Name, t.Target.StackName, t.Exists, t.Stack.Status, t.Stack.Reason, len(t.Resources), t.Stack.DriftStatus, t.Pending, t.Recovery})
}

// StatusOf returns the status of several targets.
func (s *Session) StatusOf(ctx context.Context, targets []*Target) ([]*TargetStatus, error) {
	var list []*TargetStatus
	for _, t := range targets {
		st, err := s.Status(ctx, t)
		if err != nil {
			return nil, err
		}
		list = append(list, st)
	}
	return list, nil
}

// Status returns the state of a target. A stack that does not exist is not an error.
func (s *Session) Status(ctx context.Context, t *Target) (*TargetStatus, error) {
	st, err := s.Cloud.Stack(ctx, t.StackName)
	if errs.Is(err, errs.NotFound) || err == nil && st.Status == deleteComplete {
		return &TargetStatus{Target: t}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stack %s: %w", t.StackName, err)
	}
	out := &TargetStatus{Target: t, Exists: true, Stack: st, Recovery: RecoveryOf(st.Status, t.Name, s.Env.Name)}
	if out.Resources, err = s.Cloud.Resources(ctx, st.ID); err != nil {
		return nil, fmt.Errorf("resources of %s: %w", t.StackName, err)
	}
	left, err := s.retained(ctx, st)
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", t.StackName, err)
	}
	out.Recovery = out.Recovery.leaving(left, t.Name, s.Env.Name)
	if out.Pending, err = s.Plans(ctx, t); err != nil {
		return nil, err
	}
	return out, nil
}

// Events returns a stack's latest events, oldest first, at most limit (0 is all).
func (s *Session) Events(ctx context.Context, t *Target, limit int) ([]Event, error) {
	events, err := s.Cloud.Events(ctx, EventQuery{Stack: t.StackName, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", t.StackName, err)
	}
	for i, j := 0, len(events)-1; i < j; i, j = i+1, j-1 {
		events[i], events[j] = events[j], events[i]
	}
	return events, nil
}

// Follow emits the events of the operation that is under way, from its start,
// until it ends. Without one it returns the stack's state at once.
func (s *Session) Follow(ctx context.Context, t *Target, emit func(Progress)) (*Deployment, error) {
	st, err := s.Cloud.Stack(ctx, t.StackName)
	if err != nil {
		return nil, fmt.Errorf("stack %s: %w", t.StackName, err)
	}
	w, err := s.newWatch(ctx, st.ID, st.Name, emit)
	if err != nil {
		return nil, err
	}
	if !st.Status.InProgress() || st.Status == reviewInProgress {
		d := w.deployment(st)
		d.Recovery = RecoveryOf(st.Status, t.Name, s.Env.Name)
		return d, nil
	}
	if w.last[st.ID], err = s.beforeOperation(ctx, st); err != nil {
		return nil, err
	}
	end, err := w.run(ctx)
	if err != nil && ctx.Err() != nil {
		err = &StillRunningError{Stack: t.Name, StackName: t.StackName, Env: s.Env.Name, Err: context.Cause(ctx)}
	}
	d := w.deployment(end)
	d.Recovery = RecoveryOf(d.Status, t.Name, s.Env.Name)
	return d, err
}

// beforeOperation finds the newest event that is older than the operation that
// is under way: the stack's own last one at rest.
func (s *Session) beforeOperation(ctx context.Context, st Stack) (string, error) {
	events, err := s.Cloud.Events(ctx, EventQuery{Stack: st.ID})
	if err != nil {
		return "", fmt.Errorf("events of %s: %w", st.Name, err)
	}
	for _, e := range events {
		if e.PhysicalID == st.ID && (!e.Status.InProgress() || e.Status == reviewInProgress) {
			return e.ID, nil
		}
	}
	return "", nil
}

// Outputs returns a deployed stack's outputs.
func (s *Session) Outputs(ctx context.Context, t *Target) ([]Output, error) {
	st, err := s.Cloud.Stack(ctx, t.StackName)
	if err != nil {
		return nil, fmt.Errorf("outputs of %s: %w", t.StackName, err)
	}
	if st.Status == reviewInProgress {
		return nil, errs.E(errs.NotFound, "stack %s has plans but was never deployed", t.StackName)
	}
	return st.Outputs, nil
}

// Drift finds out what was changed by hand. It takes minutes on large stacks.
func (s *Session) Drift(ctx context.Context, t *Target) (Drift, error) {
	d, err := s.Cloud.Drift(ctx, t.StackName, "")
	p := s.poller()
	for {
		if !p.tolerate(ctx, err) {
			return d, fmt.Errorf("drift of %s: %w", t.StackName, err)
		}
		if err == nil && d.Done {
			if d.Failed != "" && len(d.Resources) == 0 {
				return d, errs.E(errs.Unavailable, "drift of %s: %s", t.StackName, d.Failed)
			}
			return d, nil
		}
		if err := p.next(ctx); err != nil {
			return d, err
		}
		detection := d.Detection
		var next Drift
		if next, err = s.Cloud.Drift(ctx, t.StackName, detection); err == nil {
			d = next
			if d.Detection == "" {
				d.Detection = detection
			}
		}
	}
}

// PendingPlan is a change set that is not executed yet.
type PendingPlan struct {
	ChangeSet   string    `json:"changeSet"`
	Name        string    `json:"name"`
	Stack       string    `json:"stack"`
	Description string    `json:"description,omitempty"`
	Created     time.Time `json:"created"`
	Status      Status    `json:"status"`
	Execution   Status    `json:"execution"`
	Ours        bool      `json:"ours"`               // made by this program
	Replaced    bool      `json:"replaced,omitempty"` // a later plan took its place
	Empty       bool      `json:"empty,omitempty"`    // it only marks earlier ones as replaced
}

// Waits reports whether the plan can be deployed.
func (p PendingPlan) Waits() bool { return p.Execution == available && !p.Replaced }

// State is what became of a plan that was not executed.
func (p PendingPlan) State() string {
	switch {
	case p.Empty:
		return "NO_CHANGES"
	case p.Replaced && p.Execution == available:
		return "REPLACED"
	}
	return string(p.Execution)
}

// AllPlans lists what [Session.Plans] does, of several targets.
func (s *Session) AllPlans(ctx context.Context, targets []*Target) ([]PendingPlan, error) {
	return gather(targets, func(t *Target) ([]PendingPlan, error) { return s.Plans(ctx, t) })
}

// PruneAll prunes what [Session.Prune] does, of several targets.
func (s *Session) PruneAll(ctx context.Context, targets []*Target, age time.Duration) ([]PendingPlan, error) {
	return gather(targets, func(t *Target) ([]PendingPlan, error) { return s.Prune(ctx, t, age) })
}

func gather(targets []*Target, plans func(*Target) ([]PendingPlan, error)) ([]PendingPlan, error) {
	all := []PendingPlan{}
	for _, t := range targets {
		list, err := plans(t)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// Plans lists the change sets of a target that are not executed.
func (s *Session) Plans(ctx context.Context, t *Target) ([]PendingPlan, error) {
	sets, err := s.Cloud.ListChangeSets(ctx, t.StackName)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("plans of %s: %w", t.StackName, err)
	}
	var out []PendingPlan
	slices.SortStableFunc(sets, func(a, b ChangeSet) int { return a.Created.Compare(b.Created) })
	for _, set := range sets {
		if strings.HasPrefix(string(set.Execution), "EXECUTE_") || set.Parent != "" {
			continue
		}
		replaced := slices.ContainsFunc(sets, func(later ChangeSet) bool { return replaces(later, set) })
		out = append(out, PendingPlan{ChangeSet: set.ARN, Name: set.Name, Stack: t.Name, Description: set.Description, Created: set.Created,
			Status: set.Status, Execution: set.Execution, Ours: strings.HasPrefix(set.Description, planPrefix),
			Replaced: replaced, Empty: nothingToChange(set)})
	}
	return out, nil
}

// Prune deletes the plans of a target that this program made and nobody
// executed, if they are older than age, replaced, or cannot be executed any
// more. A stack that was never deployed and has no plan left goes too. Change
// sets of others stay.
func (s *Session) Prune(ctx context.Context, t *Target, age time.Duration) ([]PendingPlan, error) {
	plans, err := s.Plans(ctx, t)
	if err != nil {
		return nil, err
	}
	var gone []PendingPlan
	before := s.Clock.Now().Add(-age)
	for _, p := range plans {
		young := p.Waits() && p.Created.After(before)
		if !p.Ours || young || p.Status == "CREATE_IN_PROGRESS" || p.Status == "CREATE_PENDING" {
			continue
		}
		if err := s.Cloud.DeleteChangeSet(ctx, p.ChangeSet); err != nil {
			return gone, fmt.Errorf("prune %s: %w", p.Name, err)
		}
		gone = append(gone, p)
	}
	if len(gone) == 0 || len(gone) < len(plans) {
		return gone, nil
	}
	st, err := s.Cloud.Stack(ctx, t.StackName)
	if errs.Is(err, errs.NotFound) {
		return gone, nil
	}
	if err == nil && st.Status == reviewInProgress {
		err = s.removeShell(ctx, st.ID)
	}
	return gone, err
}
