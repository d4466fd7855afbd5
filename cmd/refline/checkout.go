package main

import (
	"context"

	"refline/internal/checkout"
	"refline/internal/cli"
	"refline/internal/git"
	"refline/internal/workspace"
)

// makeTrees makes the files that the run's jobs start from.
func (s *session) makeTrees(ctx context.Context) (*checkout.Trees, error) {
	o := checkout.Options{LFS: s.o.lfs, Sparse: s.o.sparse, Depth: s.o.Depth}
	if s.o.submodules {
		o.Submodules = git.SubmodulesRecursive
	}
	trees, err := checkout.MakeTrees(ctx, checkout.TreesInput{
		Options: o, Definition: s.c.Definition, Pipeline: s.p,
		Folder: s.Store.WorkFolder(s.Record.Number), Make: s.makeTree,
		Repository: s.c.Root == "", Notice: func(text string) { s.e.Notef("%s", text) },
	})
	if err == nil {
		trees.UsePool(s.Pool())
	}
	return trees, err
}

func (s *session) makeTree(ctx context.Context, dir string, o checkout.Options) (*workspace.Tree, error) {
	switch {
	case !s.o.inPlace:
		return s.c.Checkout.Tree(ctx, dir, o)
	case s.c.Root == "":
		return nil, cli.Usagef("--in-place needs a working tree; it excludes --repo")
	}
	return nil, nil
}
