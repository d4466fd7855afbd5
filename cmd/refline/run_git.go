package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"refline/internal/definition"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// jobTrees gives each job the files that its git variables ask for. Most runs have
// one tree; jobs that ask for other files get a tree of their own on first use.
type jobTrees struct {
	s     *session
	usual checkoutOptions // of most jobs
	tree  *workspace.Tree // nil in place

	mu     sync.Mutex
	others map[treeKey]*workspace.Tree
	noted  map[string]bool // variables that a notice named
}

// treeKey is the part of checkoutOptions in which jobs differ.
type treeKey struct {
	submodules git.Submodules
	noFiles    bool
}

func (o checkoutOptions) key() treeKey { return treeKey{o.submodules, o.noFiles} }

// makeTrees makes the tree that most jobs use.
func (s *session) makeTrees(ctx context.Context) (*jobTrees, error) {
	t := &jobTrees{s: s, others: map[treeKey]*workspace.Tree{}, noted: map[string]bool{}}
	count := map[treeKey]int{}
	t.usual = s.o.checkoutOptions(definition.GitSettings{})
	for i := range s.c.pipeline.Jobs {
		j := &s.c.pipeline.Jobs[i]
		if j.Downstream != nil {
			continue
		}
		o := s.o.checkoutOptions(s.c.GitSettings(j))
		if count[o.key()]++; count[o.key()] > count[t.usual.key()] {
			t.usual = o
		}
	}
	t.notObeyed(s.c.Definition)
	var err error
	t.tree, err = s.c.tree(ctx, t.folder("tree"), s.o.inPlace, t.usual)
	return t, err
}

func (t *jobTrees) folder(name string) string {
	return filepath.Join(t.s.store.WorkFolder(t.s.record.Number), name)
}

// of returns the tree of a job.
func (t *jobTrees) of(ctx context.Context, d *definition.Definition, j *pipeline.Job, isolated bool) (*workspace.Tree, error) {
	settings := d.GitSettings(j)
	t.mu.Lock()
	defer t.mu.Unlock()
	if path := settings.Others["GIT_CLONE_PATH"]; path != "" && !isolated && !t.noted["GIT_CLONE_PATH"] {
		t.noted["GIT_CLONE_PATH"] = true
		t.s.e.notef("GIT_CLONE_PATH of job %q is obeyed in containers only; on this computer every job has a folder of its own", j.Name)
	}
	o := t.s.o.checkoutOptions(settings)
	if t.tree == nil || o.key() == t.usual.key() {
		return t.tree, nil
	}
	if tree := t.others[o.key()]; tree != nil {
		return tree, nil
	}
	tree, err := t.s.c.tree(ctx, t.folder(fmt.Sprintf("tree-%d", len(t.others)+2)), false, o)
	if err != nil {
		return nil, err
	}
	t.others[o.key()] = tree
	return tree, nil
}

// notObeyed names in one notice the git variables of a pipeline's jobs that change
// nothing here.
func (t *jobTrees) notObeyed(d *definition.Definition) {
	var names []string
	for i := range d.Pipeline.Jobs {
		settings := d.GitSettings(&d.Pipeline.Jobs[i])
		submodules := t.s.o.checkoutOptions(settings).submodules != git.SubmodulesNone
		for name, counts := range map[string]bool{
			"GIT_SUBMODULE_PATHS":       submodules,
			"GIT_SUBMODULE_FORCE_HTTPS": submodules && t.s.c.root == "",
			"GIT_LFS_SKIP_SMUDGE":       t.s.o.lfs,
		} {
			if counts && settings.Others[name] != "" && !t.noted[name] {
				t.noted[name] = true
				names = append(names, name)
			}
		}
	}
	if slices.Sort(names); len(names) > 0 {
		t.s.e.notef("not obeyed here: %s; jobs get all submodules as their URLs are written, and the content of all LFS files", strings.Join(names, ", "))
	}
}
