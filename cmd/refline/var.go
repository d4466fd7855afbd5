package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/mask"
	"refline/internal/secret"
	"refline/internal/termview"
)

func newVarCmd(e *env) *cobra.Command {
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
	cmd.AddCommand(newVarSetCmd(e), newVarListCmd(e), newVarRmCmd(e), newVarEditCmd(e), newVarImportCmd(e),
		newVarEncryptCmd(e), newVarPullCmd(e), newVarPushCmd(e))
	return cmd
}

// listedVar is a variable without its value.
type listedVar struct {
	Name        string `json:"name"`
	Environment string `json:"environment"`
	Masked      bool   `json:"masked"`
	Protected   bool   `json:"protected"`
	Raw         bool   `json:"raw"`
	File        bool   `json:"file"`
	Bytes       int    `json:"bytes"`
	Description string `json:"description,omitempty"`
}

func newVarListCmd(e *env) *cobra.Command {
	o := varOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the variables, without their values",
		Long:    "List the variables by name and environment; values are never shown.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline var list\n  refline var list --file team.yml.age --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := openVars(cmd.Context(), e, o, false)
			if err != nil {
				return err
			}
			return listVars(e, v, asJSON)
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func listVars(e *env, v *varFile, asJSON bool) error {
	list := make([]listedVar, len(v.Variables))
	for i, x := range v.Variables {
		list[i] = listedVar{x.Name, x.Environment, x.Masked, x.Protected, x.Raw, x.File, x.Value.Len(), x.Description}
	}
	slices.SortStableFunc(list, func(a, b listedVar) int {
		return strings.Compare(a.Name+"\x00"+a.Environment, b.Name+"\x00"+b.Environment)
	})
	if asJSON {
		return e.printJSON(list)
	}
	if len(list) == 0 {
		e.notef("no variables; to keep one: refline var set NAME")
		return nil
	}
	rows := [][]string{{"name", "environment", "size", "kind", "description"}}
	for _, x := range list {
		rows = append(rows, []string{x.Name, x.Environment, termview.ByteSize(int64(x.Bytes)), x.kind(), x.Description})
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(e.stdout, line)
	}
	return nil
}

func (x *listedVar) kind() string {
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

func newVarRmCmd(e *env) *cobra.Command {
	o := varOptions{}
	var environment string
	cmd := &cobra.Command{
		Use:     "rm NAME",
		Short:   "Remove a variable",
		Long:    "Remove the variable of this name and environment.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline var rm DEPLOY_TOKEN --env production",
		Args:    oneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeVars(cmd.Context(), e, o, func(v *varFile) error { return v.Remove(args[0], environment) })
		},
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&environment, "env", secret.AnyEnvironment, "the environment scope")
	return cmd
}

// maskable says why a value cannot be masked, nil when it can.
func maskable(name string, value secret.Value) error {
	set := &mask.Set{}
	return set.Add(name, value.Reveal())
}
