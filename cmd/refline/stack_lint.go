package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cfn/lint"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stackview"
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

func newStackLintCmd(e *env) *cobra.Command {
	o := &stackLintOptions{}
	cmd := &cobra.Command{
		Use:   "lint [STACK|FILE…]",
		Short: "Find what is wrong with templates, without a cloud",
		Long: `Check templates by cfn-lint's rules, offline: those of all stacks of the
configuration in all its environments, of the named ones, or template files. Each
finding is at the line of the source, that of the Jsonnet file too; for Jsonnet files
the flags of refline render say what they are evaluated with.
docs/cloudformation-rules.md tells the rules.

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

func runStackLint(ctx context.Context, e *env, o *stackLintOptions, args []string) error {
	if o.json {
		o.format = string(diag.JSON)
	}
	format := diag.Format(o.format)
	if !slices.Contains(diag.Formats(), format) {
		return usagef("--format %q is none of text, json, sarif, junit, codequality", o.format)
	}
	found, err := o.lint(ctx, e, args)
	if err != nil {
		return err
	}
	found = found.Sort()
	p := e.printer()
	p.Source, p.Rules = e.source, true
	if err := p.Print(e.stdout, format, found); err != nil {
		return err
	}
	if format == diag.Text && len(found) == 0 {
		fmt.Fprintln(e.stdout, "no errors, no warnings")
	}
	return verdictOf(found, o.strict)
}

// lint checks template files, when that is what args name, else stacks.
func (o *stackLintOptions) lint(ctx context.Context, e *env, args []string) (diag.List, error) {
	if len(args) > 0 && slices.ContainsFunc(args, isTemplateFile) {
		var all diag.List
		for _, file := range args {
			if info, err := os.Stat(e.path(file)); err == nil && info.IsDir() {
				return nil, errs.E(errs.Invalid, "%s is a folder; name the template files in it: %s/*.yml", file, strings.TrimRight(filepath.ToSlash(file), "/"))
			}
			in, err := o.jsonnet.input(e, file)
			if err != nil {
				return nil, err
			}
			found, err := stack.LintTemplate(ctx, in, lint.Options{Regions: o.regions, Ignore: o.ignore, Include: o.include})
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	}
	w, err := o.load(ctx, e)
	if err != nil {
		return nil, err
	}
	targets, err := w.Everywhere(o.env, w.ref(), args)
	if err != nil {
		return nil, err
	}
	return w.Lint(ctx, targets, stack.LintOptions{Ignore: o.ignore, Include: o.include}, w.read)
}

func isTemplateFile(arg string) bool {
	switch strings.ToLower(path.Ext(arg)) {
	case ".yml", ".yaml", ".json", ".jsonnet", ".template":
		return true
	}
	return strings.ContainsAny(arg, `/\`)
}

func newStackValidateCmd(e *env) *cobra.Command {
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
		RunE: func(cmd *cobra.Command, args []string) error {
			return runStackValidate(cmd.Context(), e, o, args, offline)
		},
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().BoolVar(&offline, "offline", false, "do not ask AWS")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "warnings count as errors")
	return cmd
}

func runStackValidate(ctx context.Context, e *env, o *stackLintOptions, names []string, offline bool) error {
	w, err := o.load(ctx, e)
	if err != nil {
		return err
	}
	env, targets, err := w.choose(&o.stackOptions, names)
	if err != nil {
		return err
	}
	found, err := w.Lint(ctx, targets, stack.LintOptions{}, w.read)
	if err != nil {
		return err
	}
	if err := e.printRuled(found); err != nil {
		return err
	}
	if err := verdictOf(found, o.strict); err != nil {
		return err
	}
	if offline {
		return nil
	}
	s, err := w.connect(ctx, env)
	if err != nil {
		return err
	}
	answers := map[string]stack.Validation{}
	for _, t := range targets {
		v, err := s.Validate(ctx, t)
		if err != nil {
			return err
		}
		answers[t.Name] = v
		if !o.json {
			stackview.Validation(e.stdout, t, v)
		}
	}
	if o.json {
		return e.printJSON(answers)
	}
	return nil
}
