package main

import (
	"bytes"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/secretsource"
	"refline/internal/variable"
)

type varSetOptions struct {
	varOptions
	environment string
	description string
	visible     bool
	protected   bool
	expand      bool
	fileType    bool
	changed     func(flag string) bool
}

func newVarSetCmd(e *cli.Env) *cobra.Command {
	o := &varSetOptions{}
	cmd := &cobra.Command{
		Use:   "set NAME | NAME=@FILE",
		Short: "Keep a variable: its value from a prompt, standard input or a file",
		Long: `Keep a variable. Its value is asked for on the terminal without echo, or read from
standard input (without its last line end, except that of a private key), or from a
file, as it is. A value never goes on the command line, where process lists show it.

It is masked unless --visible is given, and taken as it is unless --expand is.
Updating a variable changes its value and what the flags say; the rest stays.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline var set DEPLOY_TOKEN
  refline var set DEPLOY_KEY=@deploy_key --protected
  pass show token | refline var set API_TOKEN --env 'review/*'`,
		Args: cli.OneArg("NAME"),
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

// varValue reads the name of a variable, and its value from where the argument says.
func varValue(e *cli.Env, spec string) (name string, value secret.Value, err error) {
	name, from, hasFrom := strings.Cut(spec, "=")
	if !variable.ValidName(name) {
		return name, value, cli.Usagef("invalid variable name %q: use letters, digits and _", name)
	}
	switch file, at := strings.CutPrefix(from, "@"); {
	case hasFrom && (!at || file == ""):
		return name, value, cli.Usagef("%s=…: a value on the command line shows in process lists; without it you are asked, or give a file: %s=@FILE", name, name)
	case hasFrom:
		value, err = e.Secrets().File(file)
	default:
		if value, err = e.Secrets().Typed(name); err == nil && privateKeyEnd(value) {
			value = secret.NewString(value.RevealString() + "\n")
		}
	}
	return name, value, err
}

// privateKeyEnd reports whether a value ends with the last line of a private key, but
// without its line end. OpenSSH reads no such file: "error in libcrypto".
func privateKeyEnd(value secret.Value) bool {
	text := value.Reveal()
	last := text[bytes.LastIndexByte(text, '\n')+1:]
	return bytes.HasPrefix(last, []byte("-----END ")) && bytes.HasSuffix(last, []byte("PRIVATE KEY-----"))
}

func runVarSet(ctx context.Context, e *cli.Env, o *varSetOptions, spec string) error {
	name, value, err := varValue(e, spec)
	if err != nil {
		return err
	}
	return e.Secrets().ChangeVariables(ctx, o.Variables, func(v *secretsource.VariableFile) error {
		x := v.With(name, o.environment, value, o.settings())
		if x.Masked {
			if err := secretsource.Maskable(name, value); err != nil {
				return errs.E(errs.Invalid, "%w; to keep it unmasked: --visible", err)
			}
			e.Secrets().WarnWeak(name, value.Reveal())
		}
		return v.Put(x)
	})
}

// settings are what the flags that were given say.
func (o *varSetOptions) settings() variable.Settings {
	var s variable.Settings
	set := func(flag string, to **bool, value bool) {
		if o.changed(flag) {
			*to = &value
		}
	}
	set("visible", &s.Masked, !o.visible)
	set("protected", &s.Protected, o.protected)
	set("expand", &s.Raw, !o.expand)
	set("as-file", &s.AsFile, o.fileType)
	if o.changed("description") {
		s.Description = &o.description
	}
	return s
}
