package runner

import (
	"context"
	"fmt"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
)

// poll is one request and its answer.
type poll struct {
	cancel  context.CancelFunc
	session int64 // that it was sent in
	free    int   // that it asked for
	answer  api.PollAnswer
	err     error
}

// pollLoop keeps a poll standing. When what the runner has changes, a second one
// replaces it: the server then answers the first at once, and no connection is
// closed. The error is one that another try does not mend.
func (r *runner) pollLoop(ctx context.Context) error {
	results := make(chan *poll)
	var standing []*poll // oldest first
	again, wait := true, backoff{}
	defer func() {
		for _, p := range standing {
			p.cancel()
		}
		for range standing {
			<-results
		}
	}()
	for {
		if len(standing) == 0 || again && len(standing) == 1 {
			if !again && r.ending.Load() > 0 {
				r.awaitChange(ctx) // the answer to a result has ended the poll before
			}
			again = false
			standing = append(standing, r.startPoll(ctx, results))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.kick:
			again = true
		case p := <-results:
			if len(standing) == 2 && standing[1] == p { // overtaken: the older one is out of date
				standing[0].cancel()
			}
			standing = without(standing, p)
			p.cancel()
			if err := r.takePoll(ctx, p, &wait); err != nil {
				return err
			}
		}
	}
}

// awaitChange waits a moment for what is about to change.
func (r *runner) awaitChange(ctx context.Context) {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.kick:
	case <-timer.C:
	}
}

func without(list []*poll, p *poll) []*poll {
	var kept []*poll
	for _, other := range list {
		if other != p {
			kept = append(kept, other)
		}
	}
	return kept
}

func (r *runner) startPoll(ctx context.Context, results chan<- *poll) *poll {
	ctx, cancel := context.WithCancel(ctx)
	req := r.has()
	p := &poll{cancel: cancel, session: req.Session, free: req.Free}
	go func() {
		p.answer, p.err = r.client.Poll(ctx, req)
		if p.err != nil && ctx.Err() != nil {
			p.err = errOvertaken
		}
		results <- p
	}()
	return p
}

var errOvertaken = errs.E(errs.Unavailable, "the poll was given up")

// takePoll does what an answer says, and waits a little if that is nothing new.
func (r *runner) takePoll(ctx context.Context, p *poll, wait *backoff) error {
	switch {
	case p.err == nil:
		r.lastSeen = time.Now()
		if r.unnoted {
			_ = r.noteSession() // it was noticed when it failed first
		}
		if r.handle(p.answer, p.free) || len(p.answer.Jobs)+len(p.answer.Cancel)+len(p.answer.Gone) == 0 {
			wait.wait = 0
			return nil
		}
		wait.wait = min(wait.wait, 200*time.Millisecond)
		wait.sleep(ctx) // such as a job that ends at this moment
		return nil
	case p.err == errOvertaken: //nolint:errorlint // the very value
		return nil
	case api.ProblemCode(p.err) == api.CodeSession && p.session != r.session:
		return nil // the other poll got the answer first, and there is another session by now
	case api.ProblemCode(p.err) == api.CodeSession:
		if r.one && r.finishing() {
			wait.sleep(ctx) // the session ends with the result, whose answer is on its way
			return nil
		}
		if r.one {
			r.loseAll("the lease has ended")
			return errLost
		}
		return r.reopen(ctx)
	case !mayPass(p.err):
		return fmt.Errorf("poll %s: %w", r.o.URL, p.err)
	}
	if limit := max(r.o.Unreachable, r.lease); time.Since(r.lastSeen) > limit {
		r.lastSeen = time.Now()
		r.loseAll(fmt.Sprintf("no answer of the server for %s: %v", limit.Round(time.Second), p.err))
	}
	wait.sleep(ctx)
	return nil
}

// has says what the runner has now.
func (r *runner) has() api.PollRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hasLocked()
}

// probeEach is how often a runner that drains asks whether it still does.
const probeEach = 5 * time.Second

func (r *runner) hasLocked() api.PollRequest {
	req := api.PollRequest{Session: r.session}
	for fence, a := range r.attempts {
		if a.journal.Session == r.session && !a.away {
			req.Have = append(req.Have, api.HeldJob{Fence: fence, Phase: a.phase, Stopping: a.stopping})
		}
	}
	if !r.stopping && (!r.draining || r.probing) {
		req.Free = max(r.o.Slots-len(r.attempts), 0)
	} else if r.draining {
		req.HoldMS = int(probeEach / time.Millisecond)
	}
	return req
}

// handle does what the answer to a poll with so many free slots says. It reports
// whether anything of it was new.
func (r *runner) handle(answer api.PollAnswer, free int) bool {
	fresh := false
	for _, j := range answer.Jobs {
		fresh = r.accept(j) || fresh
	}
	for _, fence := range answer.Cancel {
		if a := r.find(fence); a != nil && a.stop() {
			fresh = true
		}
	}
	for _, fence := range answer.Gone {
		if a := r.find(fence); a != nil && !a.finishing() {
			if !a.handOver() {
				a.lose()
			}
			fresh = true
		}
	}
	for _, w := range answer.Warm {
		fresh = r.prepare(prepared{url: w.URL, commit: w.Commit}) || fresh
	}
	r.setDraining(answer.Drain, free > 0)
	return fresh
}

// setDraining notes whether the server gives this runner jobs. It says so only to
// one that would take some, so that a runner which drains asks now and then.
func (r *runner) setDraining(drain, asked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !asked {
		r.probing = r.draining
		return
	}
	switch {
	case drain && !r.draining:
		r.o.Notice("the server gives this runner no more jobs")
	case !drain && r.draining:
		r.o.Notice("the server gives this runner jobs again")
	}
	r.draining, r.probing = drain, false
}

// finishing reports whether all attempts have a result that is being sent.
func (r *runner) finishing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.attempts {
		if a.phase != api.PhaseFinishing {
			return false
		}
	}
	return true
}

func (r *runner) find(fence int64) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts[fence]
}
