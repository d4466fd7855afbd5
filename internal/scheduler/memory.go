package scheduler

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"io"
	"slices"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// memory is what the scheduler knows without asking the store. All of it can be
// made again from there, but for the requests that wait. Only the goroutine that
// takes turns uses it.
type memory struct {
	runs     map[int64]*run
	graphs   map[int64]*compiled // by pipeline
	lanes    map[int64]store.Lane
	laneIDs  map[string]int64    // by laneKey
	standing map[int64]*standing // polls that wait, by session
	spare    []int64             // ids for attempts

	nextTimer  time.Time // when the first timer is due, if timerKnown; zero for none
	timerKnown bool
	inbox      bool      // there may be messages
	looked     time.Time // when everything was looked at that other servers change
	faulty     bool      // the last turn failed
}

func newMemory() *memory {
	return &memory{
		runs: map[int64]*run{}, graphs: map[int64]*compiled{}, lanes: map[int64]store.Lane{}, laneIDs: map[string]int64{},
		standing: map[int64]*standing{}, inbox: true,
	}
}

// look makes the next turn look at everything that other servers change.
func (m *memory) look() { m.looked = time.Time{} }

// compiled is a pipeline that runs share.
type compiled struct {
	id       int64
	pipeline *pipeline.Pipeline
	graph    *pipeline.Graph
	groups   []string         // its resource groups
	lanes    map[bool][]int64 // by protected: the lane of each job
}

func newCompiled(id int64, p *pipeline.Pipeline, graph *pipeline.Graph) *compiled {
	c := &compiled{id: id, pipeline: p, graph: graph, lanes: map[bool][]int64{}}
	for i := range p.Jobs {
		if group := p.Jobs[i].ResourceGroup; group != "" && !slices.Contains(c.groups, group) {
			c.groups = append(c.groups, group)
		}
	}
	return c
}

// run is a run with all its jobs.
type run struct {
	store.Run
	c    *compiled
	jobs []store.Job // by position
}

func newRun(row store.Run, c *compiled) *run {
	r := &run{Run: row, c: c, jobs: make([]store.Job, len(c.pipeline.Jobs))}
	for i := range r.jobs {
		r.jobs[i] = store.Job{Run: row.ID, Pos: i}
		r.jobs[i].Status, r.jobs[i].Attempt = pipeline.StatusCreated, 1
		r.jobs[i].AllowFailure = c.pipeline.Jobs[i].AllowFailure
	}
	return r
}

// state is what Advance works on. All resource groups are busy for it: a job gets
// one by an event.
func (r *run) state() pipeline.State {
	if !r.created() {
		return pipeline.State{BusyGroups: r.c.groups}
	}
	s := pipeline.State{Status: r.Status, Stages: r.Stages, BusyGroups: r.c.groups, Jobs: make([]pipeline.JobState, len(r.jobs))}
	for i := range r.jobs {
		s.Jobs[i] = r.jobs[i].JobState
	}
	return s
}

// created reports whether the run had its first event.
func (r *run) created() bool { return len(r.Stages) > 0 }

// underWay reports whether something is going on or will by itself.
func (r *run) underWay() bool { return r.created() && len(r.Held) == 0 && r.Result == "" }

// outcome is what a run's parent follows. The status of a canceled run that still waits
// for a person does not change when its last job ends, its result does.
type outcome struct {
	status pipeline.Status
	result pipeline.Result
}

func (r *run) outcome() outcome { return outcome{r.Status, r.Result} }

// hold keeps events until the run has its slots.
func (r *run) hold(events []pipeline.Event) {
	r.Held, r.Result, r.Finished = events, "", time.Time{}
	if !r.created() {
		r.Status = pipeline.StatusWaitingForResource
	}
}

// standing is a poll that waits for something to say.
type standing struct {
	c      *command
	x      store.Session
	missed bool // it saw a job that it could not lock
}

// takes reports whether a runner may have jobs of a lane.
func takes(s *store.Session, l store.Lane) bool {
	if s.Protected && !l.Protected {
		return false
	}
	return !slices.ContainsFunc(l.Tags, func(tag string) bool { return !slices.Contains(s.Tags, tag) })
}

const (
	maxRuns   = 2000
	maxGraphs = 500
)

// forget drops runs whose memory may be ahead of the store.
func (m *memory) forget(ids []int64) {
	for _, id := range ids {
		delete(m.runs, id)
	}
	m.timerKnown, m.inbox = false, true
}

// trim keeps the memory bounded; any run can be read again.
func (m *memory) trim(used map[int64]*run) {
	for id := range m.runs {
		if len(m.runs) <= maxRuns {
			break
		}
		if used[id] == nil {
			delete(m.runs, id)
		}
	}
	for id := range m.graphs {
		if len(m.graphs) <= maxGraphs {
			break
		}
		delete(m.graphs, id)
	}
}

func (m *memory) endPolls(err error) {
	for id, x := range m.standing {
		x.c.err = err
		close(x.c.done)
		delete(m.standing, id)
	}
}

// restore reads the lanes when a server starts.
func (s *Scheduler) restore(ctx context.Context) error {
	return s.store.Update(ctx, func(tx *store.Tx) error { return s.memory.readLanes(ctx, tx) })
}

func (m *memory) readLanes(ctx context.Context, tx *store.Tx) error {
	lanes, err := tx.Lanes(ctx)
	for _, l := range lanes {
		m.addLane(l)
	}
	return err
}

func (m *memory) addLane(l store.Lane) {
	m.lanes[l.ID] = l
	m.laneIDs[laneKey(l.Tags, l.Protected)] = l.ID
}

func laneKey(tags []string, protected bool) string {
	key := []byte{'-'}
	if protected {
		key[0] = '+'
	}
	for _, tag := range slices.Sorted(slices.Values(tags)) {
		key = append(append(key, tag...), '\n')
	}
	return string(key)
}

// encode is the form in which a compiled pipeline is stored.
func encode(p *pipeline.Pipeline) (plain, packed []byte, err error) {
	if plain, err = json.Marshal(p); err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, nil, err
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	return plain, b.Bytes(), nil
}

// DecodePipeline reads a pipeline as the store has it.
func DecodePipeline(packed []byte) (*pipeline.Pipeline, error) { return decode(packed) }

func decode(packed []byte) (*pipeline.Pipeline, error) {
	const most = 256 << 20
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), most))
	if err != nil {
		return nil, errs.E(errs.Internal, "a stored pipeline cannot be read: %w", err)
	}
	var p pipeline.Pipeline
	if err := json.Unmarshal(plain, &p); err != nil {
		return nil, errs.E(errs.Internal, "a stored pipeline cannot be read: %w", err)
	}
	return &p, nil
}
