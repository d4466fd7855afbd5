package checkout

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"refline/internal/definition"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// TreesInput says what a run's trees are made of.
type TreesInput struct {
	Options    Options // of the run
	Definition *definition.Definition
	Pipeline   *pipeline.Pipeline // the jobs of the definition that run
	Folder     string             // where trees are made
	// Make makes a tree in a folder that is not there; it gives nil for jobs that run
	// in place.
	Make       func(ctx context.Context, dir string, o Options) (*workspace.Tree, error)
	Repository bool // the code is a commit of a repository, not a working tree
	Notice     func(text string)
}

// Trees give each job the files that its git variables ask for. Most runs have
// one tree; jobs that ask for other files get a tree of their own on first use.
type Trees struct {
	in    TreesInput
	usual Options         // of most jobs
	tree  *workspace.Tree // nil in place

	mu     sync.Mutex
	others map[treeKey]*workspace.Tree
	noted  bool // of GIT_CLONE_PATH
}

// treeKey is the part of Options in which jobs differ.
type treeKey struct {
	submodules git.Submodules
	paths      git.SubmodulePaths
	https      bool
	lfs        bool
	noFiles    bool
}

func (o Options) key() treeKey {
	return treeKey{o.Submodules, o.SubmodulePaths, o.ForceHTTPS, o.LFS, o.NoFiles}
}

// MakeTrees makes the tree that most jobs use.
func MakeTrees(ctx context.Context, in TreesInput) (*Trees, error) {
	t := &Trees{in: in, others: map[treeKey]*workspace.Tree{}}
	count := map[treeKey]int{}
	t.usual = in.Options
	for i := range in.Pipeline.Jobs {
		j := &in.Pipeline.Jobs[i]
		if j.Downstream != nil {
			continue
		}
		o := in.Options.forJob(in.Definition.GitSettings(j))
		if count[o.key()]++; count[o.key()] > count[t.usual.key()] {
			t.usual = o
		}
	}
	var err error
	t.tree, err = in.Make(ctx, filepath.Join(in.Folder, "tree"), t.usual)
	return t, err
}

// UsePool lets the usual tree take workspaces of earlier runs from a folder.
func (t *Trees) UsePool(dir string) {
	if t.tree != nil { // there is none in place
		t.tree.UsePool(dir)
	}
}

// Of returns the tree of a job.
func (t *Trees) Of(ctx context.Context, d *definition.Definition, j *pipeline.Job, isolated bool) (*workspace.Tree, error) {
	settings := d.GitSettings(j)
	t.mu.Lock()
	defer t.mu.Unlock()
	if settings.ClonePath != "" && !isolated && !t.noted {
		t.noted = true
		t.notef("GIT_CLONE_PATH of job %q is obeyed in containers only; on this computer every job has a folder of its own", j.Name)
	}
	o := t.in.Options.forJob(settings)
	if t.tree == nil || o.key() == t.usual.key() {
		return t.tree, nil
	}
	if tree := t.others[o.key()]; tree != nil {
		return tree, nil
	}
	tree, err := t.in.Make(ctx, filepath.Join(t.in.Folder, fmt.Sprintf("tree-%d", len(t.others)+2)), o)
	if err != nil {
		return nil, err
	}
	t.others[o.key()] = tree
	return tree, nil
}

func (t *Trees) notef(format string, args ...any) { t.in.Notice(fmt.Sprintf(format, args...)) }
