package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"refline/internal/errs"
)

// DeleteOptions decide how a stack is deleted.
type DeleteOptions struct {
	// Retain are logical ids to leave, when a deletion failed at them.
	Retain []string
	// Force lifts termination protection first and, from DELETE_FAILED, leaves
	// whatever cannot be deleted.
	Force bool
	Emit  func(Progress)
}

// Delete deletes a target's stack and waits for the end. One that does not exist
// is a NotFound; one that is protected is a Conflict unless forced.
func (s *Session) Delete(ctx context.Context, t *Target, o DeleteOptions) (*Deployment, error) {
	st, err := s.Cloud.Stack(ctx, t.StackName)
	if err != nil {
		return nil, fmt.Errorf("delete %s: %w", t.StackName, err)
	}
	if st.TerminationProtection {
		if !o.Force {
			return nil, errs.E(errs.Conflict, "stack %s is protected from deletion; to delete it anyway: refline stack delete %s --env %s --force",
				t.StackName, t.Name, s.Env.Name)
		}
		off := false
		if err := s.Cloud.Do(ctx, st.ID, Action{Protect: &off}); err != nil {
			return nil, fmt.Errorf("turn off the protection of %s: %w", t.StackName, err)
		}
	}
	if len(o.Retain) > 0 && st.Status != deleteFailed {
		return nil, errs.E(errs.Conflict, "resources can be retained only after a deletion failed; stack %s is %s", t.StackName, st.Status)
	}
	left, err := s.retained(ctx, st)
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", t.StackName, err)
	}
	d := &DeleteStack{Role: t.Role, Retain: o.Retain, Force: o.Force && st.Status == deleteFailed, Token: s.token("delete")}
	end, err := s.operate(ctx, t, st, Action{Delete: d}, o.Emit)
	if end != nil {
		end.Retained = append(left, end.Retained...)
	}
	return end, err
}

// Continue continues a rollback that failed, leaving out the resources in skip.
func (s *Session) Continue(ctx context.Context, t *Target, skip []string, emit func(Progress)) (*Deployment, error) {
	st, err := s.Cloud.Stack(ctx, t.StackName)
	if err != nil {
		return nil, fmt.Errorf("continue %s: %w", t.StackName, err)
	}
	if st.Status != updateRollbackFailed {
		return nil, errs.E(errs.Conflict, "stack %s is %s; only a rollback that failed can be continued", t.StackName, st.Status)
	}
	return s.operate(ctx, t, st, Action{ContinueRollback: &ContinueRollback{Role: t.Role, Skip: skip, Token: s.token("continue")}}, emit)
}

// Rollback takes the last deployment of a target back: one that failed and was
// kept, or an update that is still under way.
func (s *Session) Rollback(ctx context.Context, t *Target, emit func(Progress)) (*Deployment, error) {
	st, err := s.Cloud.Stack(ctx, t.StackName)
	if err != nil {
		return nil, fmt.Errorf("roll back %s: %w", t.StackName, err)
	}
	switch st.Status {
	case createFailed, updateFailed:
		return s.operate(ctx, t, st, Action{Rollback: &Rollback{Role: t.Role, Token: s.token("rollback"),
			RetainExceptOnCreate: t.RetainExceptOnCreate != nil && *t.RetainExceptOnCreate}}, emit)
	case updateInProgress:
		return s.operate(ctx, t, st, Action{CancelUpdate: true}, emit)
	}
	if out := RecoveryOf(st.Status, t.Name, s.Env.Name); out != nil {
		return nil, errs.E(errs.Conflict, "stack %s is %s, which cannot be rolled back: %s", t.StackName, st.Status, out)
	}
	return nil, errs.E(errs.Conflict, "stack %s is %s; only a failed deployment that was kept, or an update in progress, can be rolled back; to go back further, plan the earlier commit",
		t.StackName, st.Status)
}

func (s *Session) token(verb string) string {
	return "refline-" + verb + s.Clock.Now().UTC().Format("-20060102-150405-") + s.Random()
}

// operate does an action and follows it to its end.
func (s *Session) operate(ctx context.Context, t *Target, st Stack, a Action, emit func(Progress)) (*Deployment, error) {
	w, err := s.newWatch(ctx, st.ID, st.Name, emit)
	if err != nil {
		return nil, err
	}
	if err := s.Cloud.Do(ctx, st.ID, a); err != nil {
		return nil, fmt.Errorf("stack %s: %w", t.StackName, err)
	}
	end, err := w.run(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = &StillRunningError{Stack: t.Name, StackName: t.StackName, Env: s.Env.Name, Err: context.Cause(ctx)}
		}
		return w.deployment(end), err
	}
	d := w.deployment(end)
	d.Recovery = RecoveryOf(d.Status, t.Name, s.Env.Name)
	if a.Delete != nil && d.Good {
		if err := s.record(ctx, t.StackName, Record{Event: OperationDelete}); err != nil {
			s.Notef("the history was not written: %v", err)
		}
	}
	if a.Delete == nil {
		// A rollback that ends is what was wanted. An update that was done
		// before it could be cancelled is not.
		d.Good = strings.HasSuffix(string(d.Status), "ROLLBACK_COMPLETE")
		if d.Good {
			d.Causes = nil
			if err := s.record(ctx, t.StackName, Record{Event: OperationRollback}); err != nil {
				s.Notef("the history was not written: %v", err)
			}
		}
	}
	return d, nil
}

// SameNames reports whether a text with commas has these names, in any order.
func SameNames(text string, want []string) bool {
	got := strings.Split(text, ",")
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	return slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
}
