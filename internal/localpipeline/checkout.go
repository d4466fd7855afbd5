package localpipeline

import (
	"cmp"
	"context"

	"refline/internal/checkout"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/source"
)

// checkoutPlace is where code is opened from, with the options' credentials.
func (o *Options) checkoutPlace(p *Place) checkout.Place {
	includes := func(home string) Includes {
		in := o.Includes
		in.home = homeOf(home)
		return in
	}
	return checkout.Place{
		Dir: p.Dir, Getenv: p.Getenv, Environ: p.Environ, Notice: func(text string) { p.notef("%s", text) },
		Remote: func(url, home string) (*git.Remote, error) { return openRemote(p, url, includes(home).access(p, url)) },
		Source: func(home string) source.Options { return o.sourceOptions(p, includes(home)) },
	}
}

// namedRef is the ref that the options name.
func (o *Options) namedRef() checkout.Ref {
	return checkout.Ref{Branch: o.Branch, Tag: o.Tag, Commit: o.Commit, Name: o.Ref, Pinned: o.Pinned, PinnedName: o.PinnedRef}
}

// openWorkingTree opens the working tree of the current folder or of a file, ""
// for the default one.
func openWorkingTree(ctx context.Context, p *Place, o *Options, file string) (*source.WorkingTree, checkout.Checkout, error) {
	place := o.checkoutPlace(p)
	w, err := checkout.FindWorkingTree(ctx, place, cmp.Or(o.Dir, p.Dir), file)
	if err != nil {
		return nil, nil, err
	}
	if state, err := p.State(); err == nil {
		w.Skip(state)
	}
	if cache, err := p.Cache(); err == nil {
		w.Skip(cache)
	}
	t, files := checkout.OpenWorkingTree(ctx, place, w, o.namedRef())
	return t, files, nil
}

// LocalRepository gives the absolute path of a folder of this computer.
func LocalRepository(p *Place, repo string) (string, bool) {
	return checkout.LocalRepository((&Options{}).checkoutPlace(p), repo)
}

// OpenCommit opens one commit: of the repository that the options name, else the one
// that is checked out here, under the name of its branch.
func OpenCommit(ctx context.Context, p *Place, o *Options) (*source.Commit, checkout.Checkout, error) {
	named := *o
	named.Includes = named.Includes.withDefaults(p.Getenv)
	if named.Repo == "" {
		w, err := git.Open(ctx, p.Dir, p.Environ())
		if err != nil {
			return nil, nil, err
		}
		if !w.InRepository() {
			return nil, nil, errs.E(errs.Invalid, "%s is not in a git repository; name one: --repo URL", w.Root)
		}
		named.Repo = w.Root
		if named.Branch+named.Tag+named.Commit+named.Ref == "" {
			if w.SHA == "" {
				return nil, nil, errs.E(errs.Invalid, "%s has no commit yet", w.Root)
			}
			named.Pinned, named.PinnedRef = w.SHA, w.Branch
		}
	}
	return checkout.OpenCommit(ctx, named.checkoutPlace(p), named.Repo, named.namedRef(), named.Depth)
}
