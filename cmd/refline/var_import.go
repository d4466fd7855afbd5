package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/secret"
)

func newVarImportCmd(e *env) *cobra.Command {
	o := &varSetOptions{maskedWhenItCan: true}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take variables over from a file",
		Long: `Take variables over from a file ("-": standard input): lines NAME=VALUE, or the JSON
that GitLab's API gives. Those of lines are masked where that is possible; which are
not is said.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var import .env --env staging\n  glab variable export | refline var import -",
		Args:    oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.changed = cmd.Flags().Changed
			list, err := o.read(e, args[0])
			if err != nil {
				return err
			}
			return changeVars(cmd.Context(), e, o.varOptions, func(v *varFile) error { return o.take(e, v, list) })
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.environment, "env", secret.AnyEnvironment, "of lines: for jobs of this environment only")
	f.BoolVar(&o.visible, "visible", false, "of lines: none is masked")
	f.BoolVar(&o.protected, "protected", false, "of lines: for jobs of protected refs only")
	return cmd
}

// importedVar is a variable as GitLab's API writes it, or a line.
type importedVar struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"` // null when it is hidden
	Type        string  `json:"variable_type"`
	Protected   bool    `json:"protected"`
	Masked      bool    `json:"masked"`
	Raw         bool    `json:"raw"`
	Scope       string  `json:"environment_scope"`
	Description string  `json:"description"`

	line bool
}

func (o *varSetOptions) read(e *env, file string) ([]importedVar, error) {
	path := e.path(file)
	if file == "-" {
		tmp, err := os.CreateTemp(memoryFolder(), "refline-import-")
		if err != nil {
			return nil, errs.E(errs.Unavailable, "file for standard input: %w", err)
		}
		defer os.Remove(tmp.Name())
		_, err = io.Copy(tmp, e.stdin)
		if err := errors.Join(err, tmp.Close()); err != nil {
			return nil, errs.E(errs.Unavailable, "standard input: %w", err)
		}
		path = tmp.Name()
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.E(errs.NotFound, "%s: %w", file, unwrapPath(err))
	}
	if start := strings.TrimSpace(string(data[:min(len(data), 64)])); strings.HasPrefix(start, "[") {
		var list []importedVar
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, errs.E(errs.Invalid, "%s: this is not the JSON of variables that GitLab's API gives", file)
		}
		return list, nil
	}
	vars, err := readVarFile(path, file)
	if err != nil {
		return nil, err
	}
	list := make([]importedVar, len(vars))
	for i, v := range vars {
		list[i] = importedVar{Key: v.Name, Value: &v.Value, line: true}
	}
	return list, nil
}

func (o *varSetOptions) take(e *env, v *varFile, list []importedVar) error {
	var hidden, visible []string
	taken := 0
	for _, in := range list {
		if in.Value == nil {
			hidden = append(hidden, in.Key)
			continue
		}
		x := secret.Variable{
			Name: in.Key, Value: secret.NewString(*in.Value), Environment: in.Scope, Protected: in.Protected,
			Masked: in.Masked, Raw: in.Raw, File: in.Type == "file", Description: in.Description,
		}
		if in.line {
			var err error
			if x, err = o.variable(v, in.Key, x.Value); err != nil {
				return err
			}
			if !x.Masked && !o.visible {
				visible = append(visible, in.Key)
			}
		}
		if x.Masked {
			e.noteWeak(in.Key, x.Value.Reveal())
		}
		if err := v.Put(x); err != nil {
			return err
		}
		taken++
	}
	e.notef("%s taken over", plural(taken, "variable"))
	slices.Sort(visible)
	if len(visible) > 0 {
		e.notef("not masked, since too little of them can be: %s", strings.Join(visible, ", "))
	}
	if len(hidden) > 0 {
		e.notef("not taken over, since GitLab does not give hidden values: %s", strings.Join(hidden, ", "))
	}
	return nil
}
