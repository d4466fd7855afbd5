package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cfn"
	"refline/internal/cfn/lint"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
	"refline/internal/stack"
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
	failed, warned := found.Count()
	if failed > 0 || o.strict && warned > 0 {
		return errShown
	}
	return nil
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
			found, err := o.lintOne(ctx, in, lint.Options{Regions: o.regions})
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
	targets, err := w.everywhere(o.env, args)
	if err != nil {
		return nil, err
	}
	return o.lintTargets(ctx, w, targets)
}

// lintTargets lints each target. What is found in some environments of a stack
// only names them.
func (o *stackLintOptions) lintTargets(ctx context.Context, w *stackWork, targets []*stack.Target) (diag.List, error) {
	found := map[string][]environmentFindings{}
	var names []string
	for _, t := range targets {
		list, err := o.lintTarget(ctx, w, t)
		if err != nil {
			return nil, err
		}
		if found[t.Name] == nil {
			names = append(names, t.Name)
		}
		found[t.Name] = append(found[t.Name], environmentFindings{t.Env.Name, list})
	}
	var all diag.List
	for _, name := range names {
		all = append(all, mergeEnvironments(found[name], w.File)...)
	}
	return all, nil
}

// environmentFindings is what was found of a stack in one environment.
type environmentFindings struct {
	env  string
	list diag.List
}

// mergeEnvironments makes one list. A finding in the configuration needs no
// environment named: it is at the environment's line.
func mergeEnvironments(all []environmentFindings, config string) diag.List {
	type key struct {
		place                  diag.Place
		rule, subject, message string
	}
	envs := map[key][]string{}
	var out diag.List
	for _, one := range all {
		for _, f := range one.list {
			k := key{f.Place, f.Rule, f.Subject, f.Message}
			if envs[k] == nil {
				out = append(out, f)
			}
			if !slices.Contains(envs[k], one.env) {
				envs[k] = append(envs[k], one.env)
			}
		}
	}
	for i, f := range out {
		if in := envs[key{f.Place, f.Rule, f.Subject, f.Message}]; len(in) < len(all) && f.File != config {
			out[i].Message += " (in " + strings.Join(in, ", ") + ")"
		}
	}
	return out
}

// lintTarget lints a stack in one environment, nested templates included.
func (o *stackLintOptions) lintTarget(ctx context.Context, w *stackWork, t *stack.Target) (diag.List, error) {
	tmpl, err := w.Render(ctx, t, w.read)
	if found, ok := findingsOf(err); ok {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	found, err := w.Check(ctx, t, tmpl, w.read)
	if err != nil {
		return nil, err
	}
	all := found
	found, err = o.lintStack(ctx, w, t, tmpl)
	if err != nil {
		return nil, err
	}
	all = append(all, found...)
	for _, file := range tmpl.NestedFiles() {
		in := w.Input(t, w.read)
		in.File = file
		found, err := o.lintOne(ctx, in, lint.Options{Regions: []string{t.Env.Region}})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// lintStack lints a stack's own template with the values that it will be given.
func (o *stackLintOptions) lintStack(ctx context.Context, w *stackWork, t *stack.Target, tmpl *stack.Template) (diag.List, error) {
	given, unknown := t.Given(tmpl)
	found, err := o.lintOne(ctx, w.Input(t, w.read), lint.Options{Regions: []string{t.Env.Region}, Parameters: given, Unknown: unknown})
	for i, f := range found {
		if f.Rule != "E2900" {
			continue
		}
		if at, ok := t.ValuePlace(f.Subject); ok {
			found[i].Place = at
		} else {
			found[i].Hint = "add it to parameters: of stack " + t.Name + " in " + w.File + ", or give it a Default"
		}
	}
	return found, err
}

// lintOne gives a template's findings; one that cannot be read is a finding.
func (o *stackLintOptions) lintOne(ctx context.Context, in jsonnet.Input, lo lint.Options) (diag.List, error) {
	t, err := cfn.Load(ctx, in)
	if list, ok := findingsOf(err); ok {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	lo.Ignore, lo.Include = o.ignore, o.include
	return lint.Lint(ctx, t, lo)
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
	found, err := o.lintTargets(ctx, w, targets)
	if err != nil {
		return err
	}
	if err := e.printRuled(found); err != nil {
		return err
	}
	failed, warned := found.Count()
	if failed > 0 || o.strict && warned > 0 {
		return errShown
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
			printValidation(e, t, v)
		}
	}
	if o.json {
		return e.printJSON(answers)
	}
	return nil
}

func printValidation(e *env, t *stack.Target, v stack.Validation) {
	fmt.Fprintf(e.stdout, "%s: valid\n", t.StackName)
	if len(v.Capabilities) > 0 {
		fmt.Fprintf(e.stdout, "  needs %s: %s\n", strings.Join(v.Capabilities, ", "), v.CapabilitiesReason)
		for _, c := range v.Capabilities {
			if !slices.Contains(t.Capabilities, c) && !(c == "CAPABILITY_IAM" && slices.Contains(t.Capabilities, "CAPABILITY_NAMED_IAM")) {
				fmt.Fprintf(e.stdout, "  add %s to capabilities: of stack %s\n", c, t.Name)
			}
		}
	}
	for _, p := range v.Parameters {
		value := ""
		if p.Default != "" {
			value = " (default " + p.Default + ")"
		}
		if p.NoEcho {
			value = " (not shown)"
		}
		fmt.Fprintf(e.stdout, "  parameter %s%s\n", p.Key, value)
	}
}

// findingsOf gives the findings that an error holds.
func findingsOf(err error) (diag.List, bool) {
	var failure *diag.Failure
	if !errors.As(err, &failure) {
		return nil, false
	}
	return failure.Findings, true
}
