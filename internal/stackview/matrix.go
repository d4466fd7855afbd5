package stackview

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"refline/internal/stack"
)

// Matrix writes which stacks go to which environments, and what a ref does there.
// ref is "" if there is none.
func Matrix(w io.Writer, o stack.Overview, ref string) error {
	fmt.Fprintf(w, "%s · %s\n", o.File, cmp.Or(ref, "no ref"))
	tab := newTable()
	row := func(name string, of func(stack.EnvironmentOverview) string) {
		cells := []string{"  " + name}
		for _, env := range o.Environments {
			cells = append(cells, of(env))
		}
		tab.row(cells...)
	}
	row("stack", func(e stack.EnvironmentOverview) string { return e.Name })
	for _, name := range o.Stacks {
		row(name, func(e stack.EnvironmentOverview) string { return cmp.Or(e.Stacks[name], "–") })
	}
	row("account", func(e stack.EnvironmentOverview) string { return e.Account })
	row("region", func(e stack.EnvironmentOverview) string { return e.Region })
	row("refs", func(e stack.EnvironmentOverview) string { return cmp.Or(strings.Join(e.Refs, ", "), "none") })
	row("here", func(e stack.EnvironmentOverview) string { return string(e.Mode) })
	return tab.print(w)
}
