package variable

import (
	"slices"
	"strings"

	"refline/internal/secret"
)

// Settings are what a user says about a variable beside its value; nil is nothing.
type Settings struct {
	Masked, Protected, Raw, AsFile *bool
	Description                    *string
}

// With returns the variable of a name and environment with another value: the
// file's own if it has one, else a new one that is masked and raw.
func (f *File) With(name, environment string, value secret.Value, s Settings) secret.Variable {
	x := secret.Variable{Name: name, Environment: environment, Masked: true, Raw: true}
	if i := f.Index(x); i >= 0 {
		x = f.Variables[i]
	}
	x.Value = value
	for _, set := range []struct{ to, from *bool }{{&x.Masked, s.Masked}, {&x.Protected, s.Protected}, {&x.Raw, s.Raw}, {&x.File, s.AsFile}} {
		if set.from != nil {
			*set.to = *set.from
		}
	}
	if s.Description != nil {
		x.Description = *s.Description
	}
	return x
}

// Listed is a variable without its value.
type Listed struct {
	Name        string `json:"name"`
	Environment string `json:"environment"`
	Masked      bool   `json:"masked"`
	Protected   bool   `json:"protected"`
	Raw         bool   `json:"raw"`
	File        bool   `json:"file"`
	Bytes       int    `json:"bytes"`
	Description string `json:"description,omitempty"`
}

// List returns the variables by name and environment.
func List(variables []secret.Variable) []Listed {
	list := make([]Listed, len(variables))
	for i, x := range variables {
		list[i] = Listed{x.Name, x.Environment, x.Masked, x.Protected, x.Raw, x.File, x.Value.Len(), x.Description}
	}
	slices.SortStableFunc(list, func(a, b Listed) int {
		return strings.Compare(a.Name+"\x00"+a.Environment, b.Name+"\x00"+b.Environment)
	})
	return list
}

// Kind is "masked, protected" or the like.
func (x *Listed) Kind() string {
	var words []string
	for _, k := range []struct {
		is   bool
		word string
	}{{x.Masked, "masked"}, {!x.Masked, "visible"}, {x.Protected, "protected"}, {!x.Raw, "expanded"}, {x.File, "file"}} {
		if k.is {
			words = append(words, k.word)
		}
	}
	return strings.Join(words, ", ")
}

// Find returns the variables of a name; with an environment only that of this
// scope.
func Find(variables []secret.Variable, name, environment string) []secret.Variable {
	var found []secret.Variable
	for _, x := range variables {
		if x.Name == name && (environment == "" || x.Environment == environment) {
			found = append(found, x)
		}
	}
	return found
}

// Taken is what became of variables that were imported.
type Taken struct {
	Count   int
	Masked  []secret.Variable
	Visible []string // names that could not be masked
	Hidden  []string // names without a value in the export
}

// Take puts imported variables into the file. Lines get an environment and the
// settings, and are masked if maskable accepts them.
func (f *File) Take(list []Imported, environment string, s Settings, maskable func(secret.Variable) error) (Taken, error) {
	var t Taken
	for _, in := range list {
		if in.Hidden {
			t.Hidden = append(t.Hidden, in.Name)
			continue
		}
		x := in.Variable
		if in.Line {
			x = f.With(in.Name, environment, x.Value, s)
			if x.Masked && maskable(x) != nil {
				x.Masked = false
				t.Visible = append(t.Visible, in.Name)
			}
		}
		if x.Masked {
			t.Masked = append(t.Masked, x)
		}
		if err := f.Put(x); err != nil {
			return t, err
		}
		t.Count++
	}
	slices.Sort(t.Visible)
	return t, nil
}
