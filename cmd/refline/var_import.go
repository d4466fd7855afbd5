package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/termview"
	"refline/internal/variable"
)

func newVarImportCmd(e *env) *cobra.Command {
	o := &varSetOptions{maskedWhenItCan: true}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take variables over from a file",
		Long: `Take variables over from a file ("-": standard input): lines NAME=VALUE, or the JSON
that GitLab's API gives. Those of lines are masked if possible; the others are
named.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var import .env --env staging\n  glab variable export | refline var import -",
		Args:    oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.changed = cmd.Flags().Changed
			list, err := readImport(e, args[0])
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

// maxImport bounds what is read from standard input.
const maxImport = 64 << 20

func readImport(e *env, file string) ([]variable.Imported, error) {
	if file != "-" {
		return variable.ReadExport(e.path(file), file)
	}
	data, err := io.ReadAll(io.LimitReader(e.stdin, maxImport+1))
	switch {
	case err != nil:
		return nil, errs.E(errs.Unavailable, "standard input: %w", err)
	case len(data) > maxImport:
		return nil, errs.E(errs.Invalid, "standard input: it has more than %s", termview.ByteSize(maxImport))
	}
	return variable.ParseExport(data, "standard input")
}

func (o *varSetOptions) take(e *env, v *varFile, list []variable.Imported) error {
	var hidden, visible []string
	taken := 0
	for _, in := range list {
		if in.Hidden {
			hidden = append(hidden, in.Name)
			continue
		}
		x := in.Variable
		if in.Line {
			var err error
			if x, err = o.variable(v, in.Name, x.Value); err != nil {
				return err
			}
			if !x.Masked && !o.visible {
				visible = append(visible, in.Name)
			}
		}
		if x.Masked {
			e.noteWeak(in.Name, x.Value.Reveal())
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
