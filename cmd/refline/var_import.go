package main

import (
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/inputfile"
	"refline/internal/secret"
	"refline/internal/secretsource"
	"refline/internal/termview"
	"refline/internal/variable"
)

func newVarImportCmd(e *cli.Env) *cobra.Command {
	o := &varSetOptions{}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take variables over from a file",
		Long: `Take variables over from a file ("-": standard input): lines NAME=VALUE, or the JSON
that GitLab's API gives. Those of lines are masked if possible; the others are
named.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var import .env --env staging\n  glab variable export | refline var import -",
		Args:    cli.OneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.changed = cmd.Flags().Changed
			list, err := readImport(e, args[0])
			if err != nil {
				return err
			}
			var taken variable.Taken
			err = e.Secrets().ChangeVariables(cmd.Context(), o.Variables, func(v *secretsource.VariableFile) (err error) {
				taken, err = v.Take(list, o.environment, o.settings(), func(x secret.Variable) error { return secretsource.Maskable(x.Name, x.Value) })
				return err
			})
			if err == nil {
				noteTaken(e, taken)
			}
			return err
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

func readImport(e *cli.Env, file string) ([]variable.Imported, error) {
	if file != "-" {
		return variable.ReadExport(e.Path(file), file)
	}
	data, err := inputfile.ReadAll(e.Stdin, "standard input", maxImport)
	if err != nil {
		return nil, err
	}
	return variable.ParseExport(data, "standard input")
}

func noteTaken(e *cli.Env, t variable.Taken) {
	for _, x := range t.Masked {
		e.Secrets().WarnWeak(x.Name, x.Value.Reveal())
	}
	e.Notef("%s taken over", termview.Count(t.Count, "variable"))
	if len(t.Visible) > 0 {
		e.Notef("not masked, since too little of them can be: %s", strings.Join(t.Visible, ", "))
	}
	if len(t.Hidden) > 0 {
		e.Notef("not taken over, since GitLab does not give hidden values: %s", strings.Join(t.Hidden, ", "))
	}
}
