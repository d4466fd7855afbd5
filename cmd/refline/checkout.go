package main

import (
	"cmp"
	"context"

	"refline/internal/checkout"
	"refline/internal/git"
	"refline/internal/source"
	"refline/internal/workspace"
)

// checkoutPlace is where code is opened from, with the options' credentials.
func checkoutPlace(e *env, o *pipelineOptions) checkout.Place {
	includes := func(home string) includeOptions {
		in := o.includes
		in.home = homeOf(home)
		return in
	}
	return checkout.Place{
		Dir: e.dir, Getenv: e.getenv, Environ: e.environ, Notice: func(text string) { e.notef("%s", text) },
		Remote: func(url, home string) (*git.Remote, error) { return openRemote(e, url, includes(home).access(e, url)) },
		Source: func(home string) source.Options { return o.sourceOptions(e, includes(home)) },
	}
}

// namedRef is the ref that the options name.
func (o *pipelineOptions) namedRef() checkout.Ref {
	return checkout.Ref{Branch: o.branch, Tag: o.tag, Commit: o.commit, Name: o.ref, Pinned: o.pinned, PinnedName: o.pinnedRef}
}

// openWorkingTree opens the working tree of the current folder or of a file, ""
// for the default one.
func openWorkingTree(ctx context.Context, e *env, o *pipelineOptions, file string) (*source.WorkingTree, checkout.Checkout, error) {
	place := checkoutPlace(e, o)
	w, err := checkout.FindWorkingTree(ctx, place, cmp.Or(o.dir, e.dir), file)
	if err != nil {
		return nil, nil, err
	}
	if state, err := e.stateDir(); err == nil {
		w.Skip(state)
	}
	if cache, err := e.cacheDir(); err == nil {
		w.Skip(cache)
	}
	t, files := checkout.OpenWorkingTree(ctx, place, w, o.namedRef())
	return t, files, nil
}

// localRepository gives the absolute path of a folder of this computer.
func localRepository(e *env, repo string) (string, bool) {
	return checkout.LocalRepository(checkoutPlace(e, &pipelineOptions{}), repo)
}

// makeTrees makes the files that the run's jobs start from.
func (s *session) makeTrees(ctx context.Context) (*checkout.Trees, error) {
	o := checkout.Options{LFS: s.o.lfs, Sparse: s.o.sparse, Depth: s.o.depth}
	if s.o.submodules {
		o.Submodules = git.SubmodulesRecursive
	}
	trees, err := checkout.MakeTrees(ctx, checkout.TreesInput{
		Options: o, Definition: s.c.Definition, Pipeline: s.c.pipeline,
		Folder: s.Store.WorkFolder(s.Record.Number), Make: s.makeTree,
		Repository: s.c.root == "", Notice: func(text string) { s.e.notef("%s", text) },
	})
	if err == nil {
		trees.UsePool(s.Pool())
	}
	return trees, err
}

func (s *session) makeTree(ctx context.Context, dir string, o checkout.Options) (*workspace.Tree, error) {
	switch {
	case !s.o.inPlace:
		return s.c.checkout.Tree(ctx, dir, o)
	case s.c.root == "":
		return nil, usagef("--in-place needs a working tree; it excludes --repo")
	}
	return nil, nil
}
