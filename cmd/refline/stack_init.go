package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/stack"
)

type stackInitOptions struct {
	config string
	output string
	image  string
	force  bool
}

func newStackInitCmd(e *env) *cobra.Command {
	o := &stackInitOptions{}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write the pipeline that checks, publishes, plans and deploys the stacks",
		Long: `Write the jobs for the stacks and environments of the configuration as an include
that works in GitLab CI and in refline run: render and check on every ref, publish
and plan where the ref has an environment, deploy by hand with the plan file and
nothing else. Without a configuration one to begin with is written, and without a
.gitlab-ci.yml one that includes the jobs.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack init
  refline stack init --image registry.example.com/refline:1 --force`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStackInit(cmd.Context(), e, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration (default refline.stacks.yml or .jsonnet, here or above)")
	f.StringVarP(&o.output, "output", "o", filepath.Join(".gitlab", "stacks.yml"), "file for the jobs, in the repository")
	f.StringVar(&o.image, "image", "", "image that the jobs run in; it must have refline")
	f.BoolVar(&o.force, "force", false, "write over the file of jobs")
	return cmd
}

func runStackInit(ctx context.Context, e *env, o *stackInitOptions) error {
	tree, err := git.Open(ctx, e.dir, e.environ())
	if err != nil {
		return err
	}
	so := stackOptions{config: o.config}
	if _, err := so.find(e, tree); errs.Is(err, errs.NotFound) {
		name := stack.FileNames()[0]
		if err := e.writeFile(name, stack.Starter()); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "wrote %s; put your accounts and templates into it\n", name)
	} else if err != nil {
		return err
	}
	w, err := so.load(ctx, e)
	if err != nil {
		return err
	}
	// The jobs start at the repository's root.
	abs := filepath.Join(e.dir, filepath.FromSlash(w.File))
	rel, err := filepath.Rel(tree.Root, abs)
	if err != nil {
		return err
	}
	w.Config.File = filepath.ToSlash(rel)
	jobs := filepath.Join(tree.Root, o.output)
	if _, err := os.Stat(jobs); err == nil && !o.force {
		return errs.E(errs.Conflict, "%s exists; give --force to write it anew", o.output)
	}
	if err := e.writeFile(jobs, stack.Pipeline(w.Config, stack.PipelineOptions{Image: o.image})); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "wrote %s\n", filepath.ToSlash(o.output))
	include := "include:\n  - local: /" + filepath.ToSlash(o.output) + "\n"
	root := filepath.Join(tree.Root, ".gitlab-ci.yml")
	if _, err := os.Stat(root); err == nil {
		e.notef("in .gitlab-ci.yml, unless it is there already:\n%s", include)
		return nil
	}
	if err := e.writeFile(root, []byte(include)); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, "wrote .gitlab-ci.yml")
	return nil
}
