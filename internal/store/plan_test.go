package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/store"
	"refline/internal/store/storetest"
)

func newPlan(run, attempt int64, digest, ref, target string) store.Plan {
	return store.Plan{Attempt: attempt, Project: 1, Run: run, Pos: 2, Path: digest + ".plan.json", Ref: ref, Digest: digest, Target: target,
		PlanFacts: store.PlanFacts{StackName: "landing-dev", Summary: "6 added", Refusals: []string{"a", "b"}, Created: now}}
}

func TestPlans(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		first, again := newPlan(1, 10, "a", "develop", "dev"), newPlan(1, 11, "b", "develop", "dev")
		other, request := newPlan(2, 12, "c", "develop", "prod"), newPlan(3, 13, "d", "develop", "dev")
		request.Review = true
		later, ref := newPlan(4, 14, "e", "develop", "dev"), newPlan(5, 15, "f", "main", "dev")
		put := func(list ...store.Plan) {
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutPlans(ctx, list) })
		}
		put()
		put(first, again, other, request, ref)
		put(first) // a repeated upload
		got, err := s.RunPlans(t.Context(), 1)
		if diff := cmp.Diff([]store.Plan{again, first}, got); diff != "" || err != nil {
			t.Errorf("plans of run 1: %v\n%s", err, diff)
		}
		for prefix, want := range map[string][]store.Plan{"a": {first}, "z": nil, "": {ref, request, other, again, first}} {
			got, err := s.PlansByDigest(t.Context(), 0, prefix, 10)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("plans whose digest begins with %q: %v\n%s", prefix, err, diff)
			}
		}
		if got, err := s.PlansByDigest(t.Context(), 2, "a", 10); len(got) != 0 || err != nil {
			t.Errorf("plans of another project: %v, %v", got, err)
		}
		// Neither another stack, nor a merge request, nor another branch replaces a plan.
		if id, err := s.LaterPlanRun(t.Context(), first); id != 0 || err != nil {
			t.Errorf("run %d planned it again (%v), want none", id, err)
		}
		put(later)
		if id, err := s.LaterPlanRun(t.Context(), first); id != 4 || err != nil {
			t.Errorf("run %d planned it again (%v), want 4", id, err)
		}
		if id, err := s.LaterPlanRun(t.Context(), later); id != 0 || err != nil {
			t.Errorf("run %d planned the last one again (%v), want none", id, err)
		}
	})
}

func TestApprovals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		want := []store.Approval{
			{ID: 1, Project: 1, Run: 7, Pos: 3, Digests: []string{"sha256:a", "sha256:b"}, Actor: "owner", Created: now},
			{ID: 2, Project: 1, Run: 7, Pos: 3, Digests: []string{"sha256:c"}, Actor: "token ci (12)", Created: now.Add(time.Minute)},
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			for _, a := range want {
				if err := tx.AddApproval(ctx, a); err != nil {
					return err
				}
			}
			return tx.AddApproval(ctx, store.Approval{ID: 3, Project: 1, Run: 8, Digests: []string{"sha256:d"}, Created: now})
		})
		got, err := s.Approvals(t.Context(), 7)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("approvals of run 7: %v\n%s", err, diff)
		}
	})
}
