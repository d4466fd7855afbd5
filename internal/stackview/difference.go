package stackview

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
)

// Drift writes what was changed by hand, and how to put it back.
func Drift(w io.Writer, t *stack.Target, d stack.Drift) {
	fmt.Fprintf(w, "%s: %s\n", t.StackName, strings.ToLower(strings.ReplaceAll(d.Status, "_", " ")))
	if !d.Drifted() {
		return
	}
	for _, r := range d.Resources {
		fmt.Fprintf(w, "  ~ %s  %s  %s\n", planfile.Plain(r.LogicalID), planfile.Plain(r.Type), strings.ToLower(r.Status))
		for _, x := range r.Differences {
			fmt.Fprintf(w, "      %s  template %s, is %s\n", planfile.Plain(strings.TrimPrefix(x.Path, "/")),
				cmp.Or(planfile.Plain(x.Expected), "none"), cmp.Or(planfile.Plain(x.Actual), "none"))
		}
	}
	fmt.Fprintf(w, "to put it back: refline stack plan %s --env %s --revert-drift\n", t.Name, t.Env.Name)
}

// Diff writes how a repository's template differs from the deployed one.
func Diff(w io.Writer, d *stack.TemplateDiff) {
	switch {
	case !d.Exists:
		fmt.Fprintf(w, "%s: does not exist yet\n", d.StackName)
	case d.Same():
		fmt.Fprintf(w, "%s: the same\n", d.StackName)
		return
	default:
		fmt.Fprintf(w, "%s:\n", d.StackName)
	}
	for line := range strings.Lines(d.Text()) {
		fmt.Fprint(w, "  "+line)
	}
}
