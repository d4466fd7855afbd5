package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// Run is a row of runs.
type Run struct {
	ID, Project, Number int64
	Flow                int64 // 0 for none
	Pipeline            int64
	Version             int64 // grows with each change of the run or its jobs
	Status              pipeline.Status
	Result              pipeline.Result
	Stages              []pipeline.Status
	Held                []pipeline.Event // they wait until the run has its slots
	Slots               []SlotKey        // that the run has while it is under way
	Source              pipeline.Trigger
	Ref, SHA, Actor     string
	Parent              int64 // 0 for none
	ParentPos           int   // of the trigger job in the parent
	ParentAttempt       int
	Key                 string // of what started it, unique; "" for none
	Note                string // why it was held back, skipped or canceled, in words
	Priority            int    // of its jobs in the queue; higher ones start first
	Protected           bool   // its ref is: protected runners take its jobs
	Created             time.Time
	Started, Finished   time.Time // zero if not yet
}

// Job is a row of jobs: the state of a job that is more than created.
type Job struct {
	Run     int64
	Pos     int
	Version int64
	pipeline.JobState
	AttemptID         int64  // of the last attempt that started
	Note              string // why the last attempt ended as it did, in words
	Started, Finished time.Time
}

// Attempt is a row of attempts. Its ID is the fence.
type Attempt struct {
	ID, Run           int64
	Pos, Attempt      int
	Session           int64
	State             AttemptState
	Digest            string // of the result, so that the same result again gets the same answer
	LogBytes          int64  // that are durable
	Started, Finished time.Time
}

// AttemptState is where an attempt is.
type AttemptState string

// The states of attempts.
const (
	AttemptOffered   AttemptState = "offered"   // given to a runner that has not confirmed it
	AttemptConfirmed AttemptState = "confirmed" // the runner says it has it
	AttemptEnded     AttemptState = "ended"
	AttemptLost      AttemptState = "lost"      // its session ended before it did
	AttemptUnstarted AttemptState = "unstarted" // lost before any runner confirmed it
)

var (
	runTable = table{name: "runs", key: []string{"id"},
		keep: []string{"project", "number", "flow", "pipeline", "slots", "source", "ref", "sha", "actor", "parent", "parent_pos", "parent_attempt", "start_key", "priority", "protected", "created_at"},
		columns: []string{"id", "project", "number", "flow", "pipeline", "version", "status", "result", "stages", "held", "slots", "source", "ref", "sha", "actor",
			"parent", "parent_pos", "parent_attempt", "start_key", "priority", "protected", "note", "created_at", "started_at", "finished_at"}}
	jobTable = table{name: "jobs", key: []string{"run", "pos"},
		columns: []string{"run", "pos", "version", "status", "attempt", "flags", "reason", "exit_code", "attempt_id", "note", "started_at", "finished_at"}}
	attemptTable = table{name: "attempts", key: []string{"id"}, keep: []string{"run", "pos", "attempt", "session", "log_bytes", "started_at"},
		columns: []string{"id", "run", "pos", "attempt", "session", "state", "digest", "log_bytes", "started_at", "finished_at"}}
)

// LockRuns returns runs by their ids, in that order, locked until the
// transaction ends. Runs that are not there are left out.
func (t *Tx) LockRuns(ctx context.Context, ids []int64) ([]Run, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := inList(ids)
	rows, err := t.queryPrepared(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE id IN "+in+" ORDER BY id"+t.forUpdate(), args...)
	return collect(rows, err, scanRun)
}

func scanRun(rows *sql.Rows) (Run, error) {
	var r Run
	var stages, held, slots string
	var created, started, finished int64
	var protected int
	err := rows.Scan(&r.ID, &r.Project, &r.Number, &r.Flow, &r.Pipeline, &r.Version, &r.Status, &r.Result, &stages, &held, &slots, &r.Source, &r.Ref, &r.SHA, &r.Actor,
		&r.Parent, &r.ParentPos, &r.ParentAttempt, &r.Key, &r.Priority, &protected, &r.Note, &created, &started, &finished)
	if err != nil {
		return r, err
	}
	r.Protected = protected != 0
	r.Created, r.Started, r.Finished = fromMillis(created), fromMillis(started), fromMillis(finished)
	for s := range strings.SplitSeq(stages, ",") {
		if s != "" {
			r.Stages = append(r.Stages, pipeline.Status(s))
		}
	}
	return r, errors.Join(fromJSON(held, &r.Held), fromJSON(slots, &r.Slots))
}

// PutRuns writes runs. What a run is made from does not change after the first
// time.
func (t *Tx) PutRuns(ctx context.Context, list []Run) error {
	rows := make([][]any, len(list))
	for i, r := range list {
		stages := make([]string, len(r.Stages))
		for k, s := range r.Stages {
			stages[k] = string(s)
		}
		held, err := toJSON(r.Held, len(r.Held) == 0)
		if err != nil {
			return err
		}
		slots, err := toJSON(r.Slots, len(r.Slots) == 0)
		if err != nil {
			return err
		}
		rows[i] = []any{r.ID, r.Project, r.Number, r.Flow, r.Pipeline, r.Version, string(r.Status), string(r.Result), strings.Join(stages, ","), held, slots, string(r.Source), r.Ref, r.SHA, r.Actor,
			r.Parent, r.ParentPos, r.ParentAttempt, r.Key, r.Priority, bit(r.Protected), r.Note, millis(r.Created), millis(r.Started), millis(r.Finished)}
	}
	return t.putMany(ctx, &runTable, rows)
}

// Flags of a job's row.
const (
	flagAllowFailure = 1 << iota
	flagAsked
)

// LockFreeRuns is [Tx.LockRuns] without waiting: runs that another transaction
// has locked are left out.
func (t *Tx) LockFreeRuns(ctx context.Context, ids []int64) ([]Run, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	lock := t.forUpdate()
	if lock != "" {
		lock += " SKIP LOCKED"
	}
	in, args := inList(ids)
	rows, err := t.queryPrepared(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE id IN "+in+" ORDER BY id"+lock, args...)
	return collect(rows, err, scanRun)
}

// Jobs returns the rows of a run's jobs with a version above since.
func (t *Tx) Jobs(ctx context.Context, run, since int64) ([]Job, error) {
	rows, err := t.queryPrepared(ctx, "SELECT "+strings.Join(jobTable.columns, ", ")+" FROM jobs WHERE run = ? AND version > ? ORDER BY pos", run, since)
	return collect(rows, err, scanJob)
}

func scanJob(rows *sql.Rows) (Job, error) {
	var j Job
	var flags, started, finished int64
	err := rows.Scan(&j.Run, &j.Pos, &j.Version, &j.Status, &j.Attempt, &flags, &j.Reason, &j.ExitCode, &j.AttemptID, &j.Note, &started, &finished)
	j.AllowFailure, j.Asked = flags&flagAllowFailure != 0, flags&flagAsked != 0
	j.Started, j.Finished = fromMillis(started), fromMillis(finished)
	return j, err
}

// PutJobs writes the rows of jobs.
func (t *Tx) PutJobs(ctx context.Context, list []Job) error {
	rows := make([][]any, len(list))
	for i, j := range list {
		flags := flagAllowFailure*bit(j.AllowFailure) | flagAsked*bit(j.Asked)
		rows[i] = []any{j.Run, j.Pos, j.Version, string(j.Status), j.Attempt, flags, string(j.Reason), j.ExitCode, j.AttemptID, j.Note, millis(j.Started), millis(j.Finished)}
	}
	return t.putMany(ctx, &jobTable, rows)
}

// Attempts returns attempts by their ids. Those that are not there are left out.
func (t *Tx) Attempts(ctx context.Context, ids []int64) ([]Attempt, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := inList(ids)
	rows, err := t.queryPrepared(ctx, "SELECT "+strings.Join(attemptTable.columns, ", ")+" FROM attempts WHERE id IN "+in, args...)
	return collect(rows, err, scanAttempt)
}

// OpenAttempts returns the attempts of a session that have not ended, locked
// until the transaction ends.
func (t *Tx) OpenAttempts(ctx context.Context, session int64) ([]Attempt, error) {
	rows, err := t.query(ctx, "SELECT "+strings.Join(attemptTable.columns, ", ")+" FROM attempts WHERE session = ? AND finished_at = 0 ORDER BY id"+t.forUpdate(), session)
	return collect(rows, err, scanAttempt)
}

// HeldAttempt is an attempt that a session should have, with what its runner has
// to know of the job.
type HeldAttempt struct {
	ID, Run, Session int64
	Pos, Attempt     int
	State            AttemptState
	Canceling        bool
}

// HeldAttempts returns what sessions should have. It locks nothing.
func (t *Tx) HeldAttempts(ctx context.Context, sessions []int64) ([]HeldAttempt, error) {
	if len(sessions) == 0 {
		return nil, nil
	}
	in, args := inList(sessions)
	rows, err := t.queryPrepared(ctx, `SELECT a.id, a.run, a.session, a.pos, a.attempt, a.state, j.status FROM attempts a JOIN jobs j ON j.run = a.run AND j.pos = a.pos
		WHERE a.finished_at = 0 AND a.session IN `+in+` ORDER BY a.id`, args...)
	return collect(rows, err, func(rows *sql.Rows) (HeldAttempt, error) {
		var a HeldAttempt
		var status pipeline.Status
		err := rows.Scan(&a.ID, &a.Run, &a.Session, &a.Pos, &a.Attempt, &a.State, &status)
		a.Canceling = status == pipeline.StatusCanceling
		return a, err
	})
}

// ConfirmAttempts notes that runners have attempts that they were offered.
func (t *Tx) ConfirmAttempts(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	in, args := inList(ids) // rows are locked in one order everywhere
	_, err := t.execPrepared(ctx, "UPDATE attempts SET state = 'confirmed' WHERE id IN (SELECT id FROM attempts WHERE state = 'offered' AND finished_at = 0 AND id IN "+in+" ORDER BY id"+t.forUpdate()+")", args...)
	return err
}

func scanAttempt(rows *sql.Rows) (Attempt, error) {
	var a Attempt
	var started, finished int64
	err := rows.Scan(&a.ID, &a.Run, &a.Pos, &a.Attempt, &a.Session, &a.State, &a.Digest, &a.LogBytes, &started, &finished)
	a.Started, a.Finished = fromMillis(started), fromMillis(finished)
	return a, err
}

// PutAttempts writes attempts.
func (t *Tx) PutAttempts(ctx context.Context, list []Attempt) error {
	rows := make([][]any, len(list))
	for i, a := range list {
		rows[i] = []any{a.ID, a.Run, a.Pos, a.Attempt, a.Session, string(a.State), a.Digest, a.LogBytes, millis(a.Started), millis(a.Finished)}
	}
	return t.putMany(ctx, &attemptTable, rows)
}

// TakeNumbers returns the first of n new run numbers of a project, whose row is
// locked until the transaction ends. NotFound if there is no such project.
func (t *Tx) TakeNumbers(ctx context.Context, project int64, n int) (int64, error) {
	var after int64
	row := t.rowPrepared(ctx, "UPDATE projects SET next_number = next_number + ? WHERE id = ? RETURNING next_number", n, project)
	switch err := row.Scan(&after); {
	case errors.Is(err, sql.ErrNoRows):
		return 0, errs.E(errs.NotFound, "no project %d", project)
	case err != nil:
		return 0, storageError(err)
	}
	return after - int64(n), nil
}

// RunOfKey returns the id of the run that a key started, 0 if there is none.
func (t *Tx) RunOfKey(ctx context.Context, key string) (int64, error) {
	return t.number(ctx, "SELECT id FROM runs WHERE start_key = ?", key)
}

// RunWithKey returns the run that was started with a key.
func (s *Store) RunWithKey(ctx context.Context, key string) (Run, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE start_key = ?", key)
	return first(rows, err, scanRun, "no run has the key %s", key)
}

// PeekRun returns a run without locking it.
func (t *Tx) PeekRun(ctx context.Context, id int64) (Run, error) {
	rows, err := t.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE id = ?", id)
	return first(rows, err, scanRun, "no run %d", id)
}

// OpenChildren returns the runs that jobs of a run started and that have not
// ended, the first n by their ids. It locks nothing.
func (t *Tx) OpenChildren(ctx context.Context, run int64, n int) ([]Run, error) {
	rows, err := t.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE parent = ? AND parent > 0 AND finished_at = 0 ORDER BY id LIMIT ?", run, n)
	return collect(rows, err, scanRun)
}

// OlderOpen returns the runs without a parent that have not ended, of the flow
// and ref of a run but of another commit, made since a time.
func (t *Tx) OlderOpen(ctx context.Context, of Run, since time.Time) ([]Run, error) {
	rows, err := t.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+` FROM runs
		WHERE project = ? AND ref = ? AND id < ? AND flow = ? AND sha <> ? AND parent = 0 AND finished_at = 0 AND created_at >= ? ORDER BY id LIMIT 1000`,
		of.Project, of.Ref, of.ID, of.Flow, of.SHA, millis(since))
	return collect(rows, err, scanRun)
}

// number reads one number, 0 if there is no row.
func (t *Tx) number(ctx context.Context, text string, args ...any) (int64, error) {
	var n sql.NullInt64
	err := t.rowPrepared(ctx, text, args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return n.Int64, storageError(err)
}

// toJSON is the form of values in a column of text; nothing is "".
func toJSON(v any, empty bool) (string, error) {
	if empty {
		return "", nil
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func fromJSON(text string, into any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
