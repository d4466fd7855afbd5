package git

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPrune(t *testing.T) {
	long(t)
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "cache")
	ctx := context.Background()
	mirrors := map[string]*Remote{}
	for _, name := range []string{"mine", "old", "young", "locked", "pool-young", "pool-locked"} {
		src := newRepoAt(t, filepath.Join(t.TempDir(), name))
		src.commit("one", "a", name)
		r, err := NewRemote(src.dir, cache, localAccess(t))
		if err != nil {
			t.Fatal(err)
		}
		c := r.mustResolve(t, Ref{})
		r.mustCheckout(t, c, CheckoutOptions{})
		if name != "young" { // which never had a pool
			if err := r.Prepare(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		r.settle(t)
		mirrors[name] = r
	}
	if err := os.MkdirAll(filepath.Join(cache, "foreign"), 0o755); err != nil {
		t.Fatal(err)
	}
	aged := func(name, file string) {
		past := time.Now().Add(-unusedAfter - time.Hour)
		if err := os.Chtimes(filepath.Join(mirrors[name].dir, file), past, past); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"locked", "pool-locked"} {
		file := map[string]string{"locked": "lock", "pool-locked": "pool.lock"}[name]
		held, err := mirrors[name].tryLock(file)
		if held == nil || err != nil {
			t.Fatal(err)
		}
		defer held.Close()
	}
	for _, name := range []string{"old", "locked", "pool-young", "pool-locked"} {
		aged(name, "lock")
		if name != "pool-young" {
			aged(name, "pool.lock")
		}
	}
	there := func() []string {
		var names []string
		for _, name := range []string{"mine", "old", "young", "locked", "pool-young", "pool-locked"} {
			if isDir(mirrors[name].mirror()) {
				names = append(names, name)
			}
		}
		return names
	}
	all := []string{"mine", "old", "young", "locked", "pool-young", "pool-locked"}
	mirrors["mine"].pruneOthers(time.Now()) // filling the pool has checked the cache today
	if diff := cmp.Diff(all, there()); diff != "" {
		t.Errorf("looked twice a day (-want +got)\n%s", diff)
	}
	if err := os.Remove(filepath.Join(cache, pruneMark)); err != nil {
		t.Fatal(err)
	}
	mirrors["mine"].pruneOthers(time.Now())
	if diff := cmp.Diff([]string{"mine", "young", "locked", "pool-young", "pool-locked"}, there()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// A commit that is there already is used without the lock.
	aged("young", "lock")
	mirrors["young"].mustCheckout(t, mirrors["young"].mustResolve(t, Ref{}), CheckoutOptions{})
	mirrors["young"].pruneUnused(time.Now(), unusedAfter)
	if !isDir(mirrors["young"].mirror()) {
		t.Error("removed while it was used")
	}
	if !isDir(filepath.Join(cache, "foreign")) {
		t.Error("a folder that is not a mirror was removed")
	}
	r := mirrors["old"]
	ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{})
	if diff := cmp.Diff(map[string]string{"a": "old"}, tree(t, ws)); diff != "" {
		t.Errorf("used again (-want +got)\n%s", diff)
	}
}
