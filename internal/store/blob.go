package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"refline/internal/errs"
)

// BlobKind is what a blob is for.
type BlobKind string

// The kinds of blobs.
const (
	BlobArtifact BlobKind = "artifact"
	BlobCache    BlobKind = "cache"
	BlobLog      BlobKind = "log" // its place is a prefix of several
)

// BlobDelay is how long a blob stays when no row names it any more: a backup
// copies the database first and the blobs after it. An upload must be done within
// that time too.
const BlobDelay = 24 * time.Hour

// Content is a blob that a row names.
type Content struct {
	Place  string // the key in the blob store
	Bytes  int64
	SHA256 string
}

// NewPlace gives a new blob its key. A place is used once, so that the removal of
// an old one never meets a new one with the same content; id is one of
// [Store.NewIDs].
func NewPlace(kind BlobKind, project int64, sha256 string, id int64) string {
	return fmt.Sprintf("%s/%d/%.2s/%s-%d", kind, project, sha256, sha256, id)
}

// LogPlace is the prefix of the blobs of a log.
func LogPlace(run, attempt int64) string { return fmt.Sprintf("%s/%d/%d/", BlobLog, run, attempt) }

// RunLogPlace is the prefix of the blobs of all logs of a run.
func RunLogPlace(run int64) string { return fmt.Sprintf("%s/%d/", BlobLog, run) }

// RunOfLogs returns the run whose logs are at a place.
func RunOfLogs(place string) (run int64, ok bool) {
	n, err := fmt.Sscanf(place, string(BlobLog)+"/%d/", &run)
	return run, err == nil && n == 1 && place == RunLogPlace(run)
}

// Removal is a blob that is to be removed.
type Removal struct {
	Place string
	Kind  BlobKind
	Bytes int64
	Due   time.Time
}

var removalTable = table{name: "blob_removals", key: []string{"place"}, columns: []string{"place", "kind", "bytes", "due_at", "taken"}}

// BeginBlob notes that a blob is about to be written, so that it is removed if
// no row names it within [BlobDelay]. The place must be a new one.
func (t *Tx) BeginBlob(ctx context.Context, kind BlobKind, place string, bytes int64, now time.Time) error {
	_, err := t.exec(ctx, "INSERT INTO blob_removals (place, kind, bytes, due_at, taken) VALUES (?, ?, ?, ?, 0)", place, string(kind), bytes, millis(now.Add(BlobDelay)))
	return err
}

// claim makes sure that a place which a row is about to name stays: another row
// names it, or its removal is called off. Conflict if it is being removed.
func (t *Tx) claim(ctx context.Context, place string) error {
	for _, table := range []string{"artifacts", "caches", "logs"} {
		// The row is locked: it stays until this transaction's own row is there.
		rows, err := t.query(ctx, "SELECT 1 FROM "+table+" WHERE place = ? LIMIT 1"+t.forUpdate(), place)
		named, err := collect(rows, err, scanOne)
		if err != nil || len(named) > 0 {
			return err
		}
	}
	res, err := t.exec(ctx, "DELETE FROM blob_removals WHERE place = ? AND taken = 0", place)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return storageError(err)
	}
	return errs.E(errs.Conflict, "the blob %s is not there any more: begin the upload again", place)
}

func scanOne(rows *sql.Rows) (n int64, err error) {
	err = rows.Scan(&n)
	return n, err
}

// drop plans the removal of blobs whose rows were removed. Those that another
// row names are found when they are due.
func (t *Tx) drop(ctx context.Context, kind BlobKind, list []Content, now time.Time) error {
	rows := make([][]any, 0, len(list))
	seen := map[string]bool{} // one statement cannot write a row twice
	for _, c := range list {
		if !seen[c.Place] {
			seen[c.Place] = true
			rows = append(rows, []any{c.Place, string(kind), c.Bytes, millis(now.Add(BlobDelay)), 0})
		}
	}
	return t.putMany(ctx, &removalTable, rows)
}

const named = `(EXISTS (SELECT 1 FROM artifacts WHERE artifacts.place = blob_removals.place)
	OR EXISTS (SELECT 1 FROM caches WHERE caches.place = blob_removals.place)
	OR EXISTS (SELECT 1 FROM logs WHERE logs.place = blob_removals.place))`

// TakeRemovals returns up to n blobs to be removed now. From then on no row can
// name them. After their removal call DoneRemovals; those without are returned
// again.
func (t *Tx) TakeRemovals(ctx context.Context, now time.Time, n int) ([]Removal, error) {
	rows, err := t.query(ctx, "SELECT place, kind, bytes, due_at FROM blob_removals WHERE due_at <= ? ORDER BY due_at LIMIT ?"+t.forUpdate(), millis(now), n)
	due, err := collect(rows, err, scanRemoval)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	places := make([]any, len(due))
	for i, r := range due {
		places[i] = r.Place
	}
	in := " WHERE place IN (?" + strings.Repeat(", ?", len(due)-1) + ")"
	if _, err := t.exec(ctx, "DELETE FROM blob_removals"+in+" AND taken = 0 AND "+named, places...); err != nil {
		return nil, err
	}
	if _, err := t.exec(ctx, "UPDATE blob_removals SET taken = 1"+in, places...); err != nil {
		return nil, err
	}
	rows, err = t.query(ctx, "SELECT place, kind, bytes, due_at FROM blob_removals"+in+" ORDER BY due_at, place", places...)
	return collect(rows, err, scanRemoval)
}

func scanRemoval(rows *sql.Rows) (r Removal, err error) {
	var due int64
	err = rows.Scan(&r.Place, &r.Kind, &r.Bytes, &due)
	r.Due = fromMillis(due)
	return r, err
}

// DoneRemovals forgets blobs that were removed.
func (t *Tx) DoneRemovals(ctx context.Context, places []string) error {
	for _, place := range places {
		if _, err := t.exec(ctx, "DELETE FROM blob_removals WHERE place = ? AND taken = 1", place); err != nil {
			return err
		}
	}
	return nil
}

// BlobUsage is how much the blobs of a kind take.
type BlobUsage struct {
	Kind  BlobKind
	Count int64 // places
	Bytes int64
}

// BlobUsage counts what is kept by kind. waiting are the blobs that wait for
// their removal, or for the end of their upload.
func (s *Store) BlobUsage(ctx context.Context) (kept []BlobUsage, waiting BlobUsage, err error) {
	for _, q := range []struct {
		kind BlobKind
		text string
	}{
		{BlobArtifact, "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM (SELECT MAX(bytes) AS bytes FROM artifacts GROUP BY place) AS p"},
		{BlobCache, "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM (SELECT MAX(bytes) AS bytes FROM caches GROUP BY place) AS p"},
		{BlobLog, "SELECT COUNT(*), COALESCE(SUM(stored_bytes), 0) FROM logs"},
		{"", "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM blob_removals WHERE NOT " + named},
	} {
		u := BlobUsage{Kind: q.kind}
		if err := s.read.QueryRowContext(ctx, q.text).Scan(&u.Count, &u.Bytes); err != nil {
			return nil, waiting, storageError(err)
		}
		if q.kind == "" {
			waiting = u
			continue
		}
		kept = append(kept, u)
	}
	return kept, waiting, nil
}

// UnknownBlobs returns those places that no row names, not even one of blobs to
// be removed: what a crash or a restored database left in the blob store.
func (s *Store) UnknownBlobs(ctx context.Context, places []string) ([]string, error) {
	var unknown []string
	for _, place := range places {
		n, err := s.count(ctx, `SELECT (SELECT COUNT(*) FROM artifacts WHERE place = ?) + (SELECT COUNT(*) FROM caches WHERE place = ?)
			+ (SELECT COUNT(*) FROM logs WHERE place = ?) + (SELECT COUNT(*) FROM blob_removals WHERE place = ?)`, place, place, place, place)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			unknown = append(unknown, place)
		}
	}
	return unknown, nil
}
