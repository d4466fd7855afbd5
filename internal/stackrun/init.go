package stackrun

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/stack"
)

// InitOptions say what Init writes.
type InitOptions struct {
	Config string // the configuration; "" looks for it here and above
	Output string // file for the jobs, in the repository
	Image  string // that the jobs run in
	Force  bool   // write over the file of jobs
}

// Init writes the jobs for the stacks of the configuration as an include. Without a
// configuration it writes a first one, and without a .gitlab-ci.yml one that
// includes the jobs.
func Init(ctx context.Context, p *Place, o InitOptions) error {
	tree, err := git.Open(ctx, p.Dir, p.Environ())
	if err != nil {
		return err
	}
	if _, err := find(p, o.Config, tree); errs.Is(err, errs.NotFound) {
		name := stack.FileNames()[0]
		if err := p.writeFile(name, stack.Starter()); err != nil {
			return err
		}
		fmt.Fprintf(p.Out, "wrote %s; put your accounts and templates into it\n", name)
	} else if err != nil {
		return err
	}
	w, err := Open(ctx, p, Selection{Config: o.Config})
	if err != nil {
		return err
	}
	// The jobs start at the repository's root.
	rel, err := filepath.Rel(tree.Root, filepath.Join(p.Dir, filepath.FromSlash(w.File)))
	if err != nil {
		return err
	}
	w.Config.File = filepath.ToSlash(rel)
	jobs := filepath.Join(tree.Root, o.Output)
	if _, err := os.Stat(jobs); err == nil && !o.Force {
		return errs.E(errs.Conflict, "%s exists; to write over it: --force", o.Output)
	}
	if err := p.writeFile(jobs, stack.Pipeline(w.Config, stack.PipelineOptions{Image: o.Image})); err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "wrote %s\n", filepath.ToSlash(o.Output))
	return p.includeJobs(tree.Root, o.Output)
}

// includeJobs writes a .gitlab-ci.yml that includes the jobs, or says which lines
// an existing one needs.
func (p *Place) includeJobs(root, jobs string) error {
	include := "include:\n  - local: /" + filepath.ToSlash(jobs) + "\n"
	file := filepath.Join(root, ".gitlab-ci.yml")
	if _, err := os.Stat(file); err == nil {
		p.notef("in .gitlab-ci.yml, unless it is there already:\n%s", include)
		return nil
	}
	if err := p.writeFile(file, []byte(include)); err != nil {
		return err
	}
	fmt.Fprintln(p.Out, "wrote .gitlab-ci.yml")
	return nil
}
