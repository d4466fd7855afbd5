package stackview

import (
	"fmt"
	"io"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
)

// Words are what is said of an operation that went well.
type Words struct {
	Done    string // "is deployed"
	Nothing string // there was nothing to do
}

// Deployment sums up an operation: the result first, then its cause, then what
// to do.
func Deployment(w io.Writer, d *stack.Deployment, words Words) {
	took := ""
	if d.Took > 0 {
		took = " in " + duration(d.Took)
	}
	switch {
	case d.Empty:
		fmt.Fprintf(w, "%s: %s\n", d.StackName, words.Nothing)
	case d.Good:
		fmt.Fprintf(w, "%s %s%s\n", d.StackName, words.Done, took)
		retained(w, d)
		for _, o := range d.Outputs {
			fmt.Fprintf(w, "  %s = %s\n", planfile.Plain(o.Key), planfile.Plain(o.Value))
		}
	default:
		fmt.Fprintf(w, "%s failed%s: %s\n", d.StackName, took, d.Status)
		causes(w, d.Causes)
		retained(w, d)
		if d.Recovery != nil {
			fmt.Fprintf(w, "  now: %s\n", d.Recovery)
		}
	}
}

func causes(w io.Writer, list []stack.Cause) {
	for i, c := range list {
		label := "root cause"
		if i > 0 {
			label = "then"
		}
		fmt.Fprintf(w, "  %s: %s (%s) %s: %s\n", label, planfile.Plain(c.ID), planfile.Plain(c.Type), c.Status, planfile.Plain(c.Reason))
		if c.Place != nil {
			fmt.Fprintf(w, "    %s\n", c.Place)
		}
		if c.Hint != "" {
			fmt.Fprintf(w, "    %s\n", c.Hint)
		}
	}
}

// retained lists what exists and is in no stack any more.
func retained(w io.Writer, d *stack.Deployment) {
	for _, r := range d.Retained {
		fmt.Fprintf(w, "  kept, in no stack: %s\n", planfile.Plain(r.String()))
	}
}
