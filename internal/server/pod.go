package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

// launchSpec says what a pod is made with. The attempt is the caller's.
func (a *RunnerAPI) launchSpec(c *runnerCall) (any, error) {
	l, err := a.lease(c)
	if err != nil {
		return nil, err
	}
	return a.Dispatch.Launch(c.ctx, l.ID)
}

// mostUID bounds what names a pod.
const mostUID = 128

// launched notes which pod may claim an attempt of the caller.
func (a *RunnerAPI) launched(c *runnerCall) (any, error) {
	var req api.LaunchedRequest
	if err := c.decode(&req, api.MaxRunnerBody); err != nil {
		return nil, err
	}
	if req.ID == "" || len(req.ID) > mostUID {
		return nil, errs.E(errs.Invalid, "%q is not the UID of a pod", req.ID)
	}
	l, err := a.lease(c)
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.Store.Update(c.ctx, func(tx *store.Tx) error {
		return tx.PutPod(c.ctx, store.Pod{Attempt: l.ID, Runner: l.Runner, UID: req.ID, Created: time.Now()})
	})
}

// maxClaim bounds the request of a pod, which nobody has vouched for yet.
const maxClaim = 64 << 10

// claim exchanges the token that the cluster gave a pod for that of the attempt which
// the pod was made for. The attempt is the pod's then: its poll is the lease.
func (a *RunnerAPI) claim(c *runnerCall) (any, error) {
	var req api.ClaimRequest
	if err := c.decode(&req, maxClaim); err != nil {
		return nil, err
	}
	if a.AttemptToken == nil {
		return nil, errs.E(errs.Invalid, "this server runs no jobs in pods")
	}
	pod, err := a.claimant(c.ctx, req)
	if err != nil {
		return nil, err
	}
	l, err := a.Store.Lease(c.ctx, req.Fence)
	if err != nil || l.Runner != pod.Runner || !l.Open {
		return nil, lostLease(req.Fence)
	}
	if pod.Agent == 0 {
		if pod.Agent, err = a.move(c.ctx, l, pod); err != nil {
			return nil, err
		}
	}
	token, err := a.AttemptToken(c.ctx, pod.Runner, req.Fence)
	if err != nil {
		return nil, err
	}
	out := api.Claim{Token: token, Session: pod.Agent, Lease: a.leaseSeconds(), Run: l.Run, Runner: pod.Runner}
	if r, err := a.Store.Runner(c.ctx, pod.Runner); err == nil {
		out.Name, out.Tags = r.Name, r.Tags
	}
	return out, nil
}

// claimant checks that a token is of the pod that was reported for the attempt.
func (a *RunnerAPI) claimant(ctx context.Context, req api.ClaimRequest) (store.Pod, error) {
	pod, err := a.Store.Pod(ctx, req.Fence)
	if errs.Is(err, errs.NotFound) {
		// The pod may be faster than the runner that says which one it is.
		closed, cerr := a.Store.ClosedAttempts(ctx, []int64{req.Fence})
		if cerr == nil && len(closed) > 0 {
			return pod, lostLease(req.Fence)
		}
		return pod, errs.E(errs.Unavailable, "the runner has not said yet which pod runs attempt %d", req.Fence)
	}
	if err != nil {
		return pod, err
	}
	keys, err := a.Store.RunnerKeys(ctx, pod.Runner)
	if errs.Is(err, errs.NotFound) {
		return pod, errs.E(errs.Unavailable, "the runner of attempt %d has not given the keys of its cluster yet", req.Fence)
	}
	if err != nil {
		return pod, err
	}
	uid, err := podOfToken(req.Token, []byte(keys), time.Now())
	if err != nil {
		return pod, errs.E(errs.Denied, "the token of the pod: %w", err)
	}
	if uid != pod.UID {
		return pod, runnerProblem(errs.Conflict, api.CodeLostLease, 0, "attempt %d is run by another pod", req.Fence)
	}
	return pod, nil
}

// move makes a session for the pod and gives it the attempt.
func (a *RunnerAPI) move(ctx context.Context, l store.Lease, pod store.Pod) (session int64, err error) {
	session, err = a.Scheduler.OpenSession(ctx, pod.Runner, nil, false)
	if err != nil {
		return 0, err
	}
	err = a.Store.Update(ctx, func(tx *store.Tx) error { return tx.MoveAttempt(ctx, l.ID, pod.UID, session) })
	if err == nil {
		return session, nil
	}
	_ = a.Scheduler.EndSession(ctx, session) // else it ends with its lease
	if errs.Is(err, errs.Conflict) {
		return 0, lostLease(l.ID)
	}
	return 0, err
}

// endClaim ends the session of a pod with its attempt.
func (a *RunnerAPI) endClaim(ctx context.Context, l store.Lease) error {
	if err := a.Scheduler.EndSession(ctx, l.Session); err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return nil
}

// mostRelaunches is how often a job that had not begun is given to a runner again
// after its pod failed.
const mostRelaunches = 2

// launchEnded ends an attempt whose pod is over without a result of its own. The
// caller is the runner that launched it, whoever has the attempt now.
func (a *RunnerAPI) launchEnded(c *runnerCall) (any, error) {
	var req api.LaunchEnded
	if err := c.decode(&req, api.MaxRunnerBody); err != nil {
		return nil, err
	}
	fence, err := strconv.ParseInt(c.r.PathValue("fence"), 10, 64)
	if err != nil {
		return nil, errs.E(errs.Invalid, "%q is not an attempt", c.r.PathValue("fence"))
	}
	l, err := a.Store.Lease(c.ctx, fence)
	switch {
	case errs.Is(err, errs.NotFound):
		return struct{}{}, nil
	case err != nil:
		return nil, err
	case l.Runner != c.who.Runner || c.who.Attempt != 0:
		return nil, errs.E(errs.Denied, "attempt %d is another runner's", fence)
	case !l.Open:
		return struct{}{}, nil
	}
	began, err := a.began(c.ctx, l)
	if err != nil {
		return nil, err
	}
	m, err := a.masks.of(c.ctx, l.ID, a.Dispatch)
	if err != nil {
		return nil, err
	}
	req.Text = string(m.bytes([]byte(req.Text)))
	defer a.masks.forget(l.ID)
	result := api.JobResult{Status: pipeline.StatusFailed, Reason: req.Reason, Error: &api.JobError{Kind: errs.Unavailable, Text: req.Text}}
	body, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	r := scheduler.Result{Status: result.Status, Reason: req.Reason, Note: req.Text, Digest: hex.EncodeToString(sum[:])}
	if req.System && !began {
		n, err := a.Store.Unstarted(c.ctx, l.Attempt)
		if err != nil {
			return nil, err
		}
		r.Requeue = n < mostRelaunches
	}
	if !r.Requeue {
		if err := a.sayEnd(c.ctx, l, req.Text); err != nil {
			return nil, err
		}
		r.Report = func(ctx context.Context, tx *store.Tx) error {
			return tx.PutResult(ctx, store.AttemptResult{Attempt: l.ID, Run: l.Run, Body: string(body)})
		}
	}
	if err := a.Scheduler.Finish(c.ctx, l.Session, l.ID, r); err != nil && !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if began {
		return struct{}{}, a.endClaim(c.ctx, l)
	}
	return struct{}{}, nil
}

// began reports whether a pod has claimed the attempt, so that its script may run.
func (a *RunnerAPI) began(ctx context.Context, l store.Lease) (bool, error) {
	pod, err := a.Store.Pod(ctx, l.ID)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return pod.Agent != 0, err
}

// sayEnd adds the reason to the log.
func (a *RunnerAPI) sayEnd(ctx context.Context, l store.Lease, text string) error {
	size, err := a.Logs.Size(logID(l.Attempt))
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	if _, err := a.addLog(ctx, l, size, fmt.Appendf(nil, "%s\n", text)); err != nil && !errs.Is(err, errs.Conflict) {
		return err // at a conflict the pod still writes; the reason is in the result too
	}
	return a.Logs.Finish(logID(l.Attempt))
}

// mostFences bounds what one call asks about.
const mostFences = 1000

// closed says which attempts are over, so that what is left of them is removed.
func (a *RunnerAPI) closed(c *runnerCall) (any, error) {
	var req api.FencesRequest
	if err := c.decode(&req, api.MaxRunnerBody); err != nil {
		return nil, err
	}
	if len(req.Fences) > mostFences {
		return nil, errs.E(errs.Invalid, "%d attempts are asked about, more than %d", len(req.Fences), mostFences)
	}
	closed, err := a.Store.ClosedAttempts(c.ctx, req.Fences)
	return api.FencesAnswer{Closed: closed}, err
}

// setKeys keeps the keys of the caller's cluster.
func (a *RunnerAPI) setKeys(c *runnerCall) (any, error) {
	var req api.KeysRequest
	if err := c.decode(&req, maxClaim); err != nil {
		return nil, err
	}
	if err := checkKeys(req.JWKS); err != nil {
		return nil, err
	}
	return struct{}{}, a.Store.Update(c.ctx, func(tx *store.Tx) error {
		return tx.PutRunnerKeys(c.ctx, c.who.Runner, string(req.JWKS), time.Now())
	})
}

// attemptLife bounds the token of an attempt, which is good only while that is open.
const attemptLife = 7 * 24 * time.Hour

// attemptToken makes the token of an attempt that a pod claimed.
func (s *Server) attemptToken(ctx context.Context, runner, fence int64) (string, error) {
	text, _, err := s.secrets.addToken(ctx, System("pod of an attempt"), store.Token{
		Kind: store.TokenAttempt, Runner: runner, Attempt: fence, Expires: s.options.Now().Add(attemptLife),
	}, false)
	return text.RevealString(), err
}
