package stackview

import (
	"fmt"
	"io"
	"strconv"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
)

// Status writes the state of an environment's stacks, and for each that needs
// attention what to do.
func Status(w io.Writer, env string, list []*stack.TargetStatus) error {
	tab := newTable()
	for _, x := range list {
		if !x.Exists {
			tab.row("  –", x.Target.StackName, "does not exist", "refline stack plan "+x.Target.Name+" --env "+env)
			continue
		}
		tab.row("  "+symbol(x.Stack.Status), x.Target.StackName, string(x.Stack.Status), contents(x))
	}
	if err := tab.print(w); err != nil {
		return err
	}
	for _, x := range list {
		if x.Recovery != nil {
			fmt.Fprintf(w, "%s: %s\n", x.Target.StackName, x.Recovery)
		}
	}
	return nil
}

// contents are "3 resources, 1 plan waiting, drifted".
func contents(x *stack.TargetStatus) string {
	text := Count(len(x.Resources), "resource")
	waiting := 0
	for _, p := range x.Pending {
		if p.Waits() {
			waiting++
		}
	}
	if waiting > 0 {
		text += ", " + Count(waiting, "plan") + " waiting"
	}
	if stale := len(x.Pending) - waiting; stale > 0 {
		text += ", " + strconv.Itoa(stale) + " stale"
	}
	if x.Stack.DriftStatus == "DRIFTED" {
		text += ", drifted"
	}
	return text
}

// Events writes what happened to a stack, one event a line.
func Events(w io.Writer, list []stack.Event) error {
	tab := newTable()
	for _, x := range list {
		tab.row(timestamp(x.Time), symbol(x.Status)+" "+planfile.Plain(x.LogicalID), planfile.Plain(x.Type), string(x.Status), planfile.Plain(x.Reason))
	}
	return tab.print(w)
}

// Outputs writes a stack's outputs, one a line.
func Outputs(w io.Writer, list []stack.Output) error {
	tab := newTable()
	for _, x := range list {
		tab.row(planfile.Plain(x.Key), planfile.Plain(x.Value), planfile.Plain(x.Description))
	}
	return tab.print(w)
}

// Plans writes plans that wait, one a line.
func Plans(w io.Writer, list []stack.PendingPlan) error {
	tab := newTable()
	for _, p := range list {
		tab.row(timestamp(p.Created), p.Name, p.State(), planfile.Plain(p.Description))
	}
	return tab.print(w)
}
