package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

var (
	now         = time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)
	equalValues = cmp.Comparer(func(a, b secret.Value) bool { return a.Equal(b) })
)

func update(t *testing.T, s *store.Store, f func(context.Context, *store.Tx) error) error {
	t.Helper()
	return s.Update(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) })
}

func mustUpdate(t *testing.T, s *store.Store, f func(context.Context, *store.Tx) error) {
	t.Helper()
	if err := update(t, s, f); err != nil {
		t.Fatal(err)
	}
}

func newVariable(id, project int64, name, environment string) store.Variable {
	return store.Variable{Variable: secret.Variable{Name: name, Environment: environment, Protected: true, Masked: true, File: true, Raw: true, Description: "d"},
		ID: id, Project: project, Version: 1, Hidden: true, Size: 5, Sealed: secret.Sealed{Key: "k1", Data: []byte{0, 1, 255}}, Created: now, Updated: now, Used: now}
}

func TestVariables(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		one, all, other := newVariable(1, 7, "A", "*"), newVariable(2, 0, "B", "*"), newVariable(3, 8, "A", "*")
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			for _, v := range []store.Variable{one, all, other} {
				if err := tx.PutVariable(ctx, v); err != nil {
					return err
				}
			}
			return nil
		})
		got, err := s.Variables(t.Context(), 7, 0)
		if diff := cmp.Diff([]store.Variable{one, all}, got, equalValues); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		err = update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutVariable(ctx, newVariable(4, 7, "A", "*")) })
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("a second one of its name: %v", err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			v, err := tx.LockVariable(ctx, 7, "A", "*")
			if err != nil {
				return err
			}
			if none, err := tx.LockVariable(ctx, 7, "A", "production"); none != nil || err != nil {
				t.Errorf("of another environment: %v, %v", none, err)
			}
			v.Version, v.Sealed, v.Masked = 2, secret.Sealed{Key: "k2", Data: []byte("x")}, false
			return tx.PutVariable(ctx, *v)
		})
		if list, _ := s.Variables(t.Context(), 7); len(list) != 1 || list[0].Version != 2 || list[0].Masked || list[0].Sealed.Key != "k2" {
			t.Errorf("after the change: %+v", list)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			list, err := tx.LockVariables(ctx, "k2", 10)
			if len(list) != 2 {
				t.Errorf("of other keys than k2: %+v", list)
			}
			return err
		})
		announced, used, err := s.VaultKeys(t.Context())
		if diff := cmp.Diff([]string{"k1", "k2"}, used); diff != "" || err != nil || announced != nil {
			t.Errorf("keys announced %v, %v (-want +got)\n%s", announced, err, diff)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.PutVaultKeys(ctx, []string{"k1", "k2"}, now); err != nil {
				return err
			}
			lost, err := tx.ForgetVaultKey(ctx, "k1")
			if lost != 2 {
				t.Errorf("lost %d values, want 2", lost)
			}
			return err
		})
		if announced, used, _ = s.VaultKeys(t.Context()); len(announced) != 1 || len(used) != 1 {
			t.Errorf("after forgetting k1: announced %v, used %v", announced, used)
		}
	})
}

func TestVariableIsTouchedOnceAnHour(t *testing.T) {
	s := storetest.Open(t, t.TempDir()+"/refline.db")
	v := newVariable(1, 7, "A", "*")
	v.Used = time.Time{}
	mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutVariable(ctx, v) })
	for _, tt := range []struct{ at, want time.Time }{
		{now, now}, {now.Add(59 * time.Minute), now}, {now.Add(61 * time.Minute), now.Add(61 * time.Minute)}, {now, now.Add(61 * time.Minute)},
	} {
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.TouchVariables(ctx, []int64{1}, tt.at) })
		if list, err := s.Variables(t.Context(), 7); err != nil || !list[0].Used.Equal(tt.want) {
			t.Errorf("touched at %v: used %v, want %v, %v", tt.at, list[0].Used, tt.want, err)
		}
	}
}

func TestKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		k := store.Key{ID: 1, Project: 7, Name: "wiki", Version: 1, Write: true, Protected: true, Environment: "*", Public: "ssh-ed25519 AAAA", Fingerprint: "SHA256:x",
			Repos: []string{"git@a:b.git", "git@a:b.wiki.git"}, Hosts: []string{"a"}, KnownHosts: "a ssh-ed25519 AAAA\n",
			Sealed: secret.Sealed{Key: "k1", Data: []byte{0}}, Created: now}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutKey(ctx, k) })
		got, err := s.Keys(t.Context(), 7)
		if diff := cmp.Diff([]store.Key{k}, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		second := k
		second.ID = 2
		if err := update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutKey(ctx, second) }); !errs.Is(err, errs.Conflict) {
			t.Errorf("a second one of its name: %v", err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			if list, err := tx.LockKeys(ctx, "k2", 10); len(list) != 1 || err != nil {
				t.Errorf("of other keys than k2: %v, %v", list, err)
			}
			return tx.RemoveProjectAccess(ctx, 7)
		})
		if list, err := s.Keys(t.Context(), 7, 0); len(list) != 0 || err != nil {
			t.Errorf("after the project's removal: %v, %v", list, err)
		}
	})
}

func TestTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		k := store.Token{ID: 1, Hash: "h1", Kind: store.TokenRunner, Name: "n", Scopes: []string{"read", "run"}, Project: 7, Runner: 3, Attempt: 9,
			Tags: []string{"a", "b"}, Protected: true, CreatedBy: "owner", Created: now, Expires: now.Add(time.Hour), Used: now}
		child := store.Token{ID: 2, Hash: "h2", Kind: store.TokenSession, Parent: 1, CreatedBy: "owner", Created: now}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.PutToken(ctx, k); err != nil {
				return err
			}
			return tx.PutToken(ctx, child)
		})
		got, err := s.TokenByHash(t.Context(), "h1")
		if diff := cmp.Diff(k, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		if _, err := s.TokenByHash(t.Context(), "none"); !errs.Is(err, errs.NotFound) {
			t.Errorf("no token: %v", err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RevokeToken(ctx, 1, now) })
		for _, id := range []int64{1, 2} {
			if got, err := s.Token(t.Context(), id); err != nil || !got.Revoked.Equal(now) {
				t.Errorf("token %d after the revocation of 1: %+v, %v", id, got, err)
			}
		}
		if list, err := s.Tokens(t.Context(), store.TokenRunner); len(list) != 0 || err != nil {
			t.Errorf("runner tokens: %v, %v", list, err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.DropTokens(ctx, now.Add(time.Second), 1) })
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.DropTokens(ctx, now.Add(time.Second), 9) })
		if _, err := s.Token(t.Context(), 2); !errs.Is(err, errs.NotFound) {
			t.Errorf("after the removal of old ones: %v", err)
		}
	})
}

func TestTokenIsSpentOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutToken(ctx, store.Token{ID: 1, Hash: "h", Kind: store.TokenSignIn, CreatedBy: "owner", Created: now, Expires: now.Add(time.Minute)})
		})
		spend := func(kind store.TokenKind, at time.Time) error {
			return update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.SpendToken(ctx, "h", kind, at) })
		}
		if err := spend(store.TokenSession, now); !errs.Is(err, errs.NotFound) {
			t.Errorf("as another kind: %v", err)
		}
		if err := spend(store.TokenSignIn, now.Add(time.Minute)); !errs.Is(err, errs.NotFound) {
			t.Errorf("expired: %v", err)
		}
		var wg sync.WaitGroup
		results := make(chan error, 8)
		for range cap(results) {
			wg.Go(func() { results <- spend(store.TokenSignIn, now) })
		}
		wg.Wait()
		close(results)
		good := 0
		for err := range results {
			switch {
			case err == nil:
				good++
			case !errs.Is(err, errs.NotFound):
				t.Error(err)
			}
		}
		if good != 1 {
			t.Errorf("%d callers spent it, want 1", good)
		}
	})
}

func TestAudit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		var all []store.AuditEvent
		for i := range int64(5) {
			all = append(all, store.AuditEvent{ID: i + 1, At: now, Actor: "owner", Action: "variable.set", Project: i % 2, Object: "variable A", Detail: "d"})
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Audit(ctx, all...) })
		// A second event with an id changes nothing.
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			return tx.Audit(ctx, store.AuditEvent{ID: 5, Actor: "x"})
		})
		got, err := s.AuditEvents(t.Context(), 0, 0, 2)
		if diff := cmp.Diff([]store.AuditEvent{all[4], all[3]}, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		got, err = s.AuditEvents(t.Context(), 1, 4, 9)
		if diff := cmp.Diff([]store.AuditEvent{all[1]}, got); diff != "" || err != nil {
			t.Errorf("of a project, before 4: %v (-want +got)\n%s", err, diff)
		}
	})
}
