package pipeline

import (
	"cmp"
	"slices"

	"refline/internal/errs"
)

// Graph is a pipeline prepared for decisions: which job waits for which, by
// position. It never changes, so goroutines can share it. The pipeline must not
// change while a Graph uses it. Resource groups are compared as text, so the
// caller expands variables in them first.
type Graph struct {
	p       *Pipeline
	at      map[string]int   // job name → position
	stage   []int            // job → its stage
	needs   [][]int          // job → the jobs of this pipeline that it needs
	after   [][]int          // job → the jobs that need it
	stages  [][]int          // stage → its jobs, a needed job before the job that needs it
	groups  map[string][]int // resource group → the jobs that use it
	grouped []int            // all jobs with a resource group
}

// NewGraph prepares p. Errors are Invalid and mean that p was compiled wrongly:
// two jobs with one name, a stage that is not listed, a need that does not exist
// or is in a later stage, jobs that need each other.
func NewGraph(p *Pipeline) (*Graph, error) {
	n := len(p.Jobs)
	g := &Graph{
		p:      p,
		at:     make(map[string]int, n),
		stage:  make([]int, n),
		needs:  make([][]int, n),
		after:  make([][]int, n),
		stages: make([][]int, len(p.Stages)),
		groups: map[string][]int{},
	}
	stageAt := make(map[string]int, len(p.Stages))
	for i, name := range p.Stages {
		if _, twice := stageAt[name]; twice {
			return nil, errs.E(errs.Invalid, "two stages have the name %q", name)
		}
		stageAt[name] = i
	}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if _, twice := g.at[j.Name]; twice {
			return nil, errs.E(errs.Invalid, "two jobs have the name %q", j.Name)
		}
		stage, ok := stageAt[j.Stage]
		if !ok {
			return nil, errs.E(errs.Invalid, "job %q is in stage %q, which is not a stage of the pipeline", j.Name, j.Stage)
		}
		g.at[j.Name], g.stage[i] = i, stage
		if j.ResourceGroup != "" {
			g.groups[j.ResourceGroup] = append(g.groups[j.ResourceGroup], i)
			g.grouped = append(g.grouped, i)
		}
	}
	for i := range p.Jobs {
		if err := g.connect(i); err != nil {
			return nil, err
		}
	}
	if err := g.sort(); err != nil {
		return nil, err
	}
	return g, nil
}

// Needs returns the positions of the jobs that job i needs in this pipeline. The
// caller must not change the list.
func (g *Graph) Needs(i int) []int { return g.needs[i] }

// StageJobs returns the positions of the jobs of stage k, so that a job comes
// after the jobs of its stage that it needs. The caller must not change the list.
func (g *Graph) StageJobs(k int) []int { return g.stages[k] }

// connect sets the needs of job i.
func (g *Graph) connect(i int) error {
	job := &g.p.Jobs[i]
	for _, need := range job.Needs {
		if !need.Local() {
			continue // artifacts only: nothing to wait for
		}
		n, ok := g.at[need.Job]
		switch {
		case !ok && need.Optional:
			continue
		case !ok:
			return errs.E(errs.Invalid, "job %q needs %q, which is not in the pipeline", job.Name, need.Job)
		case g.stage[n] > g.stage[i]:
			return errs.E(errs.Invalid, "job %q needs %q, which is in a later stage", job.Name, need.Job)
		case slices.Contains(g.needs[i], n):
			continue
		}
		g.needs[i] = append(g.needs[i], n)
		g.after[n] = append(g.after[n], i)
	}
	return nil
}

// Local reports whether the need is a job of the same pipeline. Other needs only
// give artifacts, so nothing waits for them.
func (n Need) Local() bool { return n.Project == "" && n.Pipeline == "" }

// sort orders the jobs of each stage so that a job comes after the jobs of its
// stage that it needs, and otherwise as in the pipeline.
func (g *Graph) sort() error {
	n := len(g.p.Jobs)
	depth := make([]int, n)
	missing := make([]int, n) // needs of the same stage without a depth
	ready := make([]int, 0, n)
	for i := range n {
		for _, need := range g.needs[i] {
			if g.stage[need] == g.stage[i] {
				missing[i]++
			}
		}
		if missing[i] == 0 {
			ready = append(ready, i)
		}
		g.stages[g.stage[i]] = append(g.stages[g.stage[i]], i)
	}
	for k := 0; k < len(ready); k++ {
		i := ready[k]
		for _, next := range g.after[i] {
			if g.stage[next] != g.stage[i] {
				continue
			}
			depth[next] = max(depth[next], depth[i]+1)
			if missing[next]--; missing[next] == 0 {
				ready = append(ready, next)
			}
		}
	}
	if len(ready) < n {
		stuck := slices.IndexFunc(missing, func(m int) bool { return m > 0 })
		return errs.E(errs.Invalid, "the needs of job %q form a cycle", g.p.Jobs[stuck].Name)
	}
	for _, jobs := range g.stages {
		slices.SortStableFunc(jobs, func(a, b int) int { return cmp.Compare(depth[a], depth[b]) })
	}
	return nil
}

// position returns the position of a job; NotFound if there is none.
func (g *Graph) position(job string) (int, error) {
	i, ok := g.at[job]
	if !ok {
		return 0, ErrNotInPipeline(job)
	}
	return i, nil
}

// downstream calls do for all jobs after job i: every job of a later stage, and
// the jobs of its own stage that need it, directly or not. A needed job comes
// before the job that needs it.
func (g *Graph) downstream(i int, do func(int)) {
	first := g.stage[i]
	reached := map[int]bool{i: true}
	for _, j := range g.stages[first] {
		if slices.ContainsFunc(g.needs[j], func(n int) bool { return reached[n] }) {
			reached[j] = true
			do(j)
		}
	}
	for _, jobs := range g.stages[first+1:] {
		for _, j := range jobs {
			do(j)
		}
	}
}
