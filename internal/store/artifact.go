package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"refline/internal/errs"
)

// Artifacts is a row of artifacts: what an attempt keeps.
type Artifacts struct {
	Attempt, Project, Run int64
	Pos                   int
	Name                  string
	Content
	Files     int // without reports
	FileBytes int64
	Reports   map[string][]string // kind → paths
	Keep      bool                // it does not expire
	Expires   time.Time           // zero for never
	Created   time.Time
}

const artifactColumns = "attempt, project, run, pos, name, place, bytes, sha256, files, file_bytes, reports, keep, expires_at, created_at"

// PutArtifacts writes the row of artifacts whose blob is in the store. The blob
// is one that [Tx.BeginBlob] announced, or that another row names. The same
// again changes nothing. Conflict if the blob is being removed.
func (t *Tx) PutArtifacts(ctx context.Context, a Artifacts) error {
	before, err := t.artifacts(ctx, "attempt = ?", a.Attempt)
	if err != nil {
		return err
	}
	if len(before) > 0 && before[0].Place == a.Place {
		return nil
	}
	if err := t.claim(ctx, a.Place); err != nil {
		return err
	}
	reports := ""
	if len(a.Reports) > 0 {
		text, err := json.Marshal(a.Reports)
		if err != nil {
			return err
		}
		reports = string(text)
	}
	if err := t.removeArtifacts(ctx, before, a.Created); err != nil {
		return err
	}
	_, err = t.exec(ctx, "INSERT INTO artifacts ("+artifactColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		a.Attempt, a.Project, a.Run, a.Pos, a.Name, a.Place, a.Bytes, a.SHA256, a.Files, a.FileBytes, reports, bit(a.Keep), millis(a.Expires), millis(a.Created))
	return err
}

func scanArtifacts(rows *sql.Rows) (a Artifacts, err error) {
	var reports string
	var keep int
	var expires, created int64
	err = rows.Scan(&a.Attempt, &a.Project, &a.Run, &a.Pos, &a.Name, &a.Place, &a.Bytes, &a.SHA256, &a.Files, &a.FileBytes, &reports, &keep, &expires, &created)
	if err == nil && reports != "" {
		err = json.Unmarshal([]byte(reports), &a.Reports)
	}
	a.Keep, a.Expires, a.Created = keep != 0, fromMillis(expires), fromMillis(created)
	return a, err
}

func (t *Tx) artifacts(ctx context.Context, where string, args ...any) ([]Artifacts, error) {
	rows, err := t.query(ctx, "SELECT "+artifactColumns+" FROM artifacts WHERE "+where+t.forUpdate(), args...)
	return collect(rows, err, scanArtifacts)
}

// removeArtifacts removes rows, and their blobs later.
func (t *Tx) removeArtifacts(ctx context.Context, list []Artifacts, now time.Time) error {
	if len(list) == 0 {
		return nil
	}
	ids, contents := make([]int64, len(list)), make([]Content, len(list))
	for i, a := range list {
		ids[i], contents[i] = a.Attempt, a.Content
	}
	if _, err := t.exec(ctx, "DELETE FROM artifacts WHERE attempt IN "+idList(ids)); err != nil {
		return err
	}
	return t.drop(ctx, BlobArtifact, contents, now)
}

// ExpireArtifacts removes up to n rows that have expired and returns how many
// there were. Their blobs go after [BlobDelay].
func (t *Tx) ExpireArtifacts(ctx context.Context, now time.Time, n int) (int, error) {
	list, err := t.artifacts(ctx, "expires_at > 0 AND expires_at <= ? AND keep = 0 ORDER BY expires_at LIMIT ?", millis(now), n)
	if err != nil {
		return 0, err
	}
	return len(list), t.removeArtifacts(ctx, list, now)
}

// KeepArtifacts sets whether the artifacts of a run expire; pos below 0 means all
// of its jobs.
func (t *Tx) KeepArtifacts(ctx context.Context, run int64, pos int, keep bool) error {
	_, err := t.exec(ctx, "UPDATE artifacts SET keep = ? WHERE run = ? AND (? < 0 OR pos = ?)", bit(keep), run, pos, pos)
	return err
}

// RemoveRunBlobs removes the rows of artifacts and logs of runs.
func (t *Tx) RemoveRunBlobs(ctx context.Context, runs []int64, now time.Time) error {
	if len(runs) == 0 {
		return nil
	}
	list, err := t.artifacts(ctx, "run IN "+idList(runs))
	if err == nil {
		err = t.removeArtifacts(ctx, list, now)
	}
	if err != nil {
		return err
	}
	rows, err := t.query(ctx, "SELECT "+logColumns+" FROM logs WHERE run IN "+idList(runs)+t.forUpdate())
	logs, err := collect(rows, err, scanLog)
	if err != nil {
		return err
	}
	// Each run has a place, also for what has no row: logs that are in the folder of a
	// server, and blobs that were written before their row.
	bytes := map[int64]int64{}
	for _, l := range logs {
		bytes[l.Run] += l.StoredBytes
	}
	contents := make([]Content, len(runs))
	for i, run := range runs {
		contents[i] = Content{Place: RunLogPlace(run), Bytes: bytes[run]}
	}
	if _, err := t.exec(ctx, "DELETE FROM logs WHERE run IN "+idList(runs)); err != nil {
		return err
	}
	return t.drop(ctx, BlobLog, contents, now)
}

// Artifacts returns what an attempt keeps; NotFound if that is nothing.
func (s *Store) Artifacts(ctx context.Context, attempt int64) (Artifacts, error) {
	rows, err := s.query(ctx, "SELECT "+artifactColumns+" FROM artifacts WHERE attempt = ?", attempt)
	return first(rows, err, scanArtifacts, "attempt %d keeps no artifacts", attempt)
}

// RunArtifacts returns what the attempts of a run keep, by job and the newest of
// each first.
func (s *Store) RunArtifacts(ctx context.Context, run int64) ([]Artifacts, error) {
	rows, err := s.query(ctx, "SELECT "+artifactColumns+" FROM artifacts WHERE run = ? ORDER BY pos, attempt DESC", run)
	return collect(rows, err, scanArtifacts)
}

// FindArtifacts returns a blob of the project with the same content, so that it
// need not be sent again; NotFound if there is none. Projects do not share blobs:
// who knows a sum need not have the content.
func (s *Store) FindArtifacts(ctx context.Context, project int64, sha256 string, bytes int64) (Content, error) {
	rows, err := s.query(ctx, "SELECT place, bytes, sha256 FROM artifacts WHERE project = ? AND sha256 = ? AND bytes = ? LIMIT 1", project, sha256, bytes)
	return first(rows, err, scanContent, "the content is not known")
}

func scanContent(rows *sql.Rows) (c Content, err error) {
	err = rows.Scan(&c.Place, &c.Bytes, &c.SHA256)
	return c, err
}

// Log is a row of logs: one that is complete and in the blob store.
type Log struct {
	Attempt, Run int64
	Place        string // the prefix of its blobs
	Bytes, Lines int64
	StoredBytes  int64 // compressed
	SHA256       string
	Created      time.Time
}

const logColumns = "attempt, run, place, bytes, stored_bytes, lines, sha256, created_at"

var logTable = table{name: "logs", key: []string{"attempt"}, columns: strings.Split(logColumns, ", ")}

// PutLog writes the row of a log whose blobs are in the store. They need not be
// announced: the place of a log is always the same.
func (t *Tx) PutLog(ctx context.Context, l Log) error {
	if _, err := t.exec(ctx, "DELETE FROM blob_removals WHERE place = ? AND taken = 0", l.Place); err != nil {
		return err
	}
	rows, err := t.query(ctx, "SELECT 1 FROM blob_removals WHERE place IN (?, ?)", l.Place, RunLogPlace(l.Run))
	if taken, err := collect(rows, err, scanOne); err != nil || len(taken) > 0 {
		return cmp.Or(err, errs.E(errs.Conflict, "the log of attempt %d is being removed", l.Attempt))
	}
	return t.putMany(ctx, &logTable, [][]any{{l.Attempt, l.Run, l.Place, l.Bytes, l.StoredBytes, l.Lines, l.SHA256, millis(l.Created)}})
}

func scanLog(rows *sql.Rows) (l Log, err error) {
	var created int64
	err = rows.Scan(&l.Attempt, &l.Run, &l.Place, &l.Bytes, &l.StoredBytes, &l.Lines, &l.SHA256, &created)
	l.Created = fromMillis(created)
	return l, err
}

// Log returns the log of an attempt if it is in the blob store, else NotFound.
func (s *Store) Log(ctx context.Context, attempt int64) (Log, error) {
	rows, err := s.query(ctx, "SELECT "+logColumns+" FROM logs WHERE attempt = ?", attempt)
	return first(rows, err, scanLog, "the log of attempt %d is not in the blob store", attempt)
}
