package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/secretsource"
	"refline/internal/termview"
	"refline/internal/variable"
)

func newVarCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "var",
		Short: "Keep variables for local runs, and move them from and to GitLab",
		Long: `Keep the variables that "refline run" gives to jobs by GitLab's rules: of several
with one name the one whose scope fits the job's environment best, protected ones
on protected refs only, masked ones never in a log. They may have several lines.

The file is the project's own in refline's state folder, readable by you alone and
not in the repository; --file names another, which may be encrypted and shared.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline var set DEPLOY_TOKEN
  refline var set KUBECONFIG=@kubeconfig --env production --protected
  refline var pull --gitlab data/flows`,
	}
	cmd.AddCommand(newVarSetCmd(e), newVarListCmd(e), newVarShowCmd(e), newVarGetCmd(e), newVarRmCmd(e), newVarEditCmd(e), newVarImportCmd(e),
		newVarEncryptCmd(e), newVarPullCmd(e), newVarPushCmd(e))
	addServerVars(e, cmd)
	return cmd
}

func newVarListCmd(e *cli.Env) *cobra.Command {
	o := varOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the variables, without their values",
		Long:    "List the variables by name and environment; values are never shown.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline var list\n  refline var list --file team.yml.age --json",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := e.Secrets().Variables(cmd.Context(), o.Variables)
			if err != nil {
				return err
			}
			return listVars(e, v.File.Variables, asJSON)
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func listVars(e *cli.Env, variables []secret.Variable, asJSON bool) error {
	return printVars(e, variable.List(variables), asJSON, "no variables; to keep one: refline var set NAME")
}

func printVars(e *cli.Env, list []variable.Listed, asJSON bool, none string) error {
	if asJSON {
		return e.PrintJSON(list)
	}
	if len(list) == 0 {
		e.Notef("%s", none)
		return nil
	}
	rows := [][]string{{"name", "environment", "size", "kind", "description"}}
	for _, x := range list {
		rows = append(rows, []string{x.Name, x.Environment, termview.ByteSize(int64(x.Bytes)), x.Kind(), x.Description})
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(e.Stdout, line)
	}
	return nil
}

func newVarRmCmd(e *cli.Env) *cobra.Command {
	o := varOptions{}
	var environment string
	cmd := &cobra.Command{
		Use:     "rm NAME",
		Short:   "Remove a variable",
		Long:    "Remove the variable of this name and environment.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline var rm DEPLOY_TOKEN --env production",
		Args:    cli.OneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Secrets().ChangeVariables(cmd.Context(), o.Variables, func(v *secretsource.VariableFile) error { return v.Remove(args[0], environment) })
		},
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&environment, "env", secret.AnyEnvironment, "the environment scope")
	return cmd
}

// find returns the variables of a name, with --env only that of this scope.
func (o *varOptions) find(ctx context.Context, e *cli.Env, name, environment string) ([]secret.Variable, error) {
	v, err := e.Secrets().Variables(ctx, o.Variables)
	if err != nil {
		return nil, err
	}
	if err := checkNames([]string{name}, v.File.Variables, "here"); err != nil {
		return nil, err
	}
	found := variable.Find(v.File.Variables, name, environment)
	if len(found) == 0 {
		return nil, errs.E(errs.NotFound, "variable %s has no value for environment %s; refline var show %s lists its environments", name, environment, name)
	}
	return found, nil
}

func newVarShowCmd(e *cli.Env) *cobra.Command {
	o := varOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a variable's environments and settings, without its value",
		Long:    "Show a variable in each of its environments; the value is not shown.\n\nExit codes: 0 good, 1 no such variable or error, 2 usage.",
		Example: "  refline var show DEPLOY_TOKEN",
		Args:    cli.OneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := o.find(cmd.Context(), e, args[0], "")
			if err != nil {
				return err
			}
			return listVars(e, found, asJSON)
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func newVarGetCmd(e *cli.Env) *cobra.Command {
	o := varOptions{}
	var environment string
	var reveal bool
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Print the value of a variable",
		Long: `Print the value of a variable as it is, for a file or another program. A masked
value is not printed on a terminal without --reveal.

Exit codes: 0 good, 1 no such variable or error, 2 usage.`,
		Example: "  refline var get KUBECONFIG --env production > kubeconfig\n  refline var get DEPLOY_TOKEN | pass insert -m token",
		Args:    cli.OneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := o.find(cmd.Context(), e, args[0], environment)
			if err != nil {
				return err
			}
			x := found[0]
			if e.Terminal && x.Masked && !reveal {
				return cli.Usagef("%s is masked and not for the screen; send it to a file or a program, or give --reveal", x.Name)
			}
			_, err = e.Stdout.Write(x.Value.Reveal())
			if err == nil && e.Terminal {
				fmt.Fprintln(e.Stdout)
			}
			return err
		},
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&environment, "env", secret.AnyEnvironment, "the environment scope")
	cmd.Flags().BoolVar(&reveal, "reveal", false, "print a masked value on a terminal too")
	return cmd
}
