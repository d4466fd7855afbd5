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
// made again from there. Only the goroutine of Run uses it.
type memory struct {
	runs     map[int64]*run
	graphs   map[int64]*compiled // by pipeline
	lanes    map[int64]store.Lane
	laneIDs  map[string]int64 // by laneKey
	sessions map[int64]*session
	attempts map[int64]*attempt // those of this server's sessions that have not ended
	spare    []int64            // ids for attempts
}

func newMemory() *memory {
	return &memory{
		runs: map[int64]*run{}, graphs: map[int64]*compiled{}, lanes: map[int64]store.Lane{}, laneIDs: map[string]int64{},
		sessions: map[int64]*session{}, attempts: map[int64]*attempt{},
	}
}

// compiled is a pipeline that runs share.
type compiled struct {
	id       int64
	pipeline *pipeline.Pipeline
	graph    *pipeline.Graph
	lanes    map[bool][]int64 // by protected: the lane of each job
}

// run is a run with all its jobs.
type run struct {
	store.Run
	c    *compiled
	jobs []store.Job // by position
}

// state is what Advance works on.
func (r *run) state() pipeline.State {
	s := pipeline.State{Status: r.Status, Stages: r.Stages, BusyGroups: r.BusyGroups, Jobs: make([]pipeline.JobState, len(r.jobs))}
	for i := range r.jobs {
		s.Jobs[i] = r.jobs[i].JobState
	}
	return s
}

// session is a runner's lease.
type session struct {
	store.Session
	waiting *command  // its standing poll
	looked  time.Time // when a poll of it last looked at the queue
	missed  bool      // it saw a job there that it could not lock
}

// takes reports whether the runner may have jobs of a lane.
func (s *session) takes(l store.Lane) bool {
	if s.Protected && !l.Protected {
		return false
	}
	return !slices.ContainsFunc(l.Tags, func(tag string) bool { return !slices.Contains(s.Tags, tag) })
}

// attempt is one that has not ended.
type attempt struct{ store.Attempt }

const (
	maxRuns   = 2000
	maxGraphs = 500
)

// forget drops runs whose memory may be ahead of the store.
func (m *memory) forget(ids []int64) {
	for _, id := range ids {
		delete(m.runs, id)
	}
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
	for _, s := range m.sessions {
		if s.waiting != nil {
			s.waiting.err = err
			close(s.waiting.done)
			s.waiting = nil
		}
	}
}

// restore reads the open leases when a server starts.
func (s *Scheduler) restore(ctx context.Context) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		lanes, err := tx.Lanes(ctx)
		if err != nil {
			return err
		}
		for _, l := range lanes {
			s.memory.addLane(l)
		}
		open, err := tx.OpenSessions(ctx)
		if err != nil {
			return err
		}
		for _, x := range open {
			if err := s.addSession(ctx, tx, x); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Scheduler) addSession(ctx context.Context, tx *store.Tx, x store.Session) error {
	list, err := tx.OpenAttempts(ctx, x.ID)
	if err != nil {
		return err
	}
	s.memory.sessions[x.ID] = &session{Session: x}
	for _, a := range list {
		s.memory.attempts[a.ID] = &attempt{Attempt: a}
	}
	return nil
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
