package engine

import (
	"fmt"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// imageNames says what is wrong with the names of the job's image and services
// once their variables are in place: a name that is empty is an error. For
// others that cannot be, hint says which variables were empty.
func (a *attempt) imageNames() (hint string, err error) {
	var hints []string
	check := func(what, written string) {
		empty := a.emptyVariables(written)
		why := strings.Join(empty, " and ")
		switch {
		case err != nil:
		case strings.TrimSpace(a.expand(written)) == "" && why != "":
			err = errs.E(errs.Invalid, "job %q: %s is %q, and %s is not set or empty; give it: --var %s=VALUE", a.Job.Name, what, written, why, empty[0])
		case strings.TrimSpace(a.expand(written)) == "":
			err = errs.E(errs.Invalid, "job %q: %s has no name", a.Job.Name, what)
		case why != "":
			hints = append(hints, fmt.Sprintf("in %s %q %s is not set or empty", what, written, why))
		}
	}
	if a.Job.Image != nil {
		check("image", a.Job.Image.Name)
	}
	for i, s := range a.Job.Services {
		check(fmt.Sprintf("service %d", i+1), s.Name)
	}
	return strings.Join(hints, "; "), err
}

// emptyVariables are those of a text that have no value, in its order.
func (a *attempt) emptyVariables(text string) []string {
	var names []string
	pipeline.Resolve(text, func(name string) (string, bool) {
		value, ok := a.lookup[name]
		if value == "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return value, ok
	})
	return names
}
