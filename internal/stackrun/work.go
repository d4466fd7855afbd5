package stackrun

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/mask"
	"refline/internal/stack"
)

// Selection says which configuration and environment are meant.
type Selection struct {
	Config string // the file; "" looks for it here and above
	Env    string // "" is the one that the ref chooses
	Branch string // pretend to be on this branch
	Tag    string // or on this tag
}

// Work is a configuration that was read, with what surrounds it.
type Work struct {
	*stack.Config
	place     *Place
	selection Selection
	tree      *git.Worktree // nil if no configuration was found
	origin    stack.Origin
	pretends  bool // the ref of the selection is not the one that is checked out
}

// Open reads the configuration and finds the ref.
func Open(ctx context.Context, p *Place, sel Selection) (*Work, error) {
	tree, err := git.Open(ctx, p.Dir, p.Environ())
	if err != nil {
		return nil, err
	}
	file, err := find(p, sel.Config, tree)
	if err != nil {
		return nil, err
	}
	w := &Work{place: p, selection: sel, tree: tree, origin: originOf(ctx, p, tree)}
	if ref := sel.Branch + sel.Tag; ref != "" {
		w.pretends = w.origin.Ref != ref || w.origin.Tag != (sel.Tag != "")
		w.origin.Ref, w.origin.Tag = ref, sel.Tag != ""
	}
	w.Config, err = stack.Load(ctx, file, p.Read)
	return w, err
}

// find looks for the configuration here and above, up to the repository's root.
func find(p *Place, config string, tree *git.Worktree) (string, error) {
	if config != "" {
		if info, err := os.Stat(p.path(config)); err == nil && info.IsDir() {
			return "", errs.E(errs.Invalid, "%s is a folder; --config names the file in it", config)
		}
		return filepath.ToSlash(config), nil
	}
	for dir := p.Dir; ; dir = filepath.Dir(dir) {
		for _, name := range stack.FileNames() {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				rel, err := filepath.Rel(p.Dir, path)
				return filepath.ToSlash(rel), err
			}
		}
		if dir == tree.Root || dir == filepath.Dir(dir) {
			return "", errs.E(errs.NotFound, "no %s here or above; make one: refline stack init", strings.Join(stack.FileNames(), ", "))
		}
	}
}

func (w *Work) ref() stack.Ref { return stack.Ref{Name: w.origin.Ref, Tag: w.origin.Tag} }

// choose finds the environment and its stacks.
func (w *Work) choose(names []string) (*stack.Environment, []*stack.Target, error) {
	if w.selection.Env == "" && w.origin.Ref == "" {
		return nil, nil, errs.Usage("the checkout is at no branch and no tag; name the environment with --env")
	}
	return w.Choose(w.selection.Env, w.ref(), names)
}

// connect reaches an environment's account and refuses another one.
func (w *Work) connect(ctx context.Context, env *stack.Environment) (*stack.Session, error) {
	return stack.Connect(ctx, w.place.Open, w.Config, env, w.deps())
}

func (w *Work) deps() stack.Deps {
	p := w.place
	d := stack.Deps{Read: p.Read, Getenv: p.Getenv, Origin: w.origin, Notef: p.notef, Mask: maskValues, Clock: stack.Clock{Now: p.Now}}
	if w.tree != nil && w.tree.InRepository() {
		d.IsAncestor = w.tree.Contains
	}
	return d
}

// maskValues hides values and their encodings. Values that the masker refuses are
// hidden by package stack alone.
func maskValues(values []string) func(string) string {
	set := &mask.Set{}
	for _, v := range values {
		_ = set.Add("secret", []byte(v)) //nolint:errcheck // see above
	}
	return set.String
}

// Operation is what a command does with the stacks of an account.
type Operation func(ctx context.Context, s *stack.Session, targets []*stack.Target) error

// Reach opens the configuration, chooses the environment and its stacks, connects,
// and calls do.
func Reach(ctx context.Context, p *Place, sel Selection, names []string, do Operation) error {
	w, err := Open(ctx, p, sel)
	if err != nil {
		return err
	}
	env, targets, err := w.choose(names)
	if err != nil {
		return err
	}
	s, err := w.connect(ctx, env)
	if err != nil {
		return err
	}
	return do(ctx, s, targets)
}

// checkRef refuses to plan a protected environment for a ref that is only
// pretended: its plans come from its own refs.
func (w *Work) checkRef(env *stack.Environment) error {
	if env.Protected && w.pretends {
		return errs.E(errs.Denied, "environment %s is protected: it is planned on %s itself, not by --branch or --tag; check that out", env.Name, w.origin.Ref)
	}
	return nil
}

// originOf is the origin of what is planned and published: from the variables of
// continuous integration, else from git. Only git knows whether files differ from
// the commit: a pipeline of a working tree includes its changes.
func originOf(ctx context.Context, p *Place, tree *git.Worktree) stack.Origin {
	o := namedOrigin(ctx, p, tree)
	if tree.InRepository() && o.Commit == tree.SHA {
		o.Dirty, _ = tree.Modified(ctx) // before the first commit nothing is known
	}
	return o
}

func namedOrigin(ctx context.Context, p *Place, tree *git.Worktree) stack.Origin {
	if o, ok := stack.CIOrigin(p.Getenv); ok {
		return o
	}
	o := stack.Origin{Commit: tree.SHA, Ref: tree.Branch}
	head, err := tree.Head(ctx)
	if err != nil {
		return o // outside of a repository, or before the first commit
	}
	o.Author = head.Author.String()
	if o.Ref == "" && len(head.Tags) > 0 {
		o.Ref, o.Tag = head.Tags[0], true
	}
	return o
}
