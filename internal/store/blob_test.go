package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

func content(place string, bytes int64) store.Content {
	return store.Content{Place: place, Bytes: bytes, SHA256: strings.Repeat(place[:1], 64)}
}

func newArtifacts(attempt, run int64, pos int, c store.Content) store.Artifacts {
	return store.Artifacts{Attempt: attempt, Project: 1, Run: run, Pos: pos, Name: "n", Content: c, Files: 3, FileBytes: 99,
		Reports: map[string][]string{"junit": {"a.xml", "b.xml"}}, Expires: now.Add(time.Hour), Created: now}
}

// putArtifacts writes a row as an upload does.
func putArtifacts(t *testing.T, s *store.Store, a store.Artifacts, begin bool) error {
	t.Helper()
	if begin {
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			return tx.BeginBlob(ctx, store.BlobArtifact, a.Place, a.Bytes, now)
		})
	}
	return update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutArtifacts(ctx, a) })
}

// takeRemovals returns the places that are to be removed at a time.
func takeRemovals(t *testing.T, s *store.Store, at time.Time) (places []string) {
	t.Helper()
	mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
		list, err := tx.TakeRemovals(ctx, at, 10)
		places = []string{}
		for _, r := range list {
			places = append(places, r.Place)
		}
		return err
	})
	slices.Sort(places)
	return places
}

func TestArtifacts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		want := newArtifacts(5, 2, 0, content("a", 10))
		if err := putArtifacts(t, s, want, false); !errs.Is(err, errs.Conflict) {
			t.Errorf("a blob that nobody announced: %v", err)
		}
		for _, begin := range []bool{true, false} { // the same again
			if err := putArtifacts(t, s, want, begin); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Artifacts(t.Context(), 5)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if _, err := s.Artifacts(t.Context(), 6); !errs.Is(err, errs.NotFound) {
			t.Errorf("none: %v", err)
		}
		found, err := s.FindArtifacts(t.Context(), 1, want.SHA256, 10)
		if err != nil || found != want.Content {
			t.Errorf("the same content: %v, %v", found, err)
		}
		for _, other := range []struct{ project, bytes int64 }{{2, 10}, {1, 11}} {
			if _, err := s.FindArtifacts(t.Context(), other.project, want.SHA256, other.bytes); !errs.Is(err, errs.NotFound) {
				t.Errorf("%+v knows it: %v", other, err)
			}
		}
		// A second attempt and another job.
		for _, a := range []store.Artifacts{newArtifacts(7, 2, 0, content("b", 20)), newArtifacts(6, 2, 1, found), newArtifacts(8, 3, 0, content("c", 30))} {
			if err := putArtifacts(t, s, a, a.Place != "a"); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.RunArtifacts(t.Context(), 2)
		var attempts []int64
		for _, a := range list {
			attempts = append(attempts, a.Attempt)
		}
		if err != nil || !slices.Equal(attempts, []int64{7, 5, 6}) {
			t.Errorf("of run 2: %v, %v", attempts, err)
		}
		kept, waiting, err := s.BlobUsage(t.Context())
		if diff := cmp.Diff([]store.BlobUsage{{Kind: store.BlobArtifact, Count: 3, Bytes: 60}, {Kind: store.BlobCache}, {Kind: store.BlobLog}}, kept); err != nil || diff != "" || waiting.Count != 0 {
			t.Errorf("usage: %v, %+v (-want +got):\n%s", err, waiting, diff)
		}
	})
}

// A blob goes a day after its last row, and not while another row names it.
func TestBlobsGoAfterTheirRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		shared, alone, stays := newArtifacts(1, 1, 0, content("a", 10)), newArtifacts(2, 1, 1, content("b", 20)), newArtifacts(3, 2, 0, content("a", 10))
		kept := newArtifacts(4, 3, 0, content("d", 40))
		kept.Keep, stays.Expires = true, time.Time{}
		for i, a := range []store.Artifacts{shared, alone, stays, kept} {
			if err := putArtifacts(t, s, a, i != 2); err != nil {
				t.Fatal(err)
			}
		}
		expire := func(at time.Time) (n int) {
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
				n, err = tx.ExpireArtifacts(ctx, at, 1)
				return err
			})
			return n
		}
		later := now.Add(2 * time.Hour)
		if got := []int{expire(now), expire(later), expire(later), expire(later)}; !slices.Equal(got, []int{0, 1, 1, 0}) {
			t.Errorf("expired %v", got)
		}
		if got := takeRemovals(t, s, later.Add(23*time.Hour)); len(got) > 0 {
			t.Errorf("removed within a day: %q", got)
		}
		_, waiting, err := s.BlobUsage(t.Context())
		if err != nil || waiting.Count != 1 || waiting.Bytes != 20 {
			t.Errorf("waiting: %+v, %v", waiting, err)
		}
		// Named again in time.
		again := alone
		again.Attempt, again.Expires = 9, now.Add(time.Minute)
		if err := putArtifacts(t, s, again, false); err != nil {
			t.Fatal(err)
		}
		if got := takeRemovals(t, s, later.Add(25*time.Hour)); len(got) > 0 {
			t.Errorf("removed what rows name: %q", got)
		}
		expire(later)
		end := later.Add(25 * time.Hour)
		for range 2 { // also after a crash in between
			if got := takeRemovals(t, s, end); !slices.Equal(got, []string{"b"}) {
				t.Errorf("removed %q", got)
			}
		}
		again.Attempt = 10
		if err := putArtifacts(t, s, again, false); !errs.Is(err, errs.Conflict) {
			t.Errorf("a row for a blob that is being removed: %v", err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.DoneRemovals(ctx, []string{"b"}) })
		if got := takeRemovals(t, s, end); len(got) > 0 {
			t.Errorf("again: %q", got)
		}
		unknown, err := s.UnknownBlobs(t.Context(), []string{"a", "b", "d", "x"})
		if err != nil || !slices.Equal(unknown, []string{"b", "x"}) {
			t.Errorf("unknown: %q, %v", unknown, err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.KeepArtifacts(ctx, 3, -1, false) })
		if n := expire(later); n != 1 {
			t.Errorf("no longer kept: %d", n)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveRunBlobs(ctx, []int64{2, 77}, now) })
		if got := takeRemovals(t, s, end); !slices.Equal(got, []string{"a", "d", "log/2/", "log/77/"}) {
			t.Errorf("with those of a removed run: %q", got)
		}
	})
}

// An upload that never ends leaves no blob.
func TestUploadsThatNeverEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		place := store.NewPlace(store.BlobArtifact, 1, strings.Repeat("ab", 32), 7)
		if want := "artifact/1/ab/" + strings.Repeat("ab", 32) + "-7"; place != want {
			t.Errorf("place %s, want %s", place, want)
		}
		begin := func() error {
			return update(t, s, func(ctx context.Context, tx *store.Tx) error {
				return tx.BeginBlob(ctx, store.BlobArtifact, place, 10, now)
			})
		}
		if err := begin(); err != nil {
			t.Fatal(err)
		}
		if err := begin(); !errs.Is(err, errs.Conflict) {
			t.Errorf("a place is used twice: %v", err)
		}
		if got := takeRemovals(t, s, now.Add(23*time.Hour)); len(got) > 0 {
			t.Errorf("removed during the upload: %q", got)
		}
		if got := takeRemovals(t, s, now.Add(24*time.Hour)); !slices.Equal(got, []string{place}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestCaches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		put := func(name string, protected bool, c store.Content, at time.Time) store.Cache {
			t.Helper()
			row := store.Cache{CacheID: store.CacheID{Project: 1, Protected: protected, Name: name}, Content: c, Created: at, Used: at}
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
				if err := tx.BeginBlob(ctx, store.BlobCache, c.Place, c.Bytes, at); err != nil {
					return err
				}
				return tx.PutCache(ctx, row)
			})
			return row
		}
		plain, protected := put("k", false, content("a", 10), now), put("k", true, content("b", 20), now)
		for _, want := range []store.Cache{plain, protected} {
			got, err := s.Cache(t.Context(), want.CacheID)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			found, err := s.FindCache(t.Context(), 1, want.Protected, want.SHA256, want.Bytes)
			if err != nil || found != want.Content {
				t.Errorf("the same content: %v, %v", found, err)
			}
			if _, err := s.FindCache(t.Context(), 1, !want.Protected, want.SHA256, want.Bytes); !errs.Is(err, errs.NotFound) {
				t.Errorf("protected and not share content: %v", err)
			}
		}
		next := put("k", false, content("c", 30), now.Add(time.Minute)) // replaces a
		other := put("other", false, content("d", 40), now.Add(2*time.Minute))
		touch := func(at time.Time) time.Time {
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.TouchCache(ctx, next.CacheID, at) })
			got, err := s.Cache(t.Context(), next.CacheID)
			if err != nil {
				t.Fatal(err)
			}
			return got.Used
		}
		if got := touch(now.Add(30 * time.Minute)); got != next.Used {
			t.Errorf("touched within the hour: %v", got)
		}
		if got := touch(now.Add(3 * time.Hour)); got != now.Add(3*time.Hour) {
			t.Errorf("touched after it: %v", got)
		}
		list, err := s.Caches(t.Context(), 1, 10)
		if err != nil || len(list) != 3 || list[0].CacheID != next.CacheID {
			t.Errorf("%+v, %v", list, err)
		}
		count := func(f func(context.Context, *store.Tx) (int, error)) (n int) {
			t.Helper()
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) (err error) { n, err = f(ctx, tx); return err })
			return n
		}
		// 90 bytes: the longest unused goes, which is b.
		if n := count(func(ctx context.Context, tx *store.Tx) (int, error) { return tx.ShrinkCaches(ctx, 70, now, 10) }); n != 1 {
			t.Errorf("shrunk by %d", n)
		}
		if n := count(func(ctx context.Context, tx *store.Tx) (int, error) { return tx.ShrinkCaches(ctx, 70, now, 10) }); n != 0 {
			t.Errorf("shrunk again by %d", n)
		}
		if n := count(func(ctx context.Context, tx *store.Tx) (int, error) {
			return tx.ExpireCaches(ctx, other.Used.Add(time.Second), now, 10)
		}); n != 1 {
			t.Errorf("expired %d", n)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			return tx.RemoveCache(ctx, next.CacheID, plain.SHA256, now)
		})
		if _, err := s.Cache(t.Context(), next.CacheID); err != nil {
			t.Errorf("removed with another content: %v", err)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			return tx.RemoveCache(ctx, next.CacheID, next.SHA256, now)
		})
		if n := count(func(ctx context.Context, tx *store.Tx) (int, error) { return tx.ClearCaches(ctx, 1, now, 10) }); n != 0 {
			t.Errorf("cleared %d", n)
		}
		if got := takeRemovals(t, s, now.Add(48*time.Hour)); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
			t.Errorf("removed %q", got)
		}
	})
}

func TestLogs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		want := store.Log{Attempt: 4, Run: 2, Place: store.LogPlace(2, 4), Bytes: 100, StoredBytes: 10, Lines: 3, SHA256: strings.Repeat("a", 64), Created: now}
		for range 2 {
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutLog(ctx, want) })
		}
		got, err := s.Log(t.Context(), 4)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveRunBlobs(ctx, []int64{2}, now) })
		if _, err := s.Log(t.Context(), 4); !errs.Is(err, errs.NotFound) {
			t.Errorf("after the run: %v", err)
		}
		if got := takeRemovals(t, s, now.Add(24*time.Hour)); !slices.Equal(got, []string{"log/2/"}) {
			t.Errorf("removed %q", got)
		}
		if err := update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutLog(ctx, want) }); !errs.Is(err, errs.Conflict) {
			t.Errorf("written while it is removed: %v", err)
		}
	})
}

// Whatever rows come and go at once, no row names a blob that is taken away, and
// no blob stays without a row.
func TestBlobsAndRowsAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		var group sync.WaitGroup
		removed := sync.Map{}
		far := now.Add(100 * time.Hour)
		for worker := range int64(4) {
			group.Go(func() {
				for i := range int64(15) {
					a := newArtifacts(worker*100+i+1, worker+1, 0, content(fmt.Sprintf("x%d", i%3), 10))
					found, err := s.FindArtifacts(t.Context(), 1, a.SHA256, 10)
					if err == nil {
						a.Content = found
					} else {
						a.Place = fmt.Sprintf("x%d-%d", worker, i)
						mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
							return tx.BeginBlob(ctx, store.BlobArtifact, a.Place, 10, now)
						})
					}
					err = update(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutArtifacts(ctx, a) })
					if err != nil && !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.Unavailable) {
						t.Error(err)
					}
					err = update(t, s, func(ctx context.Context, tx *store.Tx) error { _, err := tx.ExpireArtifacts(ctx, far, 2); return err })
					var taken []store.Removal
					err2 := update(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
						taken, err = tx.TakeRemovals(ctx, far.Add(48*time.Hour), 5)
						return err
					})
					if err := errors.Join(err, err2); err != nil && !errs.Is(err, errs.Unavailable) {
						t.Error(err)
					}
					if err2 == nil {
						for _, r := range taken {
							removed.Store(r.Place, true)
						}
					}
				}
			})
		}
		group.Wait()
		for run := range int64(5) {
			list, err := s.RunArtifacts(t.Context(), run)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range list {
				if _, gone := removed.Load(a.Place); gone {
					t.Errorf("attempt %d names %s, which was removed", a.Attempt, a.Place)
				}
			}
		}
	})
}
