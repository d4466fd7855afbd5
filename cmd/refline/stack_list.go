package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/stack"
)

func newStackListCmd(e *env) *cobra.Command {
	o := &stackOptions{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show which stacks go to which environments, and what this ref does",
		Long: `Show the matrix of stacks and environments: the name of each stack in each, the
refs, accounts and regions, and what the ref one stands on does there.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack list
  refline stack list --branch main --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStackList(cmd.Context(), e, o) },
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	return cmd
}

type listedEnvironment struct {
	Name      string            `json:"name"`
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	Protected bool              `json:"protected"`
	Refs      []string          `json:"refs"`
	Mode      stack.Mode        `json:"does"` // what the ref one stands on does here
	Stacks    map[string]string `json:"stacks"`
	Order     []string          `json:"order"`
}

func runStackList(ctx context.Context, e *env, o *stackOptions) error {
	w, err := o.load(ctx, e)
	if err != nil {
		return err
	}
	var list []listedEnvironment
	for _, env := range w.Environments {
		if o.env != "" && env.Name != o.env {
			continue
		}
		item := listedEnvironment{Name: env.Name, Account: env.Account, Region: env.Region, Protected: env.Protected,
			Refs: []string{}, Mode: stack.ModeLint, Stacks: map[string]string{}, Order: []string{}}
		for _, r := range env.Refs {
			item.Refs = append(item.Refs, r.String())
		}
		for _, s := range w.Select(w.ref()) {
			if s.Env == env {
				item.Mode = s.Mode
			}
		}
		_, targets, err := w.Choose(env.Name, w.ref(), nil)
		if err != nil {
			return err
		}
		for _, t := range targets {
			item.Stacks[t.Name] = t.StackName
			item.Order = append(item.Order, t.Name)
		}
		list = append(list, item)
	}
	if o.json {
		return e.printJSON(list)
	}
	return w.printMatrix(list)
}

func (w *stackWork) printMatrix(list []listedEnvironment) error {
	ref := "no ref"
	if w.origin.Ref != "" {
		ref = w.ref().String()
	}
	fmt.Fprintf(w.e.stdout, "%s · %s\n", w.File, ref)
	tab := newTable()
	row := func(cells ...string) { fmt.Fprintln(tab, "  "+strings.Join(cells, "\t")) }
	head := []string{"stack"}
	for _, env := range list {
		head = append(head, env.Name)
	}
	row(head...)
	for _, d := range w.Stacks {
		cells := []string{d.Name}
		for _, env := range list {
			cells = append(cells, firstOf(env.Stacks[d.Name], "–"))
		}
		row(cells...)
	}
	for _, line := range []struct {
		name string
		of   func(listedEnvironment) string
	}{
		{"account", func(e listedEnvironment) string { return e.Account }},
		{"region", func(e listedEnvironment) string { return e.Region }},
		{"refs", func(e listedEnvironment) string { return firstOf(strings.Join(e.Refs, ", "), "none") }},
		{"here", func(e listedEnvironment) string { return string(e.Mode) }},
	} {
		cells := []string{line.name}
		for _, env := range list {
			cells = append(cells, line.of(env))
		}
		row(cells...)
	}
	return tab.print(w.e.stdout)
}

func newStackSchemaCmd(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of refline.stacks.yml, for editors",
		Long: `Print the JSON Schema of the configuration. Editors take it by a line at the top
of the file: # yaml-language-server: $schema=stacks.schema.json

Exit codes: 0 good, 2 usage.`,
		Example: `  refline stack schema > stacks.schema.json`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := e.stdout.Write(stack.Schema())
			return err
		},
	}
}

func newStackGraphCmd(e *env) *cobra.Command {
	o := &stackOptions{}
	format := ""
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Draw which stacks wait for which",
		Long: `Draw the stacks of an environment in the order of deployment, and by which
outputs they depend on each other.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack graph --env dev
  refline stack graph --env dev --format dot | dot -Tsvg > stacks.svg`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := o.load(cmd.Context(), e)
			if err != nil {
				return err
			}
			f := stack.GraphFormat(format)
			if f != stack.GraphText && f != stack.GraphDOT && f != stack.GraphMermaid {
				return usagef("--format %q is none of text, dot, mermaid", format)
			}
			env, _, err := w.choose(o, nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(e.stdout, w.Graph(env, f))
			return err
		},
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text, dot or mermaid")
	return cmd
}
