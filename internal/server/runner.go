package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

// RunnerAPI serves the runner protocol. A call may be lost, doubled or late: it then
// gets the same answer, or is refused because the attempt is not the runner's.
type RunnerAPI struct {
	Scheduler *scheduler.Scheduler
	Store     *store.Store
	// Logs takes logs of at least the limit that runners are given and 1 MiB more,
	// for what is said at the end.
	Logs *logfile.Dir
	// Dispatch says what an attempt needs. It is asked when the attempt is confirmed,
	// and decides which secrets it may have.
	Dispatch Dispatcher
	// Authenticate finds whose token a request has; Denied without a valid one.
	Authenticate func(*http.Request) (RunnerIdentity, error)
	// Files keeps artifacts and caches; nil: the server keeps none.
	Files AttemptFiles
	// Room is why no job may start now, such as a disk that is nearly full; nil: there
	// is nothing. May be nil.
	Room func() error
	// Warm names repositories whose checkouts a runner prepares; may be nil.
	Warm func(ctx context.Context, session store.Session) []api.WarmRepository
	// Record prepares what else is written with the result of an attempt, in its
	// transaction; it may return nil. May be nil.
	Record func(context.Context, store.Lease, api.JobResult) (func(context.Context, *store.Tx) error, error)
	// AttemptToken makes the token of an attempt that a pod has claimed; nil: there are
	// no pods.
	AttemptToken func(ctx context.Context, runner, fence int64) (string, error)
	// Changed is called after log bytes or events of an attempt were added; may be nil.
	Changed func(run, fence int64)

	synced sync.Map // by fence: *logSync
	masks  remasker
}

// Dispatcher says what one attempt needs. Errors: those for which an attempt
// cannot start at all fail it, Unavailable ones are asked again.
type Dispatcher interface {
	Job(ctx context.Context, fence int64) (api.JobSpec, error)
	// Launch says what another process is started with that runs the attempt. It holds
	// no secrets.
	Launch(ctx context.Context, fence int64) (api.LaunchSpec, error)
	// Secrets are those of the attempt's job once more, for masking. Nothing is sent.
	Secrets(ctx context.Context, fence int64) ([]api.JobSecret, error)
}

// RunnerIdentity is whose token a request of a runner has.
type RunnerIdentity struct {
	Runner    int64
	Name      string
	Tags      []string // that its sessions may have
	AnyTags   bool     // its sessions may have any
	Protected bool     // takes jobs of protected refs only
	// Attempt, when set, is the only attempt that the token is for.
	Attempt int64
}

// Handler serves everything below [api.RunnerPath].
func (a *RunnerAPI) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, f := range map[string]func(*runnerCall) (any, error){
		"POST /sessions":                a.openSession,
		"DELETE /sessions/{session}":    a.closeSession,
		"POST /poll":                    a.poll,
		"POST /attempts/{fence}/job":    a.job,
		"PATCH /attempts/{fence}/log":   a.appendLog,
		"DELETE /attempts/{fence}/log":  a.clearLog,
		"POST /attempts/{fence}/events": a.appendEvents,
		"POST /attempts/{fence}/finish": a.finish,

		"POST /attempts/{fence}/launch":   a.launchSpec,
		"POST /attempts/{fence}/launched": a.launched,
		"POST /attempts/{fence}/ended":    a.launchEnded,
		"POST /attempts/{fence}/poll":     a.poll,
		"POST /token":                     a.claim,
		"POST /keys":                      a.setKeys,
		"POST /closed":                    a.closed,

		"GET /attempts/{fence}/files/{key...}":    a.fileInfo,
		"POST /attempts/{fence}/files/{key...}":   a.beginFile,
		"PUT /attempts/{fence}/files/{key...}":    a.putFile,
		"DELETE /attempts/{fence}/files/{key...}": a.discardFile,
		"GET /attempts/{fence}/content/{key...}":  a.readFile,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, f) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeRunner(w, nil, errs.E(errs.NotFound, "the runner protocol has no %s %s; runner and server may be of different versions", r.Method, r.URL.Path))
	})
	return http.StripPrefix(api.RunnerPath, mux)
}

// openSession begins a lease, or goes on with the one that a runner had before it
// was restarted.
func (a *RunnerAPI) openSession(c *runnerCall) (any, error) {
	var req api.RunnerSessionRequest
	if err := c.decode(&req, api.MaxRunnerBody); err != nil {
		return nil, err
	}
	protocol, err := api.AgreeProtocol(req.Protocol, api.RunnerProtocol)
	if err != nil {
		return nil, err
	}
	tags, err := c.who.tags(req.Tags)
	if err != nil {
		return nil, err
	}
	if err := a.seeRunner(c, req); err != nil {
		return nil, err
	}
	out := api.RunnerSession{Protocol: protocol, Lease: a.leaseSeconds(), Runner: c.who.Runner, Name: c.who.Name, Tags: tags}
	if req.Resume != 0 {
		switch ok, err := a.resume(c, req, tags); {
		case err != nil:
			return nil, err
		case ok:
			out.Session, out.Resumed = req.Resume, true
			return out, nil
		}
	}
	out.Session, err = a.Scheduler.OpenSession(c.ctx, c.who.Runner, tags, c.who.Protected)
	return out, err
}

// seeRunner notes what a runner says of itself, as far as it is plausible.
func (a *RunnerAPI) seeRunner(c *runnerCall, req api.RunnerSessionRequest) error {
	const most = 100
	r := store.Runner{ID: c.who.Runner, Version: shorten(req.Version, most), System: shorten(req.System, most), Seen: time.Now()}
	for _, name := range req.Executors[:min(len(req.Executors), most)] {
		r.Executors = append(r.Executors, strings.ReplaceAll(shorten(name, most), "\n", " "))
	}
	return a.Store.Update(c.ctx, func(tx *store.Tx) error { return tx.SeeRunner(c.ctx, r) })
}

// shorten returns the beginning of a text, n runes at most.
func shorten(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n])
	}
	return text
}

// leaseSeconds is how long a session lasts without a poll.
func (a *RunnerAPI) leaseSeconds() int { return max(int(a.Scheduler.Lease/time.Second), 1) }

// tags are those of a session: what the runner asks for among what its token
// allows.
func (who RunnerIdentity) tags(asked []string) ([]string, error) {
	if len(asked) == 0 {
		return who.Tags, nil
	}
	for _, tag := range asked {
		if !who.AnyTags && !slices.Contains(who.Tags, tag) {
			return nil, errs.E(errs.Denied, "the runner's token is not for the tag %q; make one that is: refline runner token create --tags", tag)
		}
	}
	return asked, nil
}

// resume goes on with a session. Its attempts that the runner does not know any
// more, because it lost its folder, fail at once.
func (a *RunnerAPI) resume(c *runnerCall, req api.RunnerSessionRequest, tags []string) (bool, error) {
	s, err := a.Store.LiveSession(c.ctx, req.Resume)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if s.Runner != c.who.Runner || s.Protected != c.who.Protected || !slices.Equal(s.Tags, tags) {
		return false, nil
	}
	open, err := a.Store.SessionLeases(c.ctx, s.ID)
	if err != nil {
		return false, err
	}
	for _, x := range open {
		if x.State != store.AttemptConfirmed || slices.ContainsFunc(req.Have, func(h api.HeldJob) bool { return h.Fence == x.ID }) {
			continue
		}
		result := scheduler.Result{Status: pipeline.StatusFailed, Reason: pipeline.ReasonRunnerSystemFailure, Digest: "forgotten by its runner"}
		if err := a.Scheduler.Finish(c.ctx, s.ID, x.ID, result); err != nil && !errs.Is(err, errs.Conflict) {
			return false, err
		}
		if err := a.Logs.Finish(logID(x)); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (a *RunnerAPI) closeSession(c *runnerCall) (any, error) {
	id, err := strconv.ParseInt(c.r.PathValue("session"), 10, 64)
	if err != nil {
		return nil, errs.E(errs.Invalid, "%q is not a session", c.r.PathValue("session"))
	}
	if _, err := a.ownSession(c, id); err != nil {
		if api.ProblemCode(err) == api.CodeSession {
			return struct{}{}, nil // it has ended
		}
		return nil, err
	}
	return struct{}{}, a.Scheduler.EndSession(c.ctx, id)
}

// ownSession returns a live session of the caller.
func (a *RunnerAPI) ownSession(c *runnerCall, id int64) (store.Session, error) {
	s, err := a.Store.LiveSession(c.ctx, id)
	switch {
	case errs.Is(err, errs.NotFound):
		return s, sessionEnded(id)
	case err != nil:
		return s, err
	case s.Runner != c.who.Runner:
		return s, errs.E(errs.Denied, "runner session %d is another runner's", id)
	case c.who.Attempt != 0:
		return s, a.ownAttemptSession(c, id)
	}
	return s, nil
}

// ownAttemptSession refuses the session of another attempt of the same runner.
func (a *RunnerAPI) ownAttemptSession(c *runnerCall, id int64) error {
	pod, err := a.Store.Pod(c.ctx, c.who.Attempt)
	if err == nil && pod.Agent != id {
		err = errs.E(errs.Denied, "runner session %d is not that of attempt %d", id, c.who.Attempt)
	}
	return err
}

func sessionEnded(id int64) error {
	return runnerProblem(errs.NotFound, api.CodeSession, 0, "runner session %d has ended; open another", id)
}

// poll is claim, heartbeat and cancel.
func (a *RunnerAPI) poll(c *runnerCall) (any, error) {
	var req api.PollRequest
	if err := c.decode(&req, api.MaxRunnerBody); err != nil {
		return nil, err
	}
	s, err := a.ownSession(c, req.Session)
	if err != nil {
		return nil, err
	}
	if c.who.Attempt != 0 {
		req.Free = 0 // a pod runs one attempt
	}
	hold := api.MaxHold
	if a.full(&req) {
		hold = 5 * time.Second // it asks again then
	}
	if asked := time.Duration(req.HoldMS) * time.Millisecond; asked > 0 {
		hold = min(hold, asked)
	}
	out, err := a.ask(c.ctx, req, hold)
	if err == nil && a.Warm != nil {
		out.Warm = a.Warm(c.ctx, s)
	}
	return out, err
}

// full reports whether no job may start; the poll then asks for none.
func (a *RunnerAPI) full(req *api.PollRequest) bool {
	if a.Room == nil || a.Room() == nil {
		return false
	}
	req.Free = 0
	return true
}

// ask polls the scheduler.
func (a *RunnerAPI) ask(ctx context.Context, req api.PollRequest, hold time.Duration) (api.PollAnswer, error) {
	answer, err := a.Scheduler.Poll(ctx, req.Session, req.Free, haveOf(req), hold)
	switch {
	case errs.Is(err, errs.NotFound):
		return api.PollAnswer{}, sessionEnded(req.Session)
	case err != nil:
		return api.PollAnswer{}, err
	}
	return wireAnswer(answer), nil
}

func haveOf(req api.PollRequest) []scheduler.Have {
	have := make([]scheduler.Have, len(req.Have))
	for i, h := range req.Have {
		have[i] = scheduler.Have{Fence: h.Fence, Stopping: h.Stopping}
	}
	return have
}

func wireAnswer(answer scheduler.Answer) api.PollAnswer {
	out := api.PollAnswer{Cancel: answer.Cancel, Gone: answer.Gone, Drain: answer.Drain}
	for _, j := range answer.Jobs {
		out.Jobs = append(out.Jobs, api.OfferedJob{Fence: j.Fence, Run: j.Run})
	}
	return out
}

// lease finds the attempt that a call is about. It is the caller's, and open.
func (a *RunnerAPI) lease(c *runnerCall) (store.Lease, error) {
	l, err := a.attempt(c)
	if err == nil && !l.Open {
		err = lostLease(l.ID)
	}
	return l, err
}

// attempt finds an attempt of the caller's session, one that has ended too.
func (a *RunnerAPI) attempt(c *runnerCall) (store.Lease, error) {
	fence, err := strconv.ParseInt(c.r.PathValue("fence"), 10, 64)
	if err != nil {
		return store.Lease{}, errs.E(errs.Invalid, "%q is not an attempt", c.r.PathValue("fence"))
	}
	session, err := strconv.ParseInt(c.r.Header.Get(api.HeaderSession), 10, 64)
	if err != nil {
		return store.Lease{}, errs.E(errs.Invalid, "the header %s has no session", api.HeaderSession)
	}
	l, err := a.Store.Lease(c.ctx, fence)
	switch {
	case errs.Is(err, errs.NotFound):
		return l, lostLease(fence)
	case err != nil:
		return l, err
	case l.Runner != c.who.Runner, c.who.Attempt != 0 && c.who.Attempt != fence:
		return l, errs.E(errs.Denied, "attempt %d is another runner's", fence)
	case l.Session != session:
		return l, lostLease(fence)
	}
	return l, nil
}

func lostLease(fence int64) error {
	return runnerProblem(errs.Conflict, api.CodeLostLease, 0, "attempt %d is not this runner's any more", fence)
}

// job confirms an attempt and says what it needs.
func (a *RunnerAPI) job(c *runnerCall) (any, error) {
	l, err := a.lease(c)
	if err != nil {
		return nil, err
	}
	// What the job needs is read while the confirmation becomes durable.
	var spec api.JobSpec
	var specErr error
	var reading sync.WaitGroup
	reading.Go(func() { spec, specErr = a.Dispatch.Job(c.ctx, l.ID) })
	err = a.Scheduler.Confirm(c.ctx, l.Session, l.ID)
	reading.Wait()
	switch {
	case errs.Is(err, errs.Conflict), errs.Is(err, errs.NotFound):
		return nil, lostLease(l.ID)
	case err != nil:
		return nil, err
	}
	if specErr == nil {
		a.masks.remember(l.ID, spec.MaskedValues())
	}
	return spec, specErr
}

// runnerProblem is an error that a runner acts on.
func runnerProblem(kind errs.Kind, code string, next int64, format string, args ...any) error {
	err := errs.E(kind, format, args...)
	return errs.E(kind, "%w", &api.RunnerProblem{Kind: kind, Detail: err.Error(), Code: code, Next: next})
}

// asProblem is how an error is answered.
func asProblem(err error) *api.RunnerProblem {
	if p, ok := errors.AsType[*api.RunnerProblem](err); ok {
		return p
	}
	return &api.RunnerProblem{Kind: errs.KindOf(err), Detail: err.Error()}
}
