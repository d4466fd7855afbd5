package store

import (
	"context"
	"database/sql"
	"time"
)

// CacheID names a cache. Those of protected refs are others.
type CacheID struct {
	Project   int64
	Protected bool
	Name      string
}

// Cache is a row of caches.
type Cache struct {
	CacheID
	Content
	Created, Used time.Time
}

const (
	cacheColumns = "project, protected, name, place, bytes, sha256, created_at, used_at"
	cacheKey     = "project = ? AND protected = ? AND name = ?"
)

func (id CacheID) args() []any { return []any{id.Project, bit(id.Protected), id.Name} }

// PutCache writes the row of a cache whose blob is in the store, and replaces
// the one of that name. See [Tx.PutArtifacts] for the blob.
func (t *Tx) PutCache(ctx context.Context, c Cache) error {
	if err := t.claim(ctx, c.Place); err != nil {
		return err
	}
	before, err := t.caches(ctx, cacheKey, c.args()...)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "INSERT INTO caches ("+cacheColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, protected, name) DO UPDATE SET place = excluded.place, bytes = excluded.bytes, sha256 = excluded.sha256,
		created_at = excluded.created_at, used_at = excluded.used_at`,
		append(c.args(), c.Place, c.Bytes, c.SHA256, millis(c.Created), millis(c.Created))...)
	if err != nil || len(before) == 0 || before[0].Place == c.Place {
		return err
	}
	return t.drop(ctx, BlobCache, []Content{before[0].Content}, c.Created)
}

func scanCache(rows *sql.Rows) (c Cache, err error) {
	var protected int
	var created, used int64
	err = rows.Scan(&c.Project, &protected, &c.Name, &c.Place, &c.Bytes, &c.SHA256, &created, &used)
	c.Protected, c.Created, c.Used = protected != 0, fromMillis(created), fromMillis(used)
	return c, err
}

func (t *Tx) caches(ctx context.Context, where string, args ...any) ([]Cache, error) {
	rows, err := t.query(ctx, "SELECT "+cacheColumns+" FROM caches WHERE "+where+t.forUpdate(), args...)
	return collect(rows, err, scanCache)
}

// removeCaches removes rows, and their blobs later.
func (t *Tx) removeCaches(ctx context.Context, list []Cache, now time.Time) error {
	contents := make([]Content, len(list))
	for i, c := range list {
		contents[i] = c.Content
		if _, err := t.exec(ctx, "DELETE FROM caches WHERE "+cacheKey, c.args()...); err != nil {
			return err
		}
	}
	return t.drop(ctx, BlobCache, contents, now)
}

// TouchCache notes that a cache is used. Within an hour it does so once.
func (t *Tx) TouchCache(ctx context.Context, id CacheID, now time.Time) error {
	_, err := t.exec(ctx, "UPDATE caches SET used_at = ? WHERE "+cacheKey+" AND used_at < ?",
		append([]any{millis(now)}, append(id.args(), millis(now.Add(-time.Hour)))...)...)
	return err
}

// RemoveCache removes a cache if it still has the content.
func (t *Tx) RemoveCache(ctx context.Context, id CacheID, sha256 string, now time.Time) error {
	list, err := t.caches(ctx, cacheKey+" AND sha256 = ?", append(id.args(), sha256)...)
	if err != nil {
		return err
	}
	return t.removeCaches(ctx, list, now)
}

// ExpireCaches removes up to n caches that were last used before a time, and
// returns how many there were.
func (t *Tx) ExpireCaches(ctx context.Context, before, now time.Time, n int) (int, error) {
	list, err := t.caches(ctx, "used_at < ? ORDER BY used_at LIMIT ?", millis(before), n)
	if err != nil {
		return 0, err
	}
	return len(list), t.removeCaches(ctx, list, now)
}

// ShrinkCaches removes those not used for the longest time while all together
// have more than limit bytes, up to n, and returns how many there were. Content
// that two share counts twice.
func (t *Tx) ShrinkCaches(ctx context.Context, limit int64, now time.Time, n int) (int, error) {
	rows, err := t.query(ctx, "SELECT COALESCE(SUM(bytes), 0) FROM caches")
	total, err := first(rows, err, scanOne, "no sum")
	if err != nil || total <= limit {
		return 0, err
	}
	list, err := t.caches(ctx, "1 = 1 ORDER BY used_at LIMIT ?", n)
	if err != nil {
		return 0, err
	}
	for i, c := range list {
		if total <= limit {
			list = list[:i]
			break
		}
		total -= c.Bytes
	}
	return len(list), t.removeCaches(ctx, list, now)
}

// ClearCaches removes up to n caches of a project, and returns how many there
// were.
func (t *Tx) ClearCaches(ctx context.Context, project int64, now time.Time, n int) (int, error) {
	list, err := t.caches(ctx, "project = ? LIMIT ?", project, n)
	if err != nil {
		return 0, err
	}
	return len(list), t.removeCaches(ctx, list, now)
}

// Cache returns a cache; NotFound if there is none.
func (s *Store) Cache(ctx context.Context, id CacheID) (Cache, error) {
	rows, err := s.query(ctx, "SELECT "+cacheColumns+" FROM caches WHERE "+cacheKey, id.args()...)
	return first(rows, err, scanCache, "no cache is saved for %s", id.Name)
}

// Caches lists the caches of a project, those used last first.
func (s *Store) Caches(ctx context.Context, project int64, n int) ([]Cache, error) {
	rows, err := s.query(ctx, "SELECT "+cacheColumns+" FROM caches WHERE project = ? ORDER BY used_at DESC, name LIMIT ?", project, min(n, maxPage))
	return collect(rows, err, scanCache)
}

// FindCache returns a blob of the project's caches with the same content;
// NotFound if there is none. Protected caches share nothing with others.
func (s *Store) FindCache(ctx context.Context, project int64, protected bool, sha256 string, bytes int64) (Content, error) {
	rows, err := s.query(ctx, "SELECT place, bytes, sha256 FROM caches WHERE project = ? AND protected = ? AND sha256 = ? AND bytes = ? LIMIT 1",
		project, bit(protected), sha256, bytes)
	return first(rows, err, scanContent, "the content is not known")
}
