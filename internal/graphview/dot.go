package graphview

import (
	"fmt"
	"slices"
	"strings"

	"refline/internal/pipeline"
)

// DOT returns the pipeline as a Graphviz digraph: stages are clusters, needs are
// edges, and a dotted edge shows that a stage waits for the previous one.
func DOT(p *pipeline.Pipeline) string {
	var b strings.Builder
	b.WriteString("digraph pipeline {\n  rankdir=LR; compound=true;\n" +
		"  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n" +
		"  graph [fontname=\"sans-serif\", style=rounded, color=gray];\n")
	for k, stage := range p.Stages {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%s;\n", k, dotText(stage))
		for i := range p.Jobs {
			if j := &p.Jobs[i]; j.Stage == stage {
				fmt.Fprintf(&b, "    j%d [label=%s%s];\n", i, dotText(label(j)), dotStyle(j))
			}
		}
		b.WriteString("  }\n")
	}
	eachNeed(p, func(from, to int) { fmt.Fprintf(&b, "  j%d -> j%d;\n", from, to) })
	for k := range p.Stages {
		if k == 0 {
			continue
		}
		if from, to := firstJob(p, k-1), waitingJob(p, k); from >= 0 && to >= 0 {
			fmt.Fprintf(&b, "  j%d -> j%d [style=dotted, ltail=cluster_%d, lhead=cluster_%d];\n", from, to, k-1, k)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func firstJob(p *pipeline.Pipeline, k int) int {
	return slices.IndexFunc(p.Jobs, func(j pipeline.Job) bool { return j.Stage == p.Stages[k] })
}

func dotStyle(j *pipeline.Job) string {
	switch {
	case j.Downstream != nil:
		return ", peripheries=2"
	case j.When.Playable():
		return ", style=\"rounded,dashed\""
	default:
		return ""
	}
}

func dotText(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
