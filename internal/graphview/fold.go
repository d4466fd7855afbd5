package graphview

import (
	"fmt"

	"refline/internal/pipeline"
)

// Folded is a pipeline in which many jobs of a stage with the same look are one.
type Folded struct {
	Pipeline *pipeline.Pipeline
	State    *pipeline.State
	// Jobs are the positions that each job of Pipeline has in the whole one.
	Jobs [][]int
}

// foldFrom is how many jobs of one look a stage has at least before they are one.
const foldFrom = 4

// Fold makes a drawing of many jobs readable: if there are more than most, those of a
// stage that look the same become one, named "24 passed". What failed or waits for a
// person stays by itself as long as there are few of them.
func Fold(p *pipeline.Pipeline, s *pipeline.State, most int, name func(look string) string) Folded {
	f := Folded{Pipeline: p, State: s, Jobs: make([][]int, len(p.Jobs))}
	for i := range p.Jobs {
		f.Jobs[i] = []int{i}
	}
	if len(p.Jobs) <= most || s == nil || len(s.Jobs) != len(p.Jobs) {
		return f
	}
	d := drawing{p: p, state: s}
	type group struct{ stage, look string }
	members := map[group][]int{}
	of := make([]group, len(p.Jobs))
	for i := range p.Jobs {
		of[i] = group{p.Jobs[i].Stage, d.look(i)}
		members[of[i]] = append(members[of[i]], i)
	}
	folds := func(g group) bool {
		n := len(members[g])
		if g.look == "failed" || g.look == "manual" {
			return n > most/4
		}
		return n >= foldFrom
	}
	out := &pipeline.Pipeline{Name: p.Name, Stages: p.Stages}
	state := &pipeline.State{Status: s.Status, Stages: s.Stages}
	f.Jobs = nil
	at := make([]int, len(p.Jobs)) // where each job is now
	done := map[group]int{}
	for i := range p.Jobs {
		g := of[i]
		if !folds(g) {
			at[i] = len(out.Jobs)
			out.Jobs = append(out.Jobs, p.Jobs[i])
			out.Jobs[at[i]].Needs = nil
			state.Jobs = append(state.Jobs, s.Jobs[i])
			f.Jobs = append(f.Jobs, []int{i})
			continue
		}
		k, known := done[g]
		if !known {
			k = len(out.Jobs)
			done[g] = k
			label := fmt.Sprintf("%d %s", len(members[g]), name(g.look))
			out.Jobs = append(out.Jobs, pipeline.Job{Name: unused(p, label, g.stage), Stage: g.stage, DAG: p.Jobs[i].DAG, AllowFailure: g.look == "warned"})
			state.Jobs = append(state.Jobs, pipeline.JobState{Status: s.Jobs[i].Status, AllowFailure: g.look == "warned"})
			f.Jobs = append(f.Jobs, members[g])
		}
		at[i] = k
	}
	f.Pipeline, f.State = out, state
	f.connect(p, at)
	return f
}

// connect gives the folded jobs the needs of their members. Needs within a stage of a
// job that stands for several could go in a circle and are left out.
func (f *Folded) connect(p *pipeline.Pipeline, at []int) {
	where := map[string]int{}
	for i := range p.Jobs {
		where[p.Jobs[i].Name] = i
	}
	seen := map[[2]int]bool{}
	for i := range p.Jobs {
		to := at[i]
		for _, need := range p.Jobs[i].Needs {
			n, ok := where[need.Job]
			if !ok || !need.Local() || at[n] == to || seen[[2]int{at[n], to}] {
				continue
			}
			if p.Jobs[n].Stage == p.Jobs[i].Stage && (len(f.Jobs[to]) > 1 || len(f.Jobs[at[n]]) > 1) {
				continue
			}
			seen[[2]int{at[n], to}] = true
			f.Pipeline.Jobs[to].Needs = append(f.Pipeline.Jobs[to].Needs, pipeline.Need{Job: f.Pipeline.Jobs[at[n]].Name})
		}
	}
}

// unused is a name that no job has: those of two stages may be the same.
func unused(p *pipeline.Pipeline, label, stage string) string {
	for i := range p.Jobs {
		if p.Jobs[i].Name == label {
			label += " "
		}
	}
	// Characters without width make it differ in each stage.
	for k, name := range p.Stages {
		if name == stage {
			for range k {
				label += "\u200b"
			}
		}
	}
	return label
}
