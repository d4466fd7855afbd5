package stack

import (
	"fmt"
	"strconv"
	"strings"
)

// GraphFormat is a way to write a graph.
type GraphFormat string

// The formats.
const (
	GraphText    GraphFormat = "text"
	GraphDOT     GraphFormat = "dot"
	GraphMermaid GraphFormat = "mermaid"
)

// Graph draws which stacks of an environment wait for which, and by which
// outputs.
func (c *Config) Graph(e *Environment, f GraphFormat) string {
	var b strings.Builder
	switch f {
	case GraphDOT:
		b.WriteString("digraph stacks {\n  rankdir=LR;\n")
	case GraphMermaid:
		b.WriteString("graph LR\n")
	}
	for _, d := range c.ordered(e) {
		t := c.Target(d, e)
		switch f {
		case GraphDOT:
			fmt.Fprintf(&b, "  %s [label=%s];\n", strconv.Quote(d.Name), strconv.Quote(t.StackName))
		case GraphMermaid:
			fmt.Fprintf(&b, "  %s[%s]\n", d.Name, t.StackName)
		default:
			fmt.Fprintf(&b, "%s  %s\n", d.Name, t.StackName)
		}
		for _, need := range c.needs(d, e) {
			label := strings.Join(c.outputsOf(t, need), ", ")
			switch f {
			case GraphDOT:
				fmt.Fprintf(&b, "  %s -> %s [label=%s];\n", strconv.Quote(need), strconv.Quote(d.Name), strconv.Quote(label))
			case GraphMermaid:
				if label != "" {
					label = "|" + label + "|"
				}
				fmt.Fprintf(&b, "  %s -->%s %s\n", need, label, d.Name)
			default:
				if label != "" {
					label = " by " + label
				}
				fmt.Fprintf(&b, "  after %s%s\n", need, label)
			}
		}
	}
	if f == GraphDOT {
		b.WriteString("}\n")
	}
	return b.String()
}

// outputsOf lists the outputs of another stack that a target takes.
func (c *Config) outputsOf(t *Target, name string) []string {
	var out []string
	for _, values := range [][]Value{t.Parameters, t.Tags} {
		for _, v := range values {
			if v.Output.Stack == name {
				out = append(out, v.Output.Key)
			}
		}
	}
	return out
}
