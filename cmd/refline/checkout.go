package main

import (
	"context"
	"time"

	"refline/internal/definition"
	"refline/internal/git"
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
	noFiles    bool // only .git
}

// checkoutOptions are those of the flags and of a job's variables. A job's own
// GIT_SUBMODULE_STRATEGY decides, else --submodules.
func (o *runOptions) checkoutOptions(job definition.GitSettings) checkoutOptions {
	c := checkoutOptions{lfs: o.lfs, sparse: o.sparse, depth: o.depth, noFiles: job.NoCheckout}
	if o.submodules {
		c.submodules = git.SubmodulesRecursive
	}
	switch job.Submodules {
	case "none":
		c.submodules = git.SubmodulesNone
	case "normal":
		if !o.submodules {
			c.submodules = git.SubmodulesNormal
		}
	case "recursive":
		c.submodules = git.SubmodulesRecursive
	}
	return c
}
