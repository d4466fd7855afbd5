package runner

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"refline/internal/api"
	"refline/internal/engine"
	"refline/internal/errs"
)

// open begins a session, or goes on with that of the runner that was in this folder
// before, and takes up what that one left.
func (r *runner) open(ctx context.Context, left []journal) error {
	req := r.sessionRequest()
	if note := readSession(r.o.Dir); note.Server == r.o.URL {
		req.Resume = note.Session
	}
	for _, j := range left {
		req.Have = append(req.Have, api.HeldJob{Fence: j.Fence, Phase: j.Phase})
	}
	s, err := r.begin(ctx, req)
	if err != nil {
		return err
	}
	if err := r.noteSession(); err != nil {
		return err
	}
	for _, j := range left {
		if !s.Resumed || j.Session != s.Session {
			r.o.Notice(fmt.Sprintf("attempt %d of run %d was lost: its lease has ended", j.Fence, j.Run))
			r.forget(j.Fence)
			continue
		}
		r.adopt(j)
	}
	return nil
}

func (r *runner) sessionRequest() api.RunnerSessionRequest {
	return api.RunnerSessionRequest{
		Protocol: api.RunnerProtocol, Name: r.o.Name, Version: r.o.Version, System: system(),
		Tags: r.o.Tags, Executors: r.kinds.Names(), Slots: r.o.Slots,
	}
}

// begin asks for a session until the server answers.
func (r *runner) begin(ctx context.Context, req api.RunnerSessionRequest) (s api.RunnerSession, err error) {
	noted := false
	err = r.retry(ctx, func() error {
		s, err = r.client.OpenSession(ctx, req)
		if err != nil && mayPass(err) && !noted && ctx.Err() == nil {
			noted = true
			r.o.Notice(fmt.Sprintf("waiting for the server: %v", err))
		}
		return err
	})
	if err != nil {
		return s, fmt.Errorf("register the runner at %s: %w", r.o.URL, err)
	}
	if s.Protocol < 1 || s.Protocol > api.RunnerProtocol {
		return s, errs.E(errs.Invalid, "register the runner at %s: the server wants protocol %d, this program speaks %d", r.o.URL, s.Protocol, api.RunnerProtocol)
	}
	r.mu.Lock()
	r.session = s.Session
	r.self = engine.Runner{ID: strconv.FormatInt(s.Runner, 10), Description: r.o.Name, Tags: s.Tags, Version: r.o.Version}
	r.mu.Unlock()
	r.lease, r.lastSeen = time.Duration(s.Lease)*time.Second, time.Now()
	return s, nil
}

// noteSession writes down the session, with which a runner in this folder goes on.
func (r *runner) noteSession() error {
	err := writeJSON(r.folder(sessionFile), sessionNote{Server: r.o.URL, Session: r.session})
	r.unnoted = err != nil
	return err
}

// reopen begins another session after the server has ended ours: our attempts are
// lost.
func (r *runner) reopen(ctx context.Context) error {
	r.loseAll("the lease has ended")
	if _, err := r.begin(ctx, r.sessionRequest()); err != nil {
		return err
	}
	if err := r.noteSession(); err != nil { // such as on a full disk: a later poll tries again
		r.o.Notice(fmt.Sprintf("the session is not kept on disk: %v", err))
	}
	return nil
}

// loseAll ends all attempts; their results do not count any more.
func (r *runner) loseAll(why string) {
	r.mu.Lock()
	list := make([]*attempt, 0, len(r.attempts))
	for _, a := range r.attempts {
		if !a.away {
			list = append(list, a)
		}
	}
	r.mu.Unlock()
	for _, a := range list {
		r.o.Notice(fmt.Sprintf("attempt %d of run %d is ended: %s", a.fence, a.journal.Run, why))
		a.lose()
	}
}
