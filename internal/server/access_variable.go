package server

import (
	"context"
	"fmt"

	"refline/internal/errs"
	"refline/internal/mask"
	"refline/internal/secret"
	"refline/internal/store"
)

const (
	maxVariableSize = 1 << 20
	maxVariables    = 2000 // of a project
	maxDescription  = 1000
)

// VariableInput sets a variable. What is nil stays as it is; a new variable needs a
// value, and is masked and not expanded unless it says otherwise.
type VariableInput struct {
	Name        string
	Environment string // "": all
	Value       *secret.Value
	Protected   *bool
	Masked      *bool
	Hidden      *bool
	File        *bool
	Raw         *bool
	Description *string
}

// Variables returns the variables of a project, 0 for those of the server, without
// their values: nothing shows a value again.
func (a *Access) Variables(ctx context.Context, project int64) ([]store.Variable, error) {
	return a.store.Variables(ctx, project)
}

// SetVariable makes or changes a variable of a project, 0 for one of the server.
func (a *Access) SetVariable(ctx context.Context, actor Actor, project int64, in VariableInput) (store.Variable, error) {
	if in.Environment == "" {
		in.Environment = secret.AnyEnvironment
	}
	list, err := a.store.Variables(ctx, project)
	if err != nil {
		return store.Variable{}, err
	}
	ids, err := a.store.NewIDs(ctx, "variable", 1)
	if err != nil {
		return store.Variable{}, err
	}
	// A key that is rotated meanwhile would be gone when the value is written.
	a.mu.RLock()
	defer a.mu.RUnlock()
	var v store.Variable
	err = a.change(ctx, func(tx *store.Tx, t *trail) error {
		have, err := tx.LockVariable(ctx, project, in.Name, in.Environment)
		if err != nil {
			return err
		}
		if have == nil && len(list) >= maxVariables {
			return errs.E(errs.Conflict, "there are %d variables already, the most there can be; remove some", len(list))
		}
		if v, err = a.changed(have, in); err != nil {
			return err
		}
		action := "variable.change"
		if have == nil {
			action = "variable.create"
			v.ID, v.Project, v.Created = ids[0], project, t.now
		}
		v.Version++
		v.Updated = t.now
		value := v.Value
		v.Value = secret.Value{}
		if v.Sealed, err = a.vault.Seal(v.Place(), value); err != nil {
			return err
		}
		t.add(actor, action, project, variableObject(v), variableDetail(v, in.Value != nil))
		return tx.PutVariable(ctx, v)
	})
	return v, err
}

// changed is the variable with what the input says, its value in clear.
func (a *Access) changed(have *store.Variable, in VariableInput) (store.Variable, error) {
	v := store.Variable{Variable: secret.Variable{Name: in.Name, Environment: in.Environment, Masked: true, Raw: true}}
	if have != nil {
		v = *have
	}
	switch {
	case in.Value != nil:
		v.Value = *in.Value
	case have == nil:
		return v, errs.E(errs.NotFound, "variable %s does not exist yet, so it needs a value", in.Name)
	default:
		// The value is encrypted anew, because it is bound to the flags.
		value, err := a.vault.Open(have.Place(), have.Sealed)
		if err != nil {
			return v, err
		}
		v.Value = value
	}
	for to, from := range map[*bool]*bool{&v.Protected: in.Protected, &v.Masked: in.Masked, &v.Hidden: in.Hidden, &v.File: in.File, &v.Raw: in.Raw} {
		if from != nil {
			*to = *from
		}
	}
	if in.Description != nil {
		v.Description = *in.Description
	}
	v.Size = int64(v.Value.Len())
	switch {
	case v.Size > maxVariableSize:
		return v, errs.E(errs.Invalid, "variable %s has %d bytes; a variable holds at most 1 MiB", v.Name, v.Size)
	case len(v.Description) > maxDescription:
		return v, errs.E(errs.Invalid, "the description of variable %s has more than %d bytes", v.Name, maxDescription)
	case v.Hidden && !v.Masked:
		return v, errs.E(errs.Invalid, "variable %s: a hidden variable is masked too", v.Name)
	}
	if err := v.Check(); err != nil {
		return v, err
	}
	if v.Masked {
		if err := new(mask.Set).Add(v.Name, v.Value.Reveal()); err != nil {
			return v, withHint(errs.E(errs.Invalid, "%w", err), "to keep it unmasked, set masked to false (--visible)")
		}
	}
	return v, nil
}

// RemoveVariable removes a variable.
func (a *Access) RemoveVariable(ctx context.Context, actor Actor, project int64, name, environment string) error {
	if environment == "" {
		environment = secret.AnyEnvironment
	}
	return a.change(ctx, func(tx *store.Tx, t *trail) error {
		v, err := tx.LockVariable(ctx, project, name, environment)
		if err != nil {
			return err
		}
		if v == nil {
			return a.noVariable(ctx, project, name, environment)
		}
		t.add(actor, "variable.remove", project, variableObject(*v), "")
		return tx.RemoveVariable(ctx, v.ID)
	})
}

// noVariable names the environments that there are of a name.
func (a *Access) noVariable(ctx context.Context, project int64, name, environment string) error {
	list, err := a.store.Variables(ctx, project)
	if err != nil {
		return err
	}
	var others []string
	for _, v := range list {
		if v.Name == name {
			others = append(others, v.Environment)
		}
	}
	if others != nil {
		return errs.E(errs.NotFound, "there is no variable %s for environment %s, but for %s", name, environment, joinWords(others))
	}
	where, flag, err := a.ofProject(ctx, project)
	if err != nil {
		return err
	}
	return errs.E(errs.NotFound, "there is no variable %s of %s; list them: refline var list --server%s", name, where, flag)
}

// ofProject names whose variables are meant, and the flag that says so.
func (a *Access) ofProject(ctx context.Context, project int64) (where, flag string, err error) {
	if project == 0 {
		return "the server", "", nil
	}
	p, err := a.store.Project(ctx, project)
	return "project " + p.Name, " --project " + p.Name, err
}

func variableObject(v store.Variable) string {
	if v.Environment == secret.AnyEnvironment {
		return "variable " + v.Name
	}
	return fmt.Sprintf("variable %s for %s", v.Name, v.Environment)
}

func variableDetail(v store.Variable, value bool) string {
	words := []string{fmt.Sprintf("version %d", v.Version)}
	for word, is := range map[string]bool{"value set": value, "protected": v.Protected, "masked": v.Masked, "hidden": v.Hidden, "file": v.File, "expanded": !v.Raw} {
		if is {
			words = append(words, word)
		}
	}
	return joinWords(words)
}
