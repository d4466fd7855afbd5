package graphview

import (
	"fmt"
	"slices"
	"strings"

	"refline/internal/pipeline"
)

// Mermaid returns the pipeline as a Mermaid flowchart: stages are subgraphs,
// needs are arrows, and a dotted arrow shows that a stage waits for the previous
// one.
func Mermaid(p *pipeline.Pipeline) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for k, stage := range p.Stages {
		fmt.Fprintf(&b, "  subgraph s%d[%s]\n", k, mermaidText(stage))
		for i := range p.Jobs {
			if j := &p.Jobs[i]; j.Stage == stage {
				left, right := mermaidShape(j)
				fmt.Fprintf(&b, "    j%d%s%s%s\n", i, left, mermaidText(label(j)), right)
			}
		}
		b.WriteString("  end\n")
	}
	eachNeed(p, func(from, to int) { fmt.Fprintf(&b, "  j%d --> j%d\n", from, to) })
	for k := range p.Stages {
		if k > 0 && waitingJob(p, k) >= 0 {
			fmt.Fprintf(&b, "  s%d -.-> s%d\n", k-1, k)
		}
	}
	return b.String()
}

func mermaidShape(j *pipeline.Job) (left, right string) {
	switch {
	case j.Downstream != nil:
		return "[[", "]]"
	case j.When.Playable():
		return "([", "])"
	default:
		return "[", "]"
	}
}

// mermaidText quotes text so that no part of it is read as syntax, HTML or
// Markdown.
func mermaidText(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r < ' ':
			b.WriteByte(' ')
		case strings.ContainsRune("\"#&<>`\\*_", r):
			fmt.Fprintf(&b, "#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// label is a job's name, with its when unless that is the default.
func label(j *pipeline.Job) string {
	if j.When == pipeline.WhenOnSuccess || j.When == "" {
		return j.Name
	}
	return j.Name + " (" + strings.ReplaceAll(string(j.When), "_", " ") + ")"
}

// eachNeed calls edge for each need within the pipeline, by position.
func eachNeed(p *pipeline.Pipeline, edge func(from, to int)) {
	at := make(map[string]int, len(p.Jobs))
	for i := range p.Jobs {
		at[p.Jobs[i].Name] = i
	}
	for i := range p.Jobs {
		for _, need := range p.Jobs[i].Needs {
			if n, ok := at[need.Job]; ok && need.Local() {
				edge(n, i)
			}
		}
	}
}

// waitingJob returns the position of a job of stage k that waits for the previous
// stages; -1 if there is none.
func waitingJob(p *pipeline.Pipeline, k int) int {
	return slices.IndexFunc(p.Jobs, func(j pipeline.Job) bool { return j.Stage == p.Stages[k] && !j.DAG })
}
