package variable

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/secret"
)

// Outcome says what happens to a variable that is pulled or pushed.
type Outcome string

// The outcomes.
const (
	OutcomeNew     Outcome = "new"
	OutcomeChanged Outcome = "changed"
	OutcomeSame    Outcome = "same"
	OutcomeRefused Outcome = "refused"
)

// Change is the outcome for one variable.
type Change struct {
	Outcome  Outcome
	Variable secret.Variable
	Note     string // why it is refused, or what to know
}

// Missing returns the first of the names that no variable of the list has; ""
// if all are there.
func Missing(names []string, list []secret.Variable) string {
	for _, n := range names {
		if !slices.ContainsFunc(list, func(v secret.Variable) bool { return v.Name == n }) {
			return n
		}
	}
	return ""
}

func selected(names []string, v secret.Variable) bool {
	return len(names) == 0 || slices.Contains(names, v.Name)
}

func same(a, b secret.Variable) bool {
	equal := a.Value.Equal(b.Value)
	a.Value, b.Value = secret.Value{}, secret.Value{}
	return equal && fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b)
}

// Pull puts a project's variables into the file: those with the names, or all
// without names. What only the file has stays.
func (f *File) Pull(there []forge.ProjectVariable, names []string) ([]Change, error) {
	var out []Change
	for _, x := range there {
		if !selected(names, x.Variable) {
			continue
		}
		c := f.pullOne(x)
		if c.Outcome == OutcomeNew || c.Outcome == OutcomeChanged {
			if err := f.Put(x.Variable); err != nil {
				return out, err
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func (f *File) pullOne(x forge.ProjectVariable) Change {
	c := Change{Outcome: OutcomeNew, Variable: x.Variable}
	i := f.Index(x.Variable)
	switch {
	case x.Hidden && i >= 0:
		c.Outcome, c.Note = OutcomeRefused, "GitLab does not return hidden values; the value here stays"
	case x.Hidden:
		c.Outcome, c.Note = OutcomeRefused, "GitLab does not return hidden values"
	case i >= 0 && same(f.Variables[i], x.Variable):
		c.Outcome = OutcomeSame
	case i >= 0:
		c.Outcome = OutcomeChanged
	}
	return c
}

// Push writes variables to a project: those with the names, or all without
// names. What only the project has stays. With dryRun nothing is written.
func Push(ctx context.Context, project *forge.GitLab, list []secret.Variable, names []string, dryRun bool) ([]Change, error) {
	there, err := project.Variables(ctx)
	if err != nil {
		return nil, err
	}
	var out []Change
	var failed []error
	for _, x := range list {
		if !selected(names, x) {
			continue
		}
		c, update := pushOne(there, x)
		if !dryRun && (c.Outcome == OutcomeNew || c.Outcome == OutcomeChanged) {
			write := project.Create
			if update {
				write = project.Update
			}
			if err := write(ctx, forge.ProjectVariable{Variable: x}); err != nil {
				failed = append(failed, err)
				continue
			}
		}
		out = append(out, c)
	}
	return out, errors.Join(failed...)
}

func pushOne(there []forge.ProjectVariable, x secret.Variable) (c Change, update bool) {
	c = Change{Outcome: OutcomeNew, Variable: x}
	if c.Note = forge.GitLabRefuses(x); c.Note != "" {
		c.Outcome = OutcomeRefused
		return c, false
	}
	i := slices.IndexFunc(there, func(have forge.ProjectVariable) bool { return sameID(have.Variable, x) })
	switch {
	case i < 0:
		return c, false
	case there[i].Hidden:
		c.Outcome, c.Note = OutcomeChanged, "hidden on GitLab, so it cannot be compared: written"
	case same(there[i].Variable, x):
		c.Outcome = OutcomeSame
	default:
		c.Outcome = OutcomeChanged
	}
	return c, true
}

// Create makes variables in a project: all of them, or none if GitLab would
// refuse one or has one already. shown names the project in messages.
func Create(ctx context.Context, project *forge.GitLab, shown string, list []secret.Variable) error {
	there, err := project.Variables(ctx)
	if err != nil {
		return err
	}
	var refused []error
	for _, x := range list {
		if why := forge.GitLabRefuses(x); why != "" {
			refused = append(refused, errs.E(errs.Invalid, "%s: %s", x.Name, why))
		}
		if slices.ContainsFunc(there, func(have forge.ProjectVariable) bool { return sameID(have.Variable, x) }) {
			refused = append(refused, errs.E(errs.Conflict, "%s is in %s already", x.Name, shown))
		}
	}
	if err := errors.Join(refused...); err != nil {
		return err
	}
	for _, x := range list {
		if err := project.Create(ctx, forge.ProjectVariable{Variable: x}); err != nil {
			return err
		}
	}
	return nil
}
