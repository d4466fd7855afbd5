package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/maskrun"
	"refline/internal/secret"
	"refline/internal/termview"
	"refline/internal/variable"
)

type varSetOptions struct {
	varOptions
	environment     string
	description     string
	visible         bool
	protected       bool
	expand          bool
	fileType        bool
	changed         func(flag string) bool
	maskedWhenItCan bool // a value that cannot be masked is visible
}

func newVarSetCmd(e *env) *cobra.Command {
	o := &varSetOptions{}
	cmd := &cobra.Command{
		Use:   "set NAME | NAME=@FILE",
		Short: "Keep a variable: its value from a prompt, standard input or a file",
		Long: `Keep a variable. Its value is asked for on the terminal without echo, or read from
standard input (without its last line end), or from a file, as it is. A value never
goes on the command line, where process lists show it.

It is masked unless --visible is given, and taken as it is unless --expand is.
Updating a variable changes its value and what the flags say; the rest stays.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline var set DEPLOY_TOKEN
  refline var set DEPLOY_KEY=@deploy_key --protected
  pass show token | refline var set API_TOKEN --env 'review/*'`,
		Args: oneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.changed = cmd.Flags().Changed
			return runVarSet(cmd.Context(), e, o, args[0])
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.environment, "env", secret.AnyEnvironment, "for jobs of this environment only; * matches any characters")
	f.BoolVar(&o.visible, "visible", false, "not masked: logs may show it")
	f.BoolVar(&o.protected, "protected", false, "for jobs of protected refs only")
	f.BoolVar(&o.expand, "expand", false, "$NAME in the value is another variable; without it $ is a dollar")
	f.BoolVar(&o.fileType, "as-file", false, "jobs get the path of a file that holds the value")
	f.StringVar(&o.description, "description", "", "what it is for")
	return cmd
}

func runVarSet(ctx context.Context, e *env, o *varSetOptions, spec string) error {
	name, from, hasFrom := strings.Cut(spec, "=")
	if !variable.ValidName(name) {
		return usagef("invalid variable name %q: use letters, digits and _", name)
	}
	var value secret.Value
	var err error
	switch file, at := strings.CutPrefix(from, "@"); {
	case hasFrom && (!at || file == ""):
		return usagef("%s=…: a value on the command line shows in process lists; without it you are asked, or give a file: %s=@FILE", name, name)
	case hasFrom:
		value, err = readValue(e.path(file), file)
	default:
		value, err = askValue(e, name)
	}
	if err != nil {
		return err
	}
	return changeVars(ctx, e, o.varOptions, func(v *varFile) error {
		x, err := o.variable(v, name, value)
		if err != nil {
			return err
		}
		if x.Masked {
			e.noteWeak(name, value.Reveal())
		}
		return v.Put(x)
	})
}

// variable is the variable as it was, or a new one, with what the flags say.
func (o *varSetOptions) variable(v *varFile, name string, value secret.Value) (secret.Variable, error) {
	x := secret.Variable{Name: name, Environment: o.environment, Masked: true, Raw: true}
	if i := slices.IndexFunc(v.Variables, func(have secret.Variable) bool {
		return have.Name == name && have.Environment == o.environment
	}); i >= 0 {
		x = v.Variables[i]
	}
	x.Value = value
	for flag, set := range map[string]func(){
		"visible":     func() { x.Masked = !o.visible },
		"protected":   func() { x.Protected = o.protected },
		"expand":      func() { x.Raw = !o.expand },
		"as-file":     func() { x.File = o.fileType },
		"description": func() { x.Description = o.description },
	} {
		if o.changed(flag) {
			set()
		}
	}
	if x.Masked {
		if err := maskable(name, value); err != nil {
			if o.maskedWhenItCan {
				x.Masked = false
				return x, nil
			}
			return x, errs.E(errs.Invalid, "%w; to keep it unmasked: --visible", err)
		}
	}
	return x, nil
}

// maxValue bounds what a variable holds.
const maxValue = 1 << 20

func readValue(path, shown string) (secret.Value, error) {
	f, err := openRegular(path, shown)
	if err != nil {
		return secret.Value{}, err
	}
	defer f.Close()
	return readAllValue(f, shown)
}

func readAllValue(r io.Reader, shown string) (secret.Value, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxValue+1))
	if err != nil {
		return secret.Value{}, errs.E(errs.Unavailable, "%s: %w", shown, unwrapPath(err))
	}
	if len(data) > maxValue {
		return secret.Value{}, errs.E(errs.Invalid, "%s: a variable holds at most %s", shown, termview.ByteSize(maxValue))
	}
	return secret.New(data), nil
}

// askValue reads a line from the terminal without echo, or standard input to
// its end.
func askValue(e *env, name string) (secret.Value, error) {
	in, ok := e.stdin.(*os.File)
	if !ok || !maskrun.IsTerminal(in) {
		v, err := readAllValue(e.stdin, "standard input")
		if err != nil {
			return v, err
		}
		text := bytes.TrimSuffix(bytes.TrimSuffix(v.Reveal(), []byte("\n")), []byte("\r"))
		return secret.New(text), nil
	}
	line, err := e.askHidden(in, "value of "+name+" (not shown): ")
	if err != nil {
		return secret.Value{}, err
	}
	if len(line) == 0 {
		return secret.Value{}, errs.E(errs.Invalid, "no value was typed; nothing is changed")
	}
	return secret.New(line), nil
}
