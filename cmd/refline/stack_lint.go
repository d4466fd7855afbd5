package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"refline/internal/cfn/lint"
	"refline/internal/cli"
	"refline/internal/diag"
	"refline/internal/jsonnet"
	"refline/internal/stack"
	"refline/internal/stackrun"
)

type stackLintOptions struct {
	stackOptions
	format  string
	strict  bool
	regions []string
	ignore  []string
	include []string
	jsonnet jsonnetFlags
}

func newStackLintCmd(e *cli.Env) *cobra.Command {
	o := &stackLintOptions{}
	cmd := &cobra.Command{
		Use:   "lint [STACK|FILE…]",
		Short: "Find what is wrong with templates, without a cloud",
		Long: `Check templates by cfn-lint's rules, offline: those of all stacks of the
configuration in all its environments, of the named ones, or template files. Each
finding is at the line of the source, that of the Jsonnet file too; for Jsonnet files
the flags of refline render say what they are evaluated with.
docs/cloudformation-rules.md lists the rules.

Exit codes: 0 no errors, 1 errors (with --strict warnings too), 2 usage.`,
		Example: `  refline stack lint
  refline stack lint landing --env prod --strict
  refline stack lint templates/*.yml --region eu-west-1 --format sarif`,
		RunE: func(cmd *cobra.Command, args []string) error { return runStackLint(cmd.Context(), e, o, args) },
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "text", "text, json, sarif, junit or codequality")
	f.BoolVar(&o.json, "json", false, "the same as --format json")
	f.BoolVar(&o.strict, "strict", false, "warnings count as errors")
	f.StringArrayVar(&o.regions, "region", nil, "region that template files are for (default us-east-1)")
	f.StringArrayVar(&o.ignore, "ignore", nil, "leave out a rule, or all that begin so: W2")
	f.StringArrayVar(&o.include, "include", nil, "bring in a rule that is off by default: I3011")
	o.jsonnet.bind(e, cmd)
	return cmd
}

func runStackLint(ctx context.Context, e *cli.Env, o *stackLintOptions, args []string) error {
	if o.json {
		o.format = string(diag.JSON)
	}
	format := diag.Format(o.format)
	if !slices.Contains(diag.Formats(), format) {
		return cli.Usagef("--format %q is not one of text, json, sarif, junit, codequality", o.format)
	}
	p := stackPlace(e, false)
	var found diag.List
	var err error
	if slices.ContainsFunc(args, stackrun.IsTemplateFile) {
		input := func(file string) (jsonnet.Input, error) { return o.jsonnet.input(e, file) }
		found, err = stackrun.LintFiles(ctx, p, args, input, lint.Options{Regions: o.regions, Ignore: o.ignore, Include: o.include})
	} else {
		found, err = stackrun.Lint(ctx, p, o.selection(), args, stack.LintOptions{Ignore: o.ignore, Include: o.include})
	}
	if err != nil {
		return err
	}
	found = found.Sort()
	out := e.Printer()
	out.Source, out.Rules = e.Source, true
	if err := out.Print(e.Stdout, format, found); err != nil {
		return err
	}
	if format == diag.Text && len(found) == 0 {
		fmt.Fprintln(e.Stdout, "no errors, no warnings")
	}
	return verdictOf(found, o.strict)
}

func newStackValidateCmd(e *cli.Env) *cobra.Command {
	o := &stackLintOptions{format: "text"}
	offline := false
	cmd := &cobra.Command{
		Use:   "validate [STACK…]",
		Short: "Lint templates, then ask AWS about them",
		Long: `Check templates offline as stack lint does, then have AWS validate them and show
the capabilities and parameters that it sees. A template that does not fit a
request is staged in the environment's bucket first.

Exit codes: 0 valid, 1 not, 2 usage.`,
		Example: `  refline stack validate --env dev`,
		RunE: o.run(e, func(ctx context.Context, p *stackrun.Place, args []string) error {
			return stackrun.Validate(ctx, p, o.selection(), args, offline, func(found diag.List) error {
				if err := e.PrintRuled(found); err != nil {
					return err
				}
				return verdictOf(found, o.strict)
			})
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().BoolVar(&offline, "offline", false, "do not ask AWS")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "warnings count as errors")
	return cmd
}
