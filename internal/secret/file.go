package secret

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"refline/internal/errs"
)

// File is the content of a file of variables.
type File struct {
	Variables []Variable
	Protected ProtectedRefs

	// Recipients are those who can open the file: public keys of age (age1…).
	// With none, it is written plain.
	Recipients []string
}

// The form of the file.
type (
	fileYAML struct {
		Recipients []string       `yaml:"recipients,omitempty"`
		Protected  protectedYAML  `yaml:"protected,omitempty"`
		Variables  []variableYAML `yaml:"variables"`
	}
	protectedYAML struct {
		Branches []string `yaml:"branches,omitempty"`
		Tags     []string `yaml:"tags,omitempty"`
	}
	variableYAML struct {
		Name        string `yaml:"name"`
		Value       string `yaml:"value"`
		Environment string `yaml:"environment,omitempty"`
		Protected   bool   `yaml:"protected,omitempty"`
		Masked      bool   `yaml:"masked,omitempty"`
		Raw         bool   `yaml:"raw,omitempty"`
		File        bool   `yaml:"file,omitempty"`
		Description string `yaml:"description,omitempty"`
	}
)

// Parse reads the YAML of a file of variables:
//
//	protected: {branches: [main, release/*], tags: [v*]}
//	variables:
//	  - name: DEPLOY_TOKEN
//	    value: …
//	    environment: production/*   # all environments when left out
//	    protected: true
//	    masked: true
//
// Name goes into messages. The error is errs.Invalid, says all that is wrong
// with the place of each, and quotes no value.
func Parse(name string, data []byte) (*File, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, errs.E(errs.Invalid, "%s: this is not YAML; %s", name, placeOf(err))
	}
	f := &File{}
	if len(doc.Content) == 0 {
		return f, nil
	}
	r := reader{name: name}
	r.mapping(doc.Content[0], map[string]func(*yaml.Node){
		"recipients": func(n *yaml.Node) { f.Recipients = r.texts(n) },
		"protected": func(n *yaml.Node) {
			r.mapping(n, map[string]func(*yaml.Node){
				"branches": func(n *yaml.Node) { f.Protected.Branches = r.texts(n) },
				"tags":     func(n *yaml.Node) { f.Protected.Tags = r.texts(n) },
			})
		},
		"variables": func(n *yaml.Node) { f.Variables = r.variables(n) },
	})
	if len(r.errors) > 0 {
		return nil, errors.Join(r.errors...)
	}
	return f, nil
}

// placeOf keeps the line of an error of the YAML parser. Its text may quote
// the file.
func placeOf(err error) string {
	var line int
	for _, word := range strings.Fields(err.Error()) {
		if _, e := fmt.Sscanf(word, "%d", &line); e == nil {
			return fmt.Sprintf("see line %d", line)
		}
	}
	return "see its start"
}

// reader turns nodes into values and collects what is wrong.
type reader struct {
	name   string
	errors []error
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errors = append(r.errors, errs.E(errs.Invalid, "%s:%d:%d: %s", r.name, n.Line, n.Column, fmt.Sprintf(format, args...)))
}

func (r *reader) mapping(n *yaml.Node, keys map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "want names and values (name: value)")
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		set, ok := keys[key.Value]
		switch {
		case !ok:
			var known []string
			for k := range keys {
				known = append(known, k)
			}
			slices.Sort(known)
			r.fail(key, "%q is not known here; known are %s", key.Value, strings.Join(known, ", "))
		case seen[key.Value]:
			r.fail(key, "%q is given twice", key.Value)
		default:
			set(n.Content[i+1])
		}
		seen[key.Value] = true
	}
}

func (r *reader) texts(n *yaml.Node) (out []string) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "want a list ([a, b])")
		return nil
	}
	for _, e := range n.Content {
		out = append(out, r.text(e))
	}
	return out
}

// text takes numbers and truth values as they are written: 0123 stays 0123.
func (r *reader) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!binary" || n.Tag == "!!null" && n.Value != "" {
		r.fail(n, "want a text")
		return ""
	}
	return n.Value
}

func (r *reader) truth(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
		r.fail(n, "want true or false")
		return false
	}
	return n.Value == "true"
}

func (r *reader) variables(n *yaml.Node) (out []Variable) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "want a list of variables")
		return nil
	}
	seen := make(map[string]bool)
	for _, e := range n.Content {
		v := Variable{Environment: AnyEnvironment}
		hasValue := false
		before := len(r.errors)
		r.mapping(e, map[string]func(*yaml.Node){
			"name":        func(n *yaml.Node) { v.Name = r.text(n) },
			"value":       func(n *yaml.Node) { v.Value, hasValue = NewString(r.text(n)), true },
			"environment": func(n *yaml.Node) { v.Environment = r.text(n) },
			"protected":   func(n *yaml.Node) { v.Protected = r.truth(n) },
			"masked":      func(n *yaml.Node) { v.Masked = r.truth(n) },
			"raw":         func(n *yaml.Node) { v.Raw = r.truth(n) },
			"file":        func(n *yaml.Node) { v.File = r.truth(n) },
			"description": func(n *yaml.Node) { v.Description = r.text(n) },
		})
		if len(r.errors) > before {
			continue
		}
		if err := v.Check(); err != nil {
			r.fail(e, "%v", err)
			continue
		}
		if !hasValue {
			r.fail(e, "variable %s has no value; for an empty one write value: \"\"", v.Name)
		}
		if seen[v.Name+" "+v.Environment] {
			r.fail(e, "variable %s is given twice", v.id())
		}
		seen[v.Name+" "+v.Environment] = true
		out = append(out, v)
	}
	return out
}

// Plain returns the YAML of the file, values in clear text.
func (f *File) Plain() ([]byte, error) {
	out := fileYAML{Recipients: f.Recipients, Protected: protectedYAML{f.Protected.Branches, f.Protected.Tags}, Variables: []variableYAML{}}
	for _, v := range f.Variables {
		y := variableYAML{v.Name, v.Value.RevealString(), v.Environment, v.Protected, v.Masked, v.Raw, v.File, v.Description}
		if y.Environment == AnyEnvironment {
			y.Environment = ""
		}
		out.Variables = append(out.Variables, y)
	}
	b, err := yaml.Marshal(out)
	if err != nil {
		return nil, errs.E(errs.Internal, "variables: they cannot be written as YAML")
	}
	return b, nil
}

// Put adds a variable, or replaces the one of the same name and scope.
func (f *File) Put(v Variable) error {
	if v.Environment == "" {
		v.Environment = AnyEnvironment
	}
	if err := v.Check(); err != nil {
		return err
	}
	if i := f.index(v.Name, v.Environment); i >= 0 {
		f.Variables[i] = v
		return nil
	}
	f.Variables = append(f.Variables, v)
	return nil
}

// Remove takes out the variable of this name and scope; errs.NotFound when
// there is none.
func (f *File) Remove(name, environment string) error {
	i := f.index(name, environment)
	if i < 0 {
		var others []string
		for _, v := range f.Variables {
			if v.Name == name {
				others = append(others, v.Environment)
			}
		}
		if others != nil {
			return errs.E(errs.NotFound, "variable %s is in the file, but for environment %s, not for %s", name, strings.Join(others, " and "), environment)
		}
		return errs.E(errs.NotFound, "variable %s is not in the file", Variable{Name: name, Environment: environment}.id())
	}
	f.Variables = slices.Delete(f.Variables, i, i+1)
	return nil
}

func (f *File) index(name, environment string) int {
	return slices.IndexFunc(f.Variables, func(v Variable) bool { return v.Name == name && v.Environment == environment })
}

// Open reads the file at path and decrypts it, if it is encrypted, with keys.
func Open(path string, keys Identities) (*File, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errs.E(errs.NotFound, "%s: no such file of variables", path)
	case err != nil:
		return nil, errs.E(errs.Unavailable, "file of variables: %w", err)
	}
	if Encrypted(data) {
		if data, err = decrypt(data, keys); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return Parse(path, data)
}

// Save writes the file to path, encrypted when it has recipients, for this
// user only. A reader sees the old file or the new one, never half of it. What an
// earlier Save left that was killed is removed: two must not run at a time.
func (f *File) Save(path string) (err error) {
	data, err := f.Plain()
	if err != nil {
		return err
	}
	if len(f.Recipients) > 0 {
		if data, err = encrypt(data, f.Recipients); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays one
	}
	dir, unfinished := filepath.Dir(path), "."+filepath.Base(path)+".refline-"
	if entries, err := os.ReadDir(dir); err == nil {
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), unfinished) {
				_ = os.Remove(filepath.Join(dir, e.Name())) // a leftover does no harm
			}
		}
	}
	temp, err := os.CreateTemp(dir, unfinished+"*") // mode 0600
	if err != nil {
		return errs.E(errs.Unavailable, "file of variables: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(errs.E(errs.Unavailable, "file of variables: %w", err), os.Remove(temp.Name()))
		}
	}()
	_, err = bytes.NewReader(data).WriteTo(temp)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
