package scheduler_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// TestHistory is invariants 2, 3 and 4 by a model: whatever runners call on any of
// three servers, twice, late, without hearing the answer or after their lease has
// ended, there is one order of all calls about a job in which each answer is right,
// and at its end the model has the attempts that are stored.
func TestHistory(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 3, func(f *fixture) { f.lease = time.Second })
		h := &history{t: t, servers: servers, begin: time.Now(), most: map[place]int{}, ends: map[int64]span{}}
		begin := time.Now()
		for round := uint64(0); round == 0 || time.Since(begin) < soak(); round++ {
			h.round(round)
			servers[0].check()
			h.checkLeases()
		}
	})
}

type place struct {
	run int64
	pos int
}

// span is the time of a call.
type span struct{ begin, end int64 }

// history is what clients called and heard.
type history struct {
	t       *testing.T
	servers []*fixture
	begin   time.Time

	mu    sync.Mutex
	calls []porcupine.Operation
	most  map[place]int
	ends  map[int64]span // of sessions that a call ended
}

func (h *history) clock() int64 { return time.Since(h.begin).Nanoseconds() }

func (h *history) add(c call, from, to int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, porcupine.Operation{Input: c, Call: from, Return: to})
}

// round makes runs and runners, and waits until the runs have ended.
func (h *history) round(seed uint64) {
	f := h.servers[0]
	ctx, cancel := context.WithCancel(h.t.Context())
	var runners sync.WaitGroup
	for i := range uint64(6) {
		r := &client{history: h, dice: rand.New(rand.NewPCG(seed, i))}
		runners.Go(func() {
			for ctx.Err() == nil {
				r.session(ctx)
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 100))
	var runs []store.Run
	for range 10 {
		p := randomPipeline(random)
		r := h.servers[random.IntN(len(h.servers))].create(p)
		h.mu.Lock()
		for pos := range p.Jobs {
			h.most[place{r.ID, pos}] = 1 + p.Jobs[pos].Retry.Max
		}
		h.mu.Unlock()
		runs = append(runs, r)
	}
	for _, r := range runs {
		f.until(r.ID, "over", func(r store.Run) bool { return !r.Finished.IsZero() })
	}
	cancel()
	runners.Wait()
	h.read(runs)
}

// client is a runner that is hard to rely on. Each call goes to any server.
type client struct {
	*history
	mu   sync.Mutex
	dice *rand.Rand
}

// one reports true once in n times.
func (c *client) one(n int) bool { return c.roll(n) == 0 }

func (c *client) roll(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dice.IntN(n)
}

func (c *client) any() *scheduler.Scheduler { return c.servers[c.roll(len(c.servers))].s }

// session is one lease of the runner.
func (c *client) session(ctx context.Context) {
	from := c.clock()
	id, err := c.any().OpenSession(ctx, 1, nil, false)
	if err != nil {
		return
	}
	var work sync.WaitGroup
	defer work.Wait()
	known := map[int64]bool{}
	for range 200 {
		a, err := c.any().Poll(ctx, id, 1+c.roll(3), nil, 50*time.Millisecond)
		if err != nil {
			if errs.Is(err, errs.NotFound) || ctx.Err() != nil {
				return
			}
			continue
		}
		now := c.clock()
		if c.one(10) {
			continue // the answer is lost
		}
		for _, job := range a.Jobs {
			if known[job.Fence] {
				continue // offered again
			}
			known[job.Fence] = true
			at := call{run: job.Run, pos: job.Position, attempt: job.Attempt, session: id, fence: job.Fence}
			claim := at
			claim.kind, claim.answer = callClaim, answerOK
			c.add(claim, from, now)
			work.Go(func() { c.work(ctx, at) })
		}
		switch c.roll(25) {
		case 0:
			c.end(ctx, id)
			return
		case 1: // silent past its lease
			return
		}
	}
}

func (c *client) end(ctx context.Context, id int64) {
	from := c.clock()
	if c.any().EndSession(ctx, id) == nil {
		c.history.mu.Lock()
		defer c.history.mu.Unlock()
		c.ends[id] = span{from, c.clock()}
	}
}

// work runs an attempt.
func (c *client) work(ctx context.Context, at call) {
	if !c.one(3) {
		at.kind = callConfirm
		if c.send(ctx, at, func(s *scheduler.Scheduler) error { return s.Confirm(ctx, at.session, at.fence) }) == answerRefused {
			return
		}
	}
	if c.one(15) {
		return // dead: the lease ends it
	}
	late := time.Duration(0)
	if c.one(15) {
		late = 1500 * time.Millisecond // past the lease, if nothing else polls
	}
	pause(ctx, late+time.Duration(c.roll(5))*time.Millisecond)
	if c.one(15) { // of a runner that has another lease
		foreign := at
		foreign.session++
		c.finish(ctx, foreign, scheduler.Result{Status: pipeline.StatusSuccess, Digest: "foreign"})
	}
	result := scheduler.Result{Status: pipeline.StatusSuccess}
	if c.one(8) {
		result = scheduler.Result{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure, ExitCode: 1}
	}
	c.finish(ctx, at, result)
	if c.one(20) { // another result
		c.finish(ctx, at, scheduler.Result{Status: pipeline.StatusFailed, Digest: "other"})
	}
}

func (c *client) finish(ctx context.Context, at call, r scheduler.Result) {
	r.Digest = string(r.Status) + r.Digest
	at.kind, at.digest = callFinish, r.Digest
	for range 1 + c.roll(3) {
		if c.send(ctx, at, func(s *scheduler.Scheduler) error { return s.Finish(ctx, at.session, at.fence, r) }) != answerUnknown {
			return
		}
	}
}

// send makes a call, sometimes a second time at once or later, on any server.
func (c *client) send(ctx context.Context, at call, f func(*scheduler.Scheduler) error) callAnswer {
	var beside sync.WaitGroup
	defer beside.Wait()
	if again := c.roll(10); again < 2 {
		beside.Go(func() {
			pause(ctx, time.Duration(again)*100*time.Millisecond)
			c.try(at, f)
		})
	}
	return c.try(at, f)
}

func (c *client) try(at call, f func(*scheduler.Scheduler) error) callAnswer {
	from := c.clock()
	err := f(c.any())
	to := c.clock()
	switch {
	case errs.Is(err, errs.Conflict), errs.Is(err, errs.NotFound):
		at.answer = answerRefused
	case err != nil, c.one(10): // or its answer is lost
		at.answer = answerUnknown
	default:
		at.answer = answerOK
	}
	c.add(at, from, to)
	return at.answer
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// read adds what is stored of the runs' attempts to their histories.
func (h *history) read(runs []store.Run) {
	for _, r := range runs {
		list, err := h.servers[0].store.RunAttempts(h.t.Context(), r.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		rows := map[place]string{}
		for _, a := range list {
			rows[place{a.Run, a.Pos}] += storedWord(a)
		}
		for at, text := range rows {
			h.add(call{kind: callRead, run: at.run, pos: at.pos, rows: text}, h.clock(), h.clock())
		}
	}
}

// checkLeases looks for an order of the calls about each job that the model takes.
func (h *history) checkLeases() {
	h.t.Helper()
	jobs := map[place][]porcupine.Operation{}
	for _, o := range h.calls {
		c := o.Input.(call)
		at := place{c.run, c.pos}
		c.most = h.most[at]
		o.Input = c
		jobs[at] = append(jobs[at], o)
	}
	attempts := 0
	for at, list := range jobs {
		seen := map[int64]bool{}
		for _, o := range list {
			seen[o.Input.(call).session] = true
		}
		for _, id := range slices.Sorted(maps.Keys(seen)) {
			if s, ended := h.ends[id]; ended {
				list = append(list, porcupine.Operation{Input: call{kind: callEnd, run: at.run, pos: at.pos, session: id}, Call: s.begin, Return: s.end})
			}
		}
		attempts += len(seen)
		if got := porcupine.CheckOperationsTimeout(leaseModel(), list, time.Minute); got == porcupine.Illegal {
			h.t.Errorf("run %d, job %d: no order of these calls is right:\n%s", at.run, at.pos, describe(list))
		} else if got == porcupine.Unknown {
			h.t.Logf("run %d, job %d: %d calls are too many to order", at.run, at.pos, len(list))
		}
	}
	h.t.Logf("%d calls about %d jobs, %d leases", len(h.calls), len(jobs), attempts)
	if len(h.calls) < 3*len(jobs) {
		h.t.Errorf("%d calls about %d jobs: the test did next to nothing", len(h.calls), len(jobs))
	}
	h.calls = nil
}

func describe(list []porcupine.Operation) string {
	slices.SortFunc(list, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, o := range list {
		fmt.Fprintf(&b, "%s to %s: %v\n", time.Duration(o.Call), time.Duration(o.Return), o.Input)
	}
	return b.String()
}
