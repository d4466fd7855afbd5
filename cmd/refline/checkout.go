package main

import (
	"context"
	"time"

	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// checkout makes the files that jobs start from: those of a working tree, or of
// a commit.
type checkout interface {
	// tree makes the base of the jobs' workspaces in dir, which is not there.
	tree(ctx context.Context, dir string, o checkoutOptions) (*workspace.Tree, error)
	// borrowed are folders that a workspace's .git reads objects from.
	borrowed() []string
	changedFiles() int
	// ready is how long it took from the ref to the checkout; 0 if nothing had
	// to be fetched.
	ready() time.Duration
	close()
}

// checkoutOptions say what a checkout holds beside the files of the commit.
type checkoutOptions struct {
	submodules git.Submodules
	lfs        bool
	sparse     []string
	depth      int
}

// checkoutOptions are those of the flags; without --submodules the variable
// GIT_SUBMODULE_STRATEGY decides.
func (o *runOptions) checkoutOptions(variables []pipeline.Variable) checkoutOptions {
	c := checkoutOptions{lfs: o.lfs, sparse: o.sparse, depth: o.depth}
	if o.submodules {
		c.submodules = git.SubmodulesRecursive
		return c
	}
	switch v, _ := pipeline.Lookup(variables)("GIT_SUBMODULE_STRATEGY"); v {
	case "normal":
		c.submodules = git.SubmodulesNormal
	case "recursive":
		c.submodules = git.SubmodulesRecursive
	}
	return c
}
