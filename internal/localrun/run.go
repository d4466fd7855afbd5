package localrun

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"refline/internal/artifact"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

// Input is a whole pipeline to run in this process.
type Input struct {
	Number    int64          // of the run, unique on this computer
	ID        string         // of a child run, as "7.1"; else empty: it is the number
	Dir       string         // what is kept of the run: logs/; children share it
	Artifacts artifact.Store // children share it
	Work      string         // where workspaces are while it runs; children share it
	Pipeline  *pipeline.Pipeline
	// Job gives the base of a job's input; Run fills in what it knows itself
	// (ID, Dir, Take, Keep, Log, Emit, Stop, Started and the dotenv variables).
	Job func(*pipeline.Job) (engine.JobInput, error)
	// Variables gives a job's variables below and above those of the job itself
	// and of dotenv reports, in GitLab's order of precedence.
	Variables func(*pipeline.Job) (below, above []pipeline.Variable)
	// Child compiles the pipeline that a trigger job starts. The reader opens a
	// file of an earlier job's artifacts.
	Child func(ctx context.Context, t ChildRequest) (*Input, error)
	// Parent gives the key of the artifacts of a job of the parent pipeline, for
	// needs:pipeline in a child; nil in one that has no parent.
	Parent func(job string) string
	// Play reports whether a manual job of a run is played when its turn comes.
	Play func(run, job string) bool
	// Ask is called when nothing is left to do but manual jobs: it returns the
	// one to play, or "" for none. May be nil.
	Ask func(ctx context.Context, jobs []string) string
	// Now makes delayed jobs start at once.
	Now bool
	// HasEarlier reports whether a job of a run is not run but taken from an earlier
	// run by TakeEarlier; children share both. May be nil.
	HasEarlier  func(run, job string) bool
	TakeEarlier func(ctx context.Context, run, job string) (Earlier, error)
	// EarlierResults returns the key in Artifacts of what the tasks of a job kept in an
	// earlier run, "" for nothing; children share it. May be nil.
	EarlierResults func(ctx context.Context, run, job string) (key string, err error)
	// Slots bounds how many jobs run at once; children share their parent's.
	Slots chan struct{}
	// Lock takes a resource group of this computer and returns its release.
	Lock func(ctx context.Context, group string) (release func(), err error)
	Emit func(pipeline.Report) // called from several goroutines
	Stop context.Context

	numbers *numbers // of the jobs that run; nil for the run that has no parent
}

// ChildRequest is what a trigger job asks for.
type ChildRequest struct {
	Job       *pipeline.Job
	Variables []pipeline.Variable // forwarded, already expanded
	Open      func(job, path string) (io.ReadCloser, error)
	ID        string
}

// Result is what became of a run.
type Result struct {
	State    pipeline.State
	Status   pipeline.Status // manual also when only a child pipeline waits
	Result   pipeline.Result
	Jobs     []JobRecord // in the order of Pipeline.Jobs
	Children []ChildResult
	Seconds  float64
}

// ChildResult is a child run's end.
type ChildResult struct {
	Trigger string // the job of the parent run
	Input   *Input
	Result  Result
}

// JobRecord is what is kept of a job's last attempt.
type JobRecord struct {
	Log       string // path of the log, empty when it never ran
	Artifacts string // their key, empty for none
	Results   string // key of what its tasks kept, empty for nothing
	Started   time.Time
	Seconds   float64
	Earlier   int64 // the run that the result was taken from, 0 for this one
	Result    engine.JobResult
}

// Run runs a pipeline to its end. A red job is in the result; the error is for
// what kept Run itself from going on.
func Run(ctx context.Context, in Input) (Result, error) {
	var err error
	if in.Pipeline, err = pipeline.WithGroupNames(in.Pipeline, func(j *pipeline.Job) []pipeline.Variable {
		below, above := in.Variables(j)
		return pipeline.JobVariables(j, below, nil, above)
	}); err != nil {
		return Result{}, err
	}
	graph, err := pipeline.NewGraph(in.Pipeline)
	if err != nil {
		return Result{}, err
	}
	r := &runner{Input: in, graph: graph, done: make(chan outcome)}
	if r.numbers == nil {
		r.numbers = &numbers{job: in.Number * jobsOfRun}
		r.ID = strconv.FormatInt(in.Number, 10)
	}
	r.waits = map[int]bool{}
	r.records = make([]JobRecord, len(in.Pipeline.Jobs))
	r.stops = make([]context.CancelFunc, len(in.Pipeline.Jobs))
	r.dotenv = make([][]pipeline.Variable, len(in.Pipeline.Jobs))
	r.index = make(map[string]int, len(in.Pipeline.Jobs))
	for i := range in.Pipeline.Jobs {
		r.index[in.Pipeline.Jobs[i].Name] = i
	}
	begin := time.Now()
	err = r.loop(ctx)
	r.later.Wait()
	status, result := r.outcome(err)
	return Result{
		State: r.state, Status: status, Result: result, Jobs: r.records,
		Children: r.children, Seconds: time.Since(begin).Seconds(),
	}, err
}

// outcome is the status and result of a run that ended. A trigger job whose child
// waits is not over, but this process waits for nobody.
func (r *runner) outcome(err error) (pipeline.Status, pipeline.Result) {
	state := r.state
	if err != nil || state.Status != pipeline.StatusRunning && state.Status != pipeline.StatusManual {
		return state.Status, pipeline.ResultOf(state)
	}
	state.Status, state.Jobs = pipeline.StatusManual, slices.Clone(state.Jobs)
	for i := range state.Jobs {
		if state.Jobs[i].Status == pipeline.StatusRunning {
			state.Jobs[i].Status = pipeline.StatusManual
		}
	}
	result := pipeline.ResultOf(state)
	for _, c := range r.children {
		j := state.Jobs[r.index[c.Trigger]]
		if j.Status == pipeline.StatusManual && !j.AllowFailure && c.Result.Result == pipeline.ResultFailed {
			result = pipeline.ResultFailed // a job of the child failed, whatever else waits in it
		}
	}
	return state.Status, result
}

// runner is the state of Run. Only the loop touches it; goroutines of jobs
// report over done and otherwise use children, loose and later, which are safe.
type runner struct {
	Input
	graph    *pipeline.Graph
	state    pipeline.State
	index    map[string]int
	records  []JobRecord
	dotenv   [][]pipeline.Variable
	stops    []context.CancelFunc
	ready    []int // pending jobs that wait for a slot
	running  int
	waits    map[int]bool // trigger jobs that are running and whose child waits
	delayed  int
	done     chan outcome
	mu       sync.Mutex // guards what follows
	created  int        // child runs
	children []ChildResult
	loose    sync.WaitGroup // children that no job waits for
	later    sync.WaitGroup // work that no job waits for
}

// outcome is a message to the loop: a job's end, or a delayed job's time.
type outcome struct {
	job     int
	attempt int
	event   pipeline.EventKind // Enqueue, or "" for a result
	res     engine.JobResult
	record  JobRecord
}

// loop runs until nothing moves any more. On an error, it ends everything that
// still runs before it returns.
func (r *runner) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var done context.CancelFunc
	r.Stop, done = engine.WithStop(r.Stop, ctx) // what is ended at once is stopped too
	defer done()
	err := r.apply(ctx, pipeline.Event{Kind: pipeline.EventCreate})
	if err == nil {
		err = r.turn(ctx)
	}
	if err != nil {
		cancel()
		for _, stop := range r.stops {
			if stop != nil {
				stop()
			}
		}
		for r.running > 0 || r.delayed > 0 {
			if o := <-r.done; o.event == pipeline.EventEnqueue {
				r.delayed--
			} else {
				r.running--
			}
		}
	}
	r.loose.Wait()
	return err
}

func (r *runner) turn(ctx context.Context) error {
	stop := r.Stop.Done()
	for {
		if stop != nil && r.stopped(ctx) {
			stop = nil // before anything else: nothing begins any more
			if err := r.cancelAll(ctx); err != nil {
				return err
			}
		}
		if err := r.startReady(ctx); err != nil {
			return err
		}
		if r.running == 0 && r.delayed == 0 && len(r.ready) == 0 {
			if again, err := r.rest(ctx); !again || err != nil {
				return err
			}
			continue
		}
		var slot chan struct{}
		if len(r.ready) > 0 {
			slot = r.Slots
		}
		var err error
		select {
		case slot <- struct{}{}:
			<-r.Slots // startReady takes it; only the wake-up was wanted
		case o := <-r.done:
			err = r.finished(ctx, o)
		case <-stop: // the next turn sees to it
		}
		if err != nil {
			return err
		}
	}
}

// stopped asks both, since Stop ends a moment later than ctx.
func (r *runner) stopped(ctx context.Context) bool { return ctx.Err() != nil || r.Stop.Err() != nil }

func (r *runner) cancelAll(ctx context.Context) error {
	err := r.apply(ctx, pipeline.Event{Kind: pipeline.EventCancel})
	if errs.Is(err, errs.Conflict) {
		return nil // all of it is being canceled already
	}
	return err
}

// rest is called when nothing moves any more. It reports whether a manual job was
// played.
func (r *runner) rest(ctx context.Context) (bool, error) {
	if r.Ask == nil || r.stopped(ctx) {
		return false, nil
	}
	var manual []string
	for i, s := range r.state.Jobs {
		if s.Status == pipeline.StatusManual && r.Pipeline.Jobs[i].When == pipeline.WhenManual {
			manual = append(manual, r.Pipeline.Jobs[i].Name)
		}
	}
	if len(manual) == 0 {
		return false, nil
	}
	name := r.Ask(ctx, manual)
	if name == "" {
		return false, nil
	}
	return true, r.apply(ctx, pipeline.Event{Kind: pipeline.EventPlay, Job: name})
}

// apply advances the state by one event and acts on what changed.
func (r *runner) apply(ctx context.Context, ev pipeline.Event) error {
	state, changes, err := r.graph.Advance(r.state, ev)
	if err != nil {
		return fmt.Errorf("%s %s: %w", ev.Kind, ev.Job, err)
	}
	r.state = state
	for _, c := range changes {
		r.changed(c)
	}
	for _, c := range changes {
		if c.To == pipeline.StatusCanceling && r.waits[c.Pos] { // there is nothing to stop
			delete(r.waits, c.Pos)
			if err := r.apply(ctx, pipeline.Event{Kind: pipeline.EventCanceled, Job: c.Job}); err != nil {
				return err
			}
		}
		if c.To == pipeline.StatusManual && c.From != pipeline.StatusRunning && r.Play != nil && r.Play(r.ID, c.Job) && !r.stopped(ctx) {
			if err := r.apply(ctx, pipeline.Event{Kind: pipeline.EventPlay, Job: c.Job}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *runner) changed(c pipeline.Change) {
	i := r.index[c.Job]
	switch c.To {
	case pipeline.StatusPending:
		r.ready = append(r.ready, i)
	case pipeline.StatusScheduled:
		r.delay(i)
	case pipeline.StatusCanceling:
		if r.stops[i] != nil {
			r.stops[i]()
		}
	case pipeline.StatusCanceled, pipeline.StatusSkipped:
		r.ready = remove(r.ready, i)
		if r.stops[i] != nil {
			r.stops[i]() // the timer of a delayed job
		}
	}
	s := r.state.Jobs[i]
	rec := r.records[i]
	r.emit(i, pipeline.Report{Kind: pipeline.ReportJobStatus, From: c.From, Status: c.To, Attempt: c.Attempt,
		AllowFailure: s.AllowFailure, Reason: s.Reason, ExitCode: s.ExitCode,
		Seconds: rec.Seconds, Coverage: rec.Result.Coverage, Message: errText(rec.Result.Err), EarlierRun: rec.Earlier})
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func remove(list []int, x int) []int {
	for i, v := range list {
		if v == x {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

func (r *runner) emit(i int, ev pipeline.Report) {
	ev.Time = time.Now()
	ev.Run, ev.Job = r.ID, r.Pipeline.Jobs[i].Name
	ev.Stage = r.Pipeline.Jobs[i].Stage
	r.Emit(ev)
}

func (r *runner) delay(i int) {
	wait := r.Pipeline.Jobs[i].StartIn.D()
	if r.Now || r.hasEarlier(i) {
		wait = 0
	}
	r.delayed++
	stop, cancel := context.WithCancel(r.Stop)
	r.stops[i] = cancel
	go func() {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-stop.Done():
		}
		r.done <- outcome{job: i, event: pipeline.EventEnqueue}
	}()
}

// slotNeed says when a job takes a slot: a trigger job never (its child's jobs
// do), one of a resource group after it has the group, others before they
// start.
type slotNeed int

const (
	slotFirst slotNeed = iota
	slotAfterGroup
	slotNever
)

func (r *runner) slotNeed(i int) slotNeed {
	switch j := &r.Pipeline.Jobs[i]; {
	case j.Downstream != nil:
		return slotNever
	case j.ResourceGroup != "" && r.Lock != nil:
		return slotAfterGroup
	default:
		return slotFirst
	}
}

// startReady starts pending jobs while there are slots.
func (r *runner) startReady(ctx context.Context) error {
	for len(r.ready) > 0 {
		i := r.ready[0]
		if r.hasEarlier(i) {
			r.ready = r.ready[1:]
			if err := r.takeEarlier(ctx, i); err != nil {
				return err
			}
			continue
		}
		need := r.slotNeed(i)
		if need == slotFirst {
			select {
			case r.Slots <- struct{}{}:
			default:
				return nil
			}
		}
		r.ready = r.ready[1:]
		if err := r.apply(ctx, pipeline.Event{Kind: pipeline.EventStart, Job: r.Pipeline.Jobs[i].Name}); err != nil {
			if need == slotFirst {
				<-r.Slots
			}
			return err
		}
		stop, cancel := context.WithCancel(r.Stop)
		r.stops[i] = cancel
		r.running++
		go r.runAttempt(ctx, stop, i, r.numbers.jobID(), r.inputFor(i), need)
	}
	return nil
}

// finished takes a message of a job's goroutine into the state.
func (r *runner) finished(ctx context.Context, o outcome) error {
	name := r.Pipeline.Jobs[o.job].Name
	if o.event == pipeline.EventEnqueue {
		r.delayed--
		r.stops[o.job]()
		r.stops[o.job] = nil
		if r.state.Jobs[o.job].Status != pipeline.StatusScheduled || r.stopped(ctx) {
			return nil
		}
		return r.apply(ctx, pipeline.Event{Kind: pipeline.EventEnqueue, Job: name})
	}
	r.running--
	r.stops[o.job]()
	r.stops[o.job] = nil
	r.records[o.job] = o.record
	r.dotenv[o.job] = o.res.Dotenv
	if o.res.Status == pipeline.StatusRunning && r.state.Jobs[o.job].Status == pipeline.StatusRunning {
		r.waits[o.job] = true
	}
	for _, ev := range pipeline.EndEvents(name, r.state.Jobs[o.job], o.res.Status, o.res.Reason, o.res.ExitCode) {
		if err := r.apply(ctx, ev); err != nil {
			return err
		}
	}
	return nil
}
