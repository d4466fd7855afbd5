package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"refline/internal/diag"
	"refline/internal/stack"
)

type stackRenderOptions struct {
	stackOptions
	output string
}

func newStackRenderCmd(e *env) *cobra.Command {
	o := &stackRenderOptions{}
	cmd := &cobra.Command{
		Use:   "render [STACK…]",
		Short: "Write the templates that CloudFormation would get",
		Long: `Render the templates of an environment. With -o each goes to a file of its stack's
name in that folder; without it a single one goes to stdout. No cloud is asked.

Exit codes: 0 good, 1 a template has an error, 2 usage.`,
		Example: `  refline stack render landing --env dev
  refline stack render --env dev -o rendered`,
		RunE: func(cmd *cobra.Command, args []string) error { return runStackRender(cmd.Context(), e, o, args) },
	}
	o.bind(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "folder to write to")
	return cmd
}

func runStackRender(ctx context.Context, e *env, o *stackRenderOptions, names []string) error {
	w, err := o.load(ctx, e)
	if err != nil {
		return err
	}
	env := o.env
	if chosen := w.Select(w.ref()); env == "" && len(chosen) == 1 {
		env = chosen[0].Env.Name
	}
	targets, err := w.Everywhere(env, w.ref(), names)
	if err != nil {
		return err
	}
	if o.output == "" && len(targets) != 1 {
		return usagef("%d templates do not fit stdout; name one stack and environment, or give -o FOLDER", len(targets))
	}
	var broken diag.List
	for _, t := range targets {
		tmpl, err := w.Render(ctx, t, w.read)
		if found, ok := stack.FindingsOf(err); ok {
			broken = append(broken, found...) // the others are rendered all the same
			continue
		}
		if err != nil {
			return err
		}
		if o.output == "" {
			_, err := e.stdout.Write(tmpl.Text)
			return err
		}
		if err := e.writeRenderedTemplate(o.output, t, tmpl); err != nil {
			return err
		}
	}
	return broken.Sort().Err()
}

func (e *env) writeRenderedTemplate(folder string, t *stack.Target, tmpl *stack.Template) error {
	ext := filepath.Ext(tmpl.File)
	if ext != ".yml" && ext != ".yaml" {
		ext = ".json"
	}
	file := filepath.Join(folder, t.StackName+ext)
	if err := e.writeFile(file, tmpl.Text); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, filepath.ToSlash(file))
	return nil
}
