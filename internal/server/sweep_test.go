package server

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"refline/internal/blob"
	"refline/internal/blob/blobtest"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// TestSweep: rows go when they expire, their blobs a day later, those of logs
// with all their parts, and what is named stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, filepath.Join(t.TempDir(), "refline.db"))
	blobs, err := blob.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f := &Files{Store: s, Blobs: blobs, Now: func() time.Time { return now }}
	update := func(do func(ctx context.Context, tx *store.Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx *store.Tx) error { return do(t.Context(), tx) }); err != nil {
			t.Fatal(err)
		}
	}
	put := func(kind store.BlobKind, place string) store.Content {
		sum := blobtest.Put(t, blobs, place, []byte(place))
		update(func(ctx context.Context, tx *store.Tx) error { return tx.BeginBlob(ctx, kind, place, sum.Size, now) })
		return store.Content{Place: place, Bytes: sum.Size, SHA256: sum.SHA256}
	}
	for i := range int64(60) { // more than a portion
		a := store.Artifacts{Attempt: i + 1, Project: 1, Run: 1, Content: put(store.BlobArtifact, fmt.Sprintf("artifact/1/a-%d", i)), Created: now, Expires: now.Add(time.Hour)}
		update(func(ctx context.Context, tx *store.Tx) error { return tx.PutArtifacts(ctx, a) })
	}
	stays := store.Artifacts{Attempt: 100, Project: 1, Run: 2, Content: put(store.BlobArtifact, "artifact/1/stays"), Created: now, Keep: true}
	unused := store.Cache{CacheID: store.CacheID{Project: 1, Name: "k"}, Content: put(store.BlobCache, "cache/1/unused"), Created: now}
	log := store.Log{Attempt: 7, Run: 3, Place: store.LogPlace(3, 7), Created: now}
	for i := range 3 {
		blobtest.Put(t, blobs, fmt.Sprintf("%s%d.gz", log.Place, i), []byte("x"))
	}
	update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutArtifacts(ctx, stays); err != nil {
			return err
		}
		if err := tx.PutCache(ctx, unused); err != nil {
			return err
		}
		return tx.PutLog(ctx, log)
	})
	put(store.BlobArtifact, "artifact/1/never-named")
	sweep := func(after time.Duration) (rounds int) {
		t.Helper()
		now = now.Add(after)
		for more := true; more; rounds++ {
			var err error
			if more, err = f.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return rounds
	}
	left := func() []string {
		keys := blobtest.Keys(t, blobs, "", "")
		return slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, "artifact/1/a-") })
	}
	all := []string{"artifact/1/never-named", "artifact/1/stays", "cache/1/unused", "log/3/7/0.gz", "log/3/7/1.gz", "log/3/7/2.gz"}
	if sweep(2*time.Hour) < 2 || len(blobtest.Keys(t, blobs, "", "")) != 60+len(all) {
		t.Errorf("within a day: %q", left())
	}
	update(func(ctx context.Context, tx *store.Tx) error { return tx.RemoveRunBlobs(ctx, []int64{3}, now) })
	sweep(25 * time.Hour)
	if got := blobtest.Keys(t, blobs, "", ""); !slices.Equal(got, []string{"artifact/1/stays", "cache/1/unused"}) {
		t.Errorf("after a day: %q", got)
	}
	sweep(cacheUnused)
	sweep(25 * time.Hour)
	if got := left(); !slices.Equal(got, []string{"artifact/1/stays"}) {
		t.Errorf("at the end: %q", got)
	}
	if err := blob.Verify(t.Context(), blobs, "artifact/1/stays", blob.Sum{Size: stays.Bytes, SHA256: stays.SHA256}); err != nil {
		t.Error(err)
	}
}
