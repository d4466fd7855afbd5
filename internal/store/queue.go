package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"refline/internal/errs"
)

// Queued is a row of the queue: a pending job that waits for a runner.
type Queued struct {
	Run      int64
	Pos      int
	Lane     int64
	Priority int
	Rank     int64
	Project  int64
}

var queueTable = table{name: "queue", key: []string{"run", "pos"},
	columns: []string{"run", "pos", "lane", "priority", "rank", "project"}}

// Enqueue puts jobs into the queue.
func (t *Tx) Enqueue(ctx context.Context, list []Queued) error {
	rows := make([][]any, len(list))
	for i, q := range list {
		rows[i] = []any{q.Run, q.Pos, q.Lane, q.Priority, q.Rank, q.Project}
	}
	return t.putMany(ctx, &queueTable, rows)
}

// Dequeue takes jobs out of the queue, whether they are in it or not.
func (t *Tx) Dequeue(ctx context.Context, run int64, positions []int) error {
	ids := make([]int64, len(positions))
	for i, pos := range positions {
		ids[i] = int64(pos)
	}
	if len(ids) == 0 {
		return nil
	}
	in, args := inList(ids, run)
	_, err := t.execPrepared(ctx, "DELETE FROM queue WHERE run = ? AND pos IN "+in, args...)
	return err
}

// Heads returns the first n jobs of the lanes together, those of higher
// priority first, then by rank. It locks nothing: whether a job is still to be
// had is decided under the lock of its run.
func (t *Tx) Heads(ctx context.Context, lanes []int64, n int) ([]Queued, error) {
	if len(lanes) == 0 || n <= 0 {
		return nil, nil
	}
	const columns = "run, pos, lane, priority, rank, project"
	var b strings.Builder
	var args []any
	for i, lane := range lanes {
		if i > 0 {
			b.WriteString(" UNION ALL ")
		}
		b.WriteString("SELECT * FROM (SELECT " + columns + " FROM queue WHERE lane = ? ORDER BY priority DESC, rank, run, pos LIMIT ?) AS q")
		args = append(args, lane, n)
	}
	text := "SELECT " + columns + " FROM (" + b.String() + ") AS heads ORDER BY priority DESC, rank, run, pos LIMIT ?"
	rows, err := t.queryPrepared(ctx, text, append(args, n)...)
	return collect(rows, err, func(rows *sql.Rows) (Queued, error) {
		var q Queued
		err := rows.Scan(&q.Run, &q.Pos, &q.Lane, &q.Priority, &q.Rank, &q.Project)
		return q, err
	})
}

// NextRank returns the rank that the next job of a project gets in a lane: behind
// the project's own, but not behind those of others that came in a burst.
func (t *Tx) NextRank(ctx context.Context, project, lane int64, priority int) (int64, error) {
	var lowest, own int64
	row := t.rowPrepared(ctx, `SELECT
		(SELECT COALESCE(MIN(rank), 0) FROM queue WHERE lane = ? AND priority = ?),
		(SELECT COALESCE(MAX(rank), 0) FROM queue WHERE project = ? AND lane = ? AND priority = ?)`, lane, priority, project, lane, priority)
	if err := row.Scan(&lowest, &own); err != nil {
		return 0, storageError(err)
	}
	return max(lowest, own) + 1, nil
}

// Lane is a set of tags that jobs ask for; the queue has one list for each.
type Lane struct {
	ID        int64
	Tags      []string // sorted
	Protected bool     // of a protected ref
}

// Lanes returns all lanes.
func (t *Tx) Lanes(ctx context.Context) ([]Lane, error) {
	rows, err := t.query(ctx, "SELECT id, tags, protected FROM lanes ORDER BY id")
	return collect(rows, err, func(rows *sql.Rows) (Lane, error) {
		var l Lane
		var tags string
		var protected int
		err := rows.Scan(&l.ID, &tags, &protected)
		l.Tags, l.Protected = splitLines(tags), protected != 0
		return l, err
	})
}

// LaneOf returns the lane of tags, which [Tx.AddLane] keeps. Its id follows from
// them, so that servers agree on it without asking each other.
func LaneOf(tags []string, protected bool) Lane {
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	sum := sha256.Sum256(fmt.Appendf(nil, "%v\x00%s", protected, strings.Join(tags, "\n")))
	return Lane{ID: int64(binary.BigEndian.Uint64(sum[:]) >> 1), Tags: tags, Protected: protected}
}

// AddLane keeps a lane, whether it is there or not.
func (t *Tx) AddLane(ctx context.Context, l Lane) error {
	_, err := t.exec(ctx, "INSERT INTO lanes (id, tags, protected) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", l.ID, strings.Join(l.Tags, "\n"), bit(l.Protected))
	return err
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// PutPipeline keeps a compiled pipeline once, by its sum, and returns its id,
// which is the given one if it is new.
func (t *Tx) PutPipeline(ctx context.Context, id int64, sha256 string, body []byte) (int64, error) {
	row := t.rowPrepared(ctx, `INSERT INTO pipelines (id, sha256, body) VALUES (?, ?, ?)
		ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256 RETURNING id`, id, sha256, body)
	var kept int64
	return kept, storageError(row.Scan(&kept))
}

// Pipeline returns the body of a compiled pipeline.
func (t *Tx) Pipeline(ctx context.Context, id int64) ([]byte, error) {
	var body []byte
	err := t.tx.QueryRowContext(ctx, t.s.rebind("SELECT body FROM pipelines WHERE id = ?"), id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.E(errs.NotFound, "no pipeline %d", id)
	}
	return body, storageError(err)
}
