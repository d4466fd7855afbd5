package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

func logID(a store.Attempt) logfile.ID { return logfile.ID{Run: a.Run, Attempt: a.ID} }

// logSync is when a log was last made durable.
type logSync struct {
	mu      sync.Mutex
	at      time.Time
	durable int64
}

// syncEach is how often a log that grows is made durable.
const syncEach = time.Second

// appendLog takes bytes of a log at their offset.
func (a *RunnerAPI) appendLog(c *runnerCall) (any, error) {
	offset, err := number(c, "offset")
	if err != nil {
		return nil, err
	}
	data, err := c.body(api.MaxLogChunk)
	if err != nil {
		return nil, err
	}
	l, err := a.lease(c)
	if err != nil {
		return nil, err
	}
	length, err := a.addLog(c.ctx, l, offset, data)
	if err != nil {
		return nil, err
	}
	durable, err := a.syncLog(l)
	return api.LogAnswer{Offset: length, Durable: durable}, err
}

// addLog masks bytes once more and adds them.
func (a *RunnerAPI) addLog(ctx context.Context, l store.Lease, offset int64, data []byte) (int64, error) {
	m, err := a.masks.of(ctx, l.ID, a.Dispatch)
	if err != nil {
		return 0, err
	}
	before, data := m.log(offset, data)
	if before != nil {
		if err := a.Logs.Overwrite(logID(l.Attempt), offset-int64(len(before)), before); err != nil {
			return 0, err
		}
	}
	length, err := a.Logs.Append(logID(l.Attempt), offset, data)
	if errs.Is(err, errs.Conflict) {
		return length, runnerProblem(errs.Conflict, api.CodeGap, length, "%v", err)
	}
	if err == nil && a.Changed != nil {
		a.Changed(l.Run, l.ID)
	}
	return length, err
}

// syncLog makes a log durable once a second and returns how much of it is.
func (a *RunnerAPI) syncLog(l store.Lease) (int64, error) {
	v, _ := a.synced.LoadOrStore(l.ID, &logSync{})
	s := v.(*logSync)
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < syncEach {
		return s.durable, nil
	}
	durable, err := a.Logs.Sync(logID(l.Attempt))
	if err == nil {
		s.at, s.durable = time.Now(), durable
	}
	return s.durable, err
}

// clearLog throws away a log that may hold a secret.
func (a *RunnerAPI) clearLog(c *runnerCall) (any, error) {
	l, err := a.lease(c)
	if err != nil {
		return nil, err
	}
	a.synced.Delete(l.ID)
	return struct{}{}, a.Logs.Clear(logID(l.Attempt))
}

// appendEvents takes lines of JSON, the first of which has the number seq.
func (a *RunnerAPI) appendEvents(c *runnerCall) (any, error) {
	seq, err := number(c, "seq")
	if err != nil {
		return nil, err
	}
	body, err := c.body(api.MaxEventChunk)
	if err != nil {
		return nil, err
	}
	l, err := a.lease(c)
	if err != nil {
		return nil, err
	}
	next, err := a.Store.NextEvent(c.ctx, l.ID)
	if err != nil {
		return nil, err
	}
	if seq > next && next < api.MaxEvents {
		return nil, runnerProblem(errs.Conflict, api.CodeGap, next, "attempt %d has %d events; event %d leaves a gap", l.ID, next, seq)
	}
	m, err := a.masks.of(c.ctx, l.ID, a.Dispatch)
	if err != nil {
		return nil, err
	}
	var list []store.AttemptEvent
	for line := range bytes.Lines(body) {
		if seq >= next && seq < api.MaxEvents {
			text, err := readEvent(m.bytes(line))
			if err != nil {
				return nil, errs.E(errs.Invalid, "event %d of attempt %d: %w", seq, l.ID, err)
			}
			list = append(list, store.AttemptEvent{Attempt: l.ID, Seq: seq, Body: text})
		}
		seq++
	}
	if len(list) > 0 {
		if err := a.Store.Update(c.ctx, func(tx *store.Tx) error { return tx.AddEvents(c.ctx, list) }); err != nil {
			return nil, err
		}
		if a.Changed != nil {
			a.Changed(l.Run, l.ID)
		}
	}
	return api.EventsAnswer{Seq: max(seq, next)}, nil
}

// readEvent checks a line and returns it as it is stored.
func readEvent(line []byte) (string, error) {
	var e api.JobEvent
	if err := json.Unmarshal(line, &e); err != nil {
		return "", err
	}
	switch e.Kind {
	case pipeline.ReportStep, pipeline.ReportJobNote:
	default:
		return "", fmt.Errorf("unknown kind %q", e.Kind)
	}
	text, err := json.Marshal(e)
	return string(text), err
}

func number(c *runnerCall, name string) (int64, error) {
	n, err := strconv.ParseInt(c.r.URL.Query().Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0, errs.E(errs.Invalid, "%s=%q is not a number from 0 on", name, c.r.URL.Query().Get(name))
	}
	return n, nil
}

// finish takes a result with the rest of the log, and answers like a poll.
func (a *RunnerAPI) finish(c *runnerCall) (any, error) {
	var req api.FinishRequest
	if err := c.decode(&req, api.MaxRunnerBody); err != nil {
		return nil, err
	}
	l, err := a.attempt(c)
	if err != nil {
		return nil, err
	}
	if req.Poll.Session != l.Session {
		return nil, lostLease(l.ID)
	}
	if c.who.Attempt != 0 {
		req.Poll.Free = 0
	}
	if req.Result.Error != nil {
		m, err := a.masks.of(c.ctx, l.ID, a.Dispatch)
		if err != nil {
			return nil, err
		}
		req.Result.Error.Text = string(m.bytes([]byte(req.Result.Error.Text)))
	}
	defer a.masks.forget(l.ID)
	if l.Open {
		if err := a.endLog(c.ctx, l, req.Log); err != nil {
			return nil, err
		}
	}
	return a.end(c, l, req)
}

// endLog adds the rest of a log and makes it durable, before the result counts.
func (a *RunnerAPI) endLog(ctx context.Context, l store.Lease, tail api.LogTail) error {
	if len(tail.Data) > api.MaxLogTail {
		return errs.E(errs.Invalid, "the rest of the log has more than %d bytes", api.MaxLogTail)
	}
	if tail.Clear {
		if err := a.Logs.Clear(logID(l.Attempt)); err != nil {
			return err
		}
	}
	if _, err := a.addLog(ctx, l, tail.Offset, tail.Data); err != nil {
		return err
	}
	a.synced.Delete(l.ID)
	return a.Logs.Finish(logID(l.Attempt))
}

// end hands a result to the scheduler with what it reports, and polls in the same
// turn: the slot that it frees takes the next job.
func (a *RunnerAPI) end(c *runnerCall, l store.Lease, req api.FinishRequest) (any, error) {
	ctx := c.ctx
	r := req.Result
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	result := scheduler.Result{Status: r.Status, Reason: r.Reason, ExitCode: r.ExitCode, Digest: hex.EncodeToString(sum[:])}
	var record func(context.Context, *store.Tx) error
	if a.Record != nil && l.Open {
		if record, err = a.Record(ctx, l, r); err != nil {
			return nil, err
		}
	}
	if worthKeeping(r) || record != nil {
		result.Report = func(ctx context.Context, tx *store.Tx) error {
			if record != nil {
				if err := record(ctx, tx); err != nil {
					return err
				}
			}
			return tx.PutResult(ctx, store.AttemptResult{Attempt: l.ID, Run: l.Run, Body: string(body)})
		}
	}
	a.full(&req.Poll)
	answer, err := a.Scheduler.FinishAndPoll(ctx, l.Session, l.ID, result, req.Poll.Free, haveOf(req.Poll))
	if errs.Is(err, errs.Conflict) || errs.Is(err, errs.NotFound) {
		return nil, lostLease(l.ID)
	}
	if err == nil && c.who.Attempt != 0 {
		err = a.endClaim(c.ctx, l)
	}
	return wireAnswer(answer), err
}

// worthKeeping reports whether a result says more than what the job's row has.
func worthKeeping(r api.JobResult) bool {
	return r.Coverage != nil || len(r.Dotenv) > 0 || r.Artifacts || r.LogCut || r.LogClear || r.Error != nil
}
