package server

import (
	"context"
	"sync"

	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

// compiledRun is a compiled pipeline with its graph. It is shared and not changed.
type compiledRun struct {
	Pipeline *pipeline.Pipeline
	Graph    *pipeline.Graph
}

// compiledRuns keeps the pipelines that were used last: jobs of a run are sent one
// by one.
type compiledRuns struct {
	mu   sync.Mutex
	byID map[int64]*compiledRun
	last []int64
}

const keptPipelines = 64

func (s *Server) compiledRun(ctx context.Context, r store.Run) (*compiledRun, error) {
	k := &s.compiled
	k.mu.Lock()
	c := k.byID[r.Pipeline]
	k.mu.Unlock()
	if c != nil {
		return c, nil
	}
	body, err := s.store.PipelineBody(ctx, r.Pipeline)
	if err != nil {
		return nil, err
	}
	p, err := scheduler.DecodePipeline(body)
	if err != nil {
		return nil, err
	}
	graph, err := pipeline.NewGraph(p)
	if err != nil {
		return nil, err
	}
	c = &compiledRun{p, graph}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID == nil {
		k.byID = map[int64]*compiledRun{}
	}
	if k.byID[r.Pipeline] == nil {
		k.last = append(k.last, r.Pipeline)
	}
	k.byID[r.Pipeline] = c
	if len(k.last) > keptPipelines {
		delete(k.byID, k.last[0])
		k.last = k.last[1:]
	}
	return c, nil
}
