// Package checkout opens the code that a run is of, a working tree or a commit of
// a repository, and makes the trees of files that its jobs start from.
package checkout

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"refline/internal/definition"
	"refline/internal/git"
	"refline/internal/source"
	"refline/internal/workspace"
)

// Checkout makes the files that jobs start from: those of a working tree, or of
// a commit.
type Checkout interface {
	// Tree makes the base of the jobs' workspaces in dir, which is not there.
	Tree(ctx context.Context, dir string, o Options) (*workspace.Tree, error)
	// Borrowed are folders that a workspace's .git reads objects from.
	Borrowed() []string
	ChangedFiles() int
	// Ready is how long it took from the ref to the checkout; 0 if nothing had
	// to be fetched.
	Ready() time.Duration
	Close()
}

// Options say what a checkout holds beside the files of the commit.
type Options struct {
	Submodules git.Submodules
	LFS        bool
	Sparse     []string
	Depth      int
	NoFiles    bool // only .git

	SubmodulePaths git.SubmodulePaths // which submodules
	ForceHTTPS     bool               // submodules of the project's server by https
}

// forJob are the options of a run with a job's variables. A job's own
// GIT_SUBMODULE_STRATEGY decides, else the run's options.
func (o Options) forJob(job definition.GitSettings) Options {
	o.NoFiles, o.LFS = job.NoCheckout, o.LFS && !job.SkipLFS
	switch job.Submodules {
	case "none":
		o.Submodules = git.SubmodulesNone
	case "normal":
		if o.Submodules == git.SubmodulesNone {
			o.Submodules = git.SubmodulesNormal
		}
	case "recursive":
		o.Submodules = git.SubmodulesRecursive
	}
	if o.Submodules != git.SubmodulesNone {
		o.SubmodulePaths, o.ForceHTTPS = git.SubmodulePaths(job.SubmodulePaths), job.ForceHTTPS
	}
	return o
}

// Ref names a branch, tag or commit; at most one of the first four is set.
type Ref struct {
	Branch, Tag, Commit string
	Name                string // a branch, or a tag where no branch has this name
	Pinned              string // in a repository: the commit instead of where the ref is now
	PinnedName          string // its branch, where the others name none
}

// Place is where code is opened from.
type Place struct {
	Dir     string // the folder that is worked in
	Getenv  func(string) string
	Environ func() []string
	Notice  func(text string)
	// Remote reaches a repository; home is the address on the server of the project.
	Remote func(url, home string) (*git.Remote, error)
	// Source are the options of the code at an address.
	Source func(home string) source.Options
}

func (p Place) notef(format string, args ...any) { p.Notice(fmt.Sprintf(format, args...)) }

func (p Place) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.Dir, name)
}
