package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"refline/internal/pipeline"
)

// chain is n stages with one job each.
func chain(n int) *pipeline.Pipeline {
	p := &pipeline.Pipeline{}
	for i := range n {
		stage := fmt.Sprintf("s%d", i)
		p.Stages = append(p.Stages, stage)
		p.Jobs = append(p.Jobs, pipeline.Job{Name: fmt.Sprintf("j%d", i), Stage: stage, When: pipeline.WhenOnSuccess})
	}
	return p
}

// dag is n jobs in 50 stages; each job needs five jobs of the previous stage.
func dag(n int) *pipeline.Pipeline {
	r := rand.New(rand.NewPCG(1, 2))
	p := &pipeline.Pipeline{}
	wide := n / 50
	for i := range n {
		if i%wide == 0 {
			p.Stages = append(p.Stages, fmt.Sprintf("s%d", i/wide))
		}
		job := pipeline.Job{Name: fmt.Sprintf("j%d", i), Stage: p.Stages[i/wide], When: pipeline.WhenOnSuccess, DAG: true}
		for range 5 {
			if i >= wide {
				job.Needs = append(job.Needs, pipeline.Need{Job: fmt.Sprintf("j%d", (i/wide-1)*wide+r.IntN(wide))})
			}
		}
		p.Jobs = append(p.Jobs, job)
	}
	return p
}

// BenchmarkAdvance is the cost of one event by the size of the pipeline. Most of
// it is the copy of the state.
func BenchmarkAdvance(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		for _, shape := range []struct {
			name string
			p    *pipeline.Pipeline
		}{{"chain", chain(n)}, {"dag", dag(n)}} {
			g, err := pipeline.NewGraph(shape.p)
			if err != nil {
				b.Fatal(err)
			}
			s, _, err := g.Advance(pipeline.State{}, pipeline.Event{Kind: pipeline.EventCreate})
			if err != nil {
				b.Fatal(err)
			}
			start := pipeline.Event{Kind: pipeline.EventStart, Job: shape.p.Jobs[0].Name}
			b.Run(fmt.Sprintf("%s-%d", shape.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := g.Advance(s, start); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkRun plays whole runs in which every job starts and succeeds. ns/event is
// the cost of one Advance.
func BenchmarkRun(b *testing.B) {
	for _, bench := range []struct {
		name string
		p    *pipeline.Pipeline
	}{
		{"chain-100", chain(100)},
		{"dag-5000", dag(5000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			events := 0
			for b.Loop() {
				events += runAll(b, bench.p)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
		})
	}
}

func runAll(b *testing.B, p *pipeline.Pipeline) (events int) {
	b.Helper()
	g, err := pipeline.NewGraph(p)
	if err != nil {
		b.Fatal(err)
	}
	s, todo, err := g.Advance(pipeline.State{}, pipeline.Event{Kind: pipeline.EventCreate})
	for ; len(todo) > 0 && err == nil; events += 2 {
		job := todo[0].Job
		var started, more []pipeline.Change
		s, started, err = g.Advance(s, pipeline.Event{Kind: pipeline.EventStart, Job: job})
		if err != nil || len(started) != 1 {
			b.Fatal(started, err)
		}
		s, more, err = g.Advance(s, pipeline.Event{Kind: pipeline.EventSucceed, Job: job})
		todo = todo[1:]
		for _, c := range more {
			if c.To == pipeline.StatusPending {
				todo = append(todo, c)
			}
		}
	}
	if err != nil || s.Status != pipeline.StatusSuccess {
		b.Fatalf("the run ended with status %s, error %v", s.Status, err)
	}
	return events + 1
}

func BenchmarkNewGraph(b *testing.B) {
	p := dag(5000)
	for b.Loop() {
		if _, err := pipeline.NewGraph(p); err != nil {
			b.Fatal(err)
		}
	}
}
