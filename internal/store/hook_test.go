package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

func newTrigger() store.Trigger {
	return store.Trigger{ID: 7, Project: 1, Forge: "gitlab", Address: "abc", Secret: secret.Sealed{Key: "k2", Data: []byte{1, 0, 255}},
		Previous: secret.Sealed{Key: "k1", Data: []byte{2}}, PreviousUntil: now.Add(time.Hour), Version: 3, Hook: "91", Created: now}
}

func TestTriggers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		want := newTrigger()
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutTrigger(ctx, want) })
		got, err := s.TriggerAt(t.Context(), "abc")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if got.Place() == got.PreviousPlace() {
			t.Error("both secrets are bound to one place")
		}
		if _, err := s.TriggerAt(t.Context(), "abd"); !errs.Is(err, errs.NotFound) {
			t.Errorf("an unknown address: %v", err)
		}
		other := want
		other.ID = 8
		if err := update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutTrigger(ctx, other) }); !errs.Is(err, errs.Conflict) {
			t.Errorf("an address that is taken: %v", err)
		}
		for project, n := range map[int64]int{0: 1, 1: 1, 2: 0} {
			if list, err := s.Triggers(t.Context(), project); err != nil || len(list) != n {
				t.Errorf("triggers of project %d: %d, %v", project, len(list), err)
			}
		}
		for key, n := range map[string]int{"k3": 1, "k2": 1, "k1": 1} {
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
				list, err := tx.LockTriggers(ctx, key, 10)
				if len(list) != n {
					t.Errorf("not encrypted by %s: %d", key, len(list))
				}
				return err
			})
		}
	})
}

func TestDeliveries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutTrigger(ctx, newTrigger()) })
		add := func(d store.Delivery) (fresh bool) {
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
				fresh, err = tx.AddDelivery(ctx, d)
				return err
			})
			return fresh
		}
		d := store.Delivery{ID: 1, Trigger: 7, Project: 1, Delivery: "uuid-1", Kind: "push", Name: "Push Hook", Event: []byte(`{"kind":"push"}`), Received: now}
		if !add(d) {
			t.Error("the first delivery is not new")
		}
		again := d
		again.ID, again.Event = 2, []byte(`{}`)
		if add(again) {
			t.Error("a delivery is new twice")
		}
		of := again
		of.Trigger = 9
		if !add(of) {
			t.Error("the id of another trigger's delivery counts")
		}
		ignored := store.Delivery{ID: 3, Trigger: 7, Project: 1, Delivery: "uuid-2", Kind: "ignored", Event: []byte("{}"), Received: now, Read: now}
		add(ignored)
		waiting, err := s.WaitingDeliveries(t.Context(), 1, 10)
		if diff := cmp.Diff([]store.Delivery{d, of}, waiting); err != nil || diff != "" {
			t.Errorf("waiting, %v (-want +got):\n%s", err, diff)
		}
		if projects, err := s.WaitingProjects(t.Context()); err != nil || fmt.Sprint(projects) != "[1]" {
			t.Errorf("waiting projects %v, %v", projects, err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.MarkRead(ctx, []int64{1, 2}, now) })
		if projects, err := s.WaitingProjects(t.Context()); err != nil || len(projects) > 0 {
			t.Errorf("waiting projects %v, %v", projects, err)
		}
		again.ID = 4
		if add(again) {
			t.Error("a delivery that was read is new again")
		}
		if g, err := s.TriggerAt(t.Context(), "abc"); err != nil || !g.Delivered.Equal(now) {
			t.Errorf("delivered at %v, %v", g.Delivered, err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			for i := range 1100 {
				if _, err := tx.AddDelivery(ctx, store.Delivery{ID: int64(100 + i), Trigger: 7, Project: 1, Delivery: fmt.Sprint(i), Received: now}); err != nil {
					return err
				}
			}
			return nil
		})
		if list, err := s.WaitingDeliveries(t.Context(), 1, 5000); err != nil || len(list) > 1064 || len(list) < 1000 {
			t.Errorf("%d deliveries are kept, %v", len(list), err)
		}
		if list, err := s.Deliveries(t.Context(), 7, 3); err != nil || len(list) != 3 || list[0].ID != 1199 {
			t.Errorf("newest: %v, %v", list, err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveTrigger(ctx, 7) })
		if list, err := s.Deliveries(t.Context(), 7, 3); err != nil || len(list) > 0 {
			t.Errorf("deliveries of a removed trigger: %v, %v", list, err)
		}
	})
}

func TestRefsAndLooks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		refs := map[string]string{}
		for i := range 300 {
			refs[fmt.Sprintf("refs/heads/b%d", i)] = fmt.Sprint(i)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.PutRefs(ctx, 1, refs, now); err != nil {
				return err
			}
			return tx.PutRefs(ctx, 1, map[string]string{"refs/heads/b1": "moved"}, now)
		})
		refs["refs/heads/b1"] = "moved"
		var gone []string
		for i := 100; i < 300; i++ {
			gone = append(gone, fmt.Sprintf("refs/heads/b%d", i))
			delete(refs, gone[len(gone)-1])
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveRefs(ctx, 1, gone) })
		got, err := s.Refs(t.Context(), 1)
		if diff := cmp.Diff(refs, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if next, err := s.NextLook(t.Context()); err != nil || !next.IsZero() {
			t.Errorf("next look %v, %v", next, err)
		}
		look := store.Look{Project: 1, Looked: now, Next: now.Add(time.Minute), Failures: 2, Error: "the host does not answer"}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.PutLook(ctx, look); err != nil {
				return err
			}
			return tx.PutLook(ctx, store.Look{Project: 2, Next: now})
		})
		if err := update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutLook(ctx, look) }); !errs.Is(err, errs.Conflict) {
			t.Errorf("a look that began before the last one ended: %v", err)
		}
		look.Version = 1
		if got, err := s.LookOf(t.Context(), 1); err != nil || got != look {
			t.Errorf("got %+v, %v", got, err)
		}
		if got, err := s.LookOf(t.Context(), 3); err != nil || got != (store.Look{Project: 3}) {
			t.Errorf("never looked at: %+v, %v", got, err)
		}
		if due, err := s.DueLooks(t.Context(), now, 10); err != nil || len(due) != 1 || due[0].Project != 2 {
			t.Errorf("due %+v, %v", due, err)
		}
		if next, err := s.NextLook(t.Context()); err != nil || !next.Equal(now) {
			t.Errorf("next look %v, %v", next, err)
		}

		one := store.MergeRequest{Project: 1, Number: 3, Body: []byte(`{"number":3}`), Updated: now}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			two := one
			two.Number = 4
			return tx.PutMergeRequests(ctx, []store.MergeRequest{one, two})
		})
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveMergeRequests(ctx, 1, []int64{4, 5}) })
		open, err := s.MergeRequests(t.Context(), 1)
		if diff := cmp.Diff([]store.MergeRequest{one}, open); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestNotifications(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		due := func(at time.Time) []store.Notification {
			t.Helper()
			list, err := s.DueNotifications(t.Context(), at, 10)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		want := func(id int64, body string, at time.Time) {
			t.Helper()
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
				return tx.WantNotification(ctx, store.Notification{ID: id, Project: 1, Run: 5, Kind: "status", Target: "status c refline/f", Body: []byte(body), Next: at, Updated: at})
			})
		}
		finish := func(n store.Notification) {
			t.Helper()
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.FinishNotification(ctx, n) })
		}
		want(1, "pending", now)
		want(2, "running", now)
		list := due(now)
		if len(list) != 1 || list[0].ID != 1 || string(list[0].Body) != "running" || list[0].State != "waiting" {
			t.Fatalf("due %+v", list)
		}
		// It fails, another state is wanted: the back-off stays.
		n := list[0]
		n.Attempts, n.Error, n.Next = 1, "no answer", now.Add(time.Minute)
		finish(n)
		want(3, "success", now.Add(time.Second))
		if list := due(now.Add(2 * time.Second)); len(list) > 0 {
			t.Errorf("due in its back-off: %+v", list)
		}
		list = due(now.Add(time.Minute))
		if len(list) != 1 || string(list[0].Body) != "success" || list[0].Attempts != 1 {
			t.Fatalf("due %+v", list)
		}
		// While it is sent another state is wanted.
		n = list[0]
		want(4, "failed", now.Add(time.Minute))
		n.State, n.Sent, n.Remote, n.Next = "sent", "digest", "77", now.Add(time.Minute)
		finish(n)
		list = due(now.Add(time.Minute))
		if len(list) != 1 || string(list[0].Body) != "failed" || list[0].Sent != "digest" || list[0].Remote != "77" {
			t.Fatalf("due %+v", list)
		}
		n = list[0]
		n.State = "stopped"
		finish(n)
		want(5, "failed", now.Add(2*time.Minute)) // the same
		if list := due(now.Add(time.Hour)); len(list) > 0 {
			t.Errorf("the same state is due again: %+v", list)
		}
		if next, err := s.NextNotification(t.Context()); err != nil || !next.IsZero() {
			t.Errorf("next %v, %v", next, err)
		}
		want(6, "success", now.Add(2*time.Minute))
		if next, err := s.NextNotification(t.Context()); err != nil || !next.Equal(now.Add(2*time.Minute)) {
			t.Errorf("next %v, %v", next, err)
		}
		if list, err := s.Notifications(t.Context(), 5); err != nil || len(list) != 1 || list[0].Attempts != 0 || list[0].Error != "" {
			t.Errorf("of the run: %+v, %v", list, err)
		}
		prune := func() {
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
				return tx.PruneNotifications(ctx, now.Add(time.Hour), 10)
			})
		}
		prune()
		list = due(now.Add(time.Hour))
		if len(list) != 1 {
			t.Fatal("a waiting notification was removed")
		}
		n = list[0]
		n.State = "sent"
		finish(n)
		prune()
		if list, err := s.Notifications(t.Context(), 5); err != nil || len(list) > 0 {
			t.Errorf("of the run: %+v, %v", list, err)
		}
	})
}

func TestNotifyRules(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		rule := store.NotifyRule{ID: 1, Project: 1, Name: "team", Kind: "slack", Events: []string{"failure", "recovery"}, Template: "{{.Title}}\n",
			Sealed: secret.Sealed{Key: "k1", Data: []byte{0, 255}}, Version: 2, Actor: "ann", Created: now}
		all := rule
		all.ID, all.Project = 2, 0
		put := func(r store.NotifyRule) error {
			return update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutNotifyRule(ctx, r) })
		}
		if err := put(rule); err != nil {
			t.Fatal(err)
		}
		if err := put(all); err != nil {
			t.Fatal(err)
		}
		taken := rule
		taken.ID = 3
		if err := put(taken); !errs.Is(err, errs.Conflict) {
			t.Errorf("a name that is taken: %v", err)
		}
		got, err := s.NotifyRules(t.Context(), 1)
		if diff := cmp.Diff([]store.NotifyRule{all, rule}, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			list, err := tx.LockNotifyRules(ctx, "k2", 10)
			if len(list) != 2 {
				t.Errorf("not encrypted by k2: %d", len(list))
			}
			return err
		})
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveNotifyRule(ctx, 2) })
		if got, err := s.NotifyRules(t.Context(), 2); err != nil || len(got) > 0 {
			t.Errorf("of another project: %+v, %v", got, err)
		}
	})
}

// TestHookUpkeep covers what people and janitors do to hooks, looks and notifications.
func TestHookUpkeep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		ctx := t.Context()
		wanted := func(id int64, state string) store.WantedRun {
			return store.WantedRun{ID: id, Project: 1, Request: 4, State: state, Body: []byte("{}"), Next: now, Created: now}
		}
		notice := func(id, run int64, body string) store.Notification {
			return store.Notification{ID: id, Project: 1, Run: run, Kind: "comment", Target: "comment 4 plan", Body: []byte(body), Next: now, Updated: now}
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(
				tx.PutTrigger(ctx, newTrigger()),
				second(tx.AddDelivery(ctx, store.Delivery{ID: 1, Trigger: 7, Project: 1, Delivery: "d", Kind: "push", Event: []byte("{}"), Received: now})),
				tx.NoteWanted(ctx, 1, []int64{11, 12}),
				tx.PollNow(ctx, 1, now), tx.PollNow(ctx, 1, now.Add(time.Minute)),
				tx.PutWantedRuns(ctx, []store.WantedRun{wanted(11, store.WantedApproval), wanted(12, store.WantedWaiting)}),
				tx.WantNotification(ctx, notice(1, 9, "new")), tx.WantNotification(ctx, notice(2, 8, "of an older run")))
		})
		deliveries, err := s.Deliveries(ctx, 7, 10)
		if err != nil || len(deliveries) != 1 || !slices.Equal(deliveries[0].Wanted, []int64{11, 12}) {
			t.Errorf("%+v %v", deliveries, err)
		}
		if next, err := s.NextLook(ctx); err != nil || !next.Equal(now.Add(time.Minute)) {
			t.Errorf("next look %v, %v", next, err)
		}
		for project, n := range map[int64]int{0: 1, 1: 1, 2: 0} {
			if list, err := s.AwaitingApproval(ctx, project); err != nil || len(list) != n {
				t.Errorf("approvals of project %d: %+v %v", project, list, err)
			}
		}
		if w, err := s.WantedRun(ctx, 12); err != nil || w.State != store.WantedWaiting {
			t.Errorf("%+v %v", w, err)
		}
		if _, err := s.WantedRun(ctx, 13); !errs.Is(err, errs.NotFound) {
			t.Errorf("a wanted run that is not there: %v", err)
		}
		if _, err := s.RunWithKey(ctx, "wanted-11"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a run that is not there: %v", err)
		}
		list, err := s.DueNotifications(ctx, now, 10)
		if err != nil || len(list) != 1 || string(list[0].Body) != "new" {
			t.Fatalf("%+v %v", list, err)
		}
		list[0].State = "sent"
		for _, n := range []int{1, 0} { // the one that waits stays
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.ForgetComments(ctx, 1, 4) })
			if left, err := s.Notifications(ctx, 9); err != nil || len(left) != n {
				t.Errorf("%d comments are known, want %d, %v", len(left), n, err)
			}
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.FinishNotification(ctx, list[0]) })
		}
		_, used, err := s.VaultKeys(ctx)
		if err != nil || !slices.Equal(used, []string{"k1", "k2"}) {
			t.Errorf("keys that are used: %q %v", used, err)
		}
		if err := update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.DropVaultKeys(ctx, "k2") }); !errs.Is(err, errs.Conflict) {
			t.Errorf("a key of the secret before is dropped: %v", err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return second(tx.ForgetVaultKey(ctx, "k1")) })
		if g, err := s.TriggerAt(ctx, "abc"); err != nil || g.Previous.Key != "" || len(g.Previous.Data) > 0 || g.Secret.Key != "k2" {
			t.Errorf("%+v %v", g, err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveProjectHooks(ctx, 1) })
		if left, err := s.Triggers(ctx, 0); err != nil || len(left) > 0 {
			t.Errorf("%+v %v", left, err)
		}
		if left, err := s.WantedRuns(ctx, 1); err != nil || len(left) > 0 {
			t.Errorf("%+v %v", left, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }
