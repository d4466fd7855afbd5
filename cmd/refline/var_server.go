package main

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/cli/remote"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/termview"
	"refline/internal/variable"
)

// addServerVars gives the commands about variables those of a server.
func addServerVars(e *cli.Env, vars *cobra.Command) {
	for _, cmd := range vars.Commands() {
		o := &serverVars{e: e, cmd: cmd}
		switch cmd.Name() {
		case "set":
			o.orServer(o.set)
		case "list":
			o.orServer(o.list)
		case "show":
			o.orServer(o.list)
		case "rm":
			o.orServer(o.remove)
		case "get":
			o.orServer(func(context.Context, *api.Client, []string) error {
				return errs.E(errs.Denied, "a server shows no values; to see that a variable is there: refline var show NAME --server")
			})
		}
	}
}

// serverVars is a command about the variables of a server.
type serverVars struct {
	e       *cli.Env
	cmd     *cobra.Command
	project string
}

// orServer adds the flags that mean a server. Those of the local file make no sense
// with them.
func (o *serverVars) orServer(there func(context.Context, *api.Client, []string) error) {
	o.cmd.Flags().StringVar(&o.project, "project", "", "of a server: the variables of this project (default: those of the whole server)")
	remote.OrServer(o.e, o.cmd, "the variables", func(ctx context.Context, c *api.Client, args []string) error {
		for _, name := range []string{"file", "repo"} {
			if f := o.cmd.Flags().Lookup(name); f != nil && f.Changed {
				return cli.Usagef("--%s is for the variables of this computer; leave it out, or give --local", name)
			}
		}
		o.e.Notef("variables of %s", o.where(c))
		return there(ctx, c, args)
	})
}

// where says whose variables a command is about.
func (o *serverVars) where(c *api.Client) string {
	if o.project == "" {
		return "all projects on " + c.URL()
	}
	return fmt.Sprintf("project %s on %s", termview.Plain(o.project), c.URL())
}

func (o *serverVars) environment() string {
	v, _ := o.cmd.Flags().GetString("env")
	return v
}

// list prints the variables, or those of a name.
func (o *serverVars) list(ctx context.Context, c *api.Client, args []string) error {
	all, err := c.Variables(ctx, o.project)
	if err != nil {
		return err
	}
	list := []variable.Listed{}
	var names []string
	for _, v := range all {
		names = append(names, v.Name)
		if len(args) == 0 || v.Name == args[0] {
			list = append(list, variable.Listed{
				Name: v.Name, Environment: v.Environment, Masked: v.Masked, Protected: v.Protected, Raw: v.Raw, File: v.File, Bytes: int(v.Bytes), Description: v.Description,
			})
		}
	}
	if len(args) > 0 && len(list) == 0 {
		return errs.E(errs.NotFound, "no variable %s of %s%s", args[0], o.where(c), cli.DidYouMean(args[0], names))
	}
	return printVars(o.e, list, remote.BoolFlag(o.cmd, "json"), "no variables; to keep one: refline var set NAME --server")
}

func (o *serverVars) remove(ctx context.Context, c *api.Client, args []string) error {
	return c.RemoveVariable(ctx, o.project, args[0], o.environment())
}

// set takes the value as the local command does, and sends it.
func (o *serverVars) set(ctx context.Context, c *api.Client, args []string) error {
	name, value, err := varValue(o.e, args[0])
	if err != nil {
		return err
	}
	if !utf8.Valid(value.Reveal()) {
		return errs.E(errs.Invalid, "the value of %s is not text (UTF-8), which a server does not take; encode it, such as by base64", name)
	}
	text := value.RevealString()
	in := api.VariableInput{Value: &text}
	changed := o.cmd.Flags().Changed
	for flag, to := range map[string]**bool{"visible": &in.Masked, "protected": &in.Protected, "expand": &in.Raw, "as-file": &in.File} {
		if changed(flag) {
			is := remote.BoolFlag(o.cmd, flag)
			if flag == "visible" || flag == "expand" {
				is = !is // the server's words are masked and raw
			}
			*to = &is
		}
	}
	if changed("description") {
		text, _ := o.cmd.Flags().GetString("description")
		in.Description = &text
	}
	v, err := c.SetVariable(ctx, o.project, name, o.environment(), in)
	if err != nil {
		return err
	}
	kind := variable.Listed{Masked: v.Masked, Protected: v.Protected, Raw: v.Raw, File: v.File}
	fmt.Fprintf(o.e.Stdout, "%s for %s: %s, %s\n", v.Name, environmentText(v.Environment), termview.ByteSize(v.Bytes), kind.Kind())
	return nil
}

func environmentText(environment string) string {
	if environment == secret.AnyEnvironment {
		return "all environments"
	}
	return termview.Plain(environment)
}
