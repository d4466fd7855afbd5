package gitlabci

import (
	"slices"
	"strings"

	"refline/internal/pipeline"
)

// checkVariables reports variables of a job that form a cycle. GitLab creates no
// pipeline for them.
func (c *compiler) checkVariables(in *instance) {
	vars := in.job.Variables
	if !slices.ContainsFunc(vars, refers) {
		return
	}
	links := cycleFinder{values: make(map[string]*pipeline.Variable, len(vars)), state: make(map[string]int8, len(vars))}
	add := func(v *pipeline.Variable) {
		if refers(*v) {
			links.values[v.Name] = v
		}
	}
	for i := range vars {
		if c.conditions.outside.above[vars[i].Name] == nil {
			add(&vars[i])
		}
	}
	for _, v := range c.conditions.outside.above {
		add(v)
	}
	for i := range vars {
		links.visit(vars[i].Name)
	}
	for _, cycle := range links.cycles {
		c.variableCycle(in, cycle)
	}
}

// refers reports whether the value of v may be replaced by those of others.
func refers(v pipeline.Variable) bool {
	return !v.Raw && !v.File && strings.ContainsAny(v.Value, "$%")
}

// maxCycles is how many cycles are reported for one job.
const maxCycles = 20

// cycleFinder follows references from variable to variable. It does not expand
// values, which may grow without bound. A variable that refers to itself is not a
// cycle: see [pipeline.ExpandAll].
type cycleFinder struct {
	values map[string]*pipeline.Variable // those that refer to others
	state  map[string]int8               // 0 not begun, 1 begun, 2 done
	path   []string
	cycles [][]string
}

func (f *cycleFinder) visit(name string) {
	v := f.values[name]
	if v == nil || f.state[name] != 0 {
		return
	}
	f.state[name] = 1
	f.path = append(f.path, name)
	pipeline.Expand(v.Value, func(next string) (string, bool) {
		switch {
		case next == name || len(f.cycles) >= maxCycles:
		case f.state[next] == 1:
			f.cycles = append(f.cycles, slices.Clone(f.path[slices.Index(f.path, next):]))
		default:
			f.visit(next)
		}
		return "", true
	})
	f.path = f.path[:len(f.path)-1]
	f.state[name] = 2
}

// variableCycle reports a cycle at the first of its variables in the job, otherwise
// at the top-level one, once for all jobs.
func (c *compiler) variableCycle(in *instance, cycle []string) {
	cycle = rotated(cycle)
	shown := append(slices.Clone(cycle), cycle[0])
	if len(shown) > 10 {
		shown = append(shown[:9], "…")
	}
	r := c.reader("")
	at := c.root.get("variables")
	places := []*node{in.rule.get("variables"), in.of.node.get("variables"), c.workflowRule.get("variables"), at}
	for i, place := range places {
		k := slices.IndexFunc(cycle, func(name string) bool { return place.get(name) != nil })
		if k < 0 {
			continue
		}
		at = place.get(cycle[k])
		if i < 2 {
			r = in.of.r
		}
		break
	}
	if absent(at) { // of a matrix
		r, at = in.of.r, in.of.node
	}
	if r.errorf(at, "variables", "variables", "form a cycle: %s", strings.Join(shown, " → ")) {
		c.f.hint("give one of them a value that does not lead back to it")
	}
}

// rotated starts a cycle with its smallest name, so that it is the same wherever the
// search began.
func rotated(cycle []string) []string {
	i := slices.Index(cycle, slices.Min(cycle))
	return append(slices.Clone(cycle[i:]), cycle[:i]...)
}
