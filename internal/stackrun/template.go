package stackrun

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"refline/internal/cfn/lint"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
	"refline/internal/stack"
	"refline/internal/stackview"
)

// Render writes the templates of an environment: each to a file of its stack's name
// in the folder output, or if that is "" a single one to Place.Out.
func Render(ctx context.Context, p *Place, sel Selection, names []string, output string) error {
	w, err := Open(ctx, p, sel)
	if err != nil {
		return err
	}
	env := sel.Env
	if chosen := w.Select(w.ref()); env == "" && len(chosen) == 1 {
		env = chosen[0].Env.Name
	}
	targets, err := w.Everywhere(env, w.ref(), names)
	if err != nil {
		return err
	}
	if output == "" && len(targets) != 1 {
		return errs.Usage("%d templates do not fit stdout; name one stack and environment, or give -o FOLDER", len(targets))
	}
	var broken diag.List
	for _, t := range targets {
		tmpl, err := w.Render(ctx, t, p.Read)
		if found, ok := stack.FindingsOf(err); ok {
			broken = append(broken, found...) // the others are rendered all the same
			continue
		}
		if err != nil {
			return err
		}
		if output == "" {
			_, err := p.Out.Write(tmpl.Text)
			return err
		}
		if err := p.writeTemplate(output, t, tmpl); err != nil {
			return err
		}
	}
	return broken.Sort().Err()
}

func (p *Place) writeTemplate(folder string, t *stack.Target, tmpl *stack.Template) error {
	ext := filepath.Ext(tmpl.File)
	if ext != ".yml" && ext != ".yaml" {
		ext = ".json"
	}
	file := filepath.Join(folder, t.StackName+ext)
	if err := p.writeFile(file, tmpl.Text); err != nil {
		return err
	}
	fmt.Fprintln(p.Out, filepath.ToSlash(file))
	return nil
}

// Lint checks the templates of the stacks with the names in all environments, or
// in that of the selection.
func Lint(ctx context.Context, p *Place, sel Selection, names []string, o stack.LintOptions) (diag.List, error) {
	w, err := Open(ctx, p, sel)
	if err != nil {
		return nil, err
	}
	targets, err := w.Everywhere(sel.Env, w.ref(), names)
	if err != nil {
		return nil, err
	}
	return w.Lint(ctx, targets, o, p.Read)
}

// LintFiles checks template files. input makes the input of the Jsonnet evaluator
// for a file.
func LintFiles(ctx context.Context, p *Place, files []string, input func(file string) (jsonnet.Input, error), o lint.Options) (diag.List, error) {
	var all diag.List
	for _, file := range files {
		if info, err := os.Stat(p.path(file)); err == nil && info.IsDir() {
			return nil, errs.E(errs.Invalid, "%s is a folder; name the template files in it: %s/*.yml", file, strings.TrimRight(filepath.ToSlash(file), "/"))
		}
		in, err := input(file)
		if err != nil {
			return nil, err
		}
		found, err := stack.LintTemplate(ctx, in, o)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// IsTemplateFile reports whether a word of a command line is the name of a template
// file and not that of a stack.
func IsTemplateFile(word string) bool {
	switch strings.ToLower(filepath.Ext(word)) {
	case ".yml", ".yaml", ".json", ".jsonnet", ".template":
		return true
	}
	return strings.ContainsAny(word, `/\`)
}

// Validate checks templates offline. If check accepts the findings, and not with
// offline, AWS validates the templates too.
func Validate(ctx context.Context, p *Place, sel Selection, names []string, offline bool, check func(diag.List) error) error {
	w, err := Open(ctx, p, sel)
	if err != nil {
		return err
	}
	env, targets, err := w.choose(names)
	if err != nil {
		return err
	}
	found, err := w.Lint(ctx, targets, stack.LintOptions{}, p.Read)
	if err != nil {
		return err
	}
	if err := check(found); err != nil || offline {
		return err
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
		if !p.JSON {
			stackview.Validation(p.Out, t, v)
		}
	}
	return p.write(answers, func() error { return nil })
}
