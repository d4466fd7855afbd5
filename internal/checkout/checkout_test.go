package checkout

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"refline/internal/definition"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// The variables of a job decide over the options of the run.
func TestOptionsOfAJob(t *testing.T) {
	t.Parallel()
	recursive := Options{Submodules: git.SubmodulesRecursive, LFS: true}
	for name, tc := range map[string]struct {
		run  Options
		job  definition.GitSettings
		want Options
	}{
		"nothing said":            {recursive, definition.GitSettings{}, recursive},
		"none over recursive":     {recursive, definition.GitSettings{Submodules: "none", SubmodulePaths: "lib"}, Options{LFS: true}},
		"normal over none":        {Options{}, definition.GitSettings{Submodules: "normal"}, Options{Submodules: git.SubmodulesNormal}},
		"normal keeps recursive":  {recursive, definition.GitSettings{Submodules: "normal"}, recursive},
		"no LFS":                  {recursive, definition.GitSettings{SkipLFS: true}, Options{Submodules: git.SubmodulesRecursive}},
		"LFS is not asked for":    {Options{}, definition.GitSettings{SkipLFS: false}, Options{}},
		"no files":                {Options{}, definition.GitSettings{NoCheckout: true}, Options{NoFiles: true}},
		"paths without submodule": {Options{}, definition.GitSettings{SubmodulePaths: "lib", ForceHTTPS: true}, Options{}},
		"paths": {
			Options{}, definition.GitSettings{Submodules: "recursive", SubmodulePaths: "lib", ForceHTTPS: true},
			Options{Submodules: git.SubmodulesRecursive, SubmodulePaths: "lib", ForceHTTPS: true},
		},
	} {
		if got := tc.run.forJob(tc.job); fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

// Most jobs share one tree; each other set of files is made once.
func TestTreesOfJobs(t *testing.T) {
	t.Parallel()
	job := func(name, strategy string) pipeline.Job {
		return pipeline.Job{Name: name, Variables: []pipeline.Variable{{Name: "GIT_SUBMODULE_STRATEGY", Value: strategy}}}
	}
	p := &pipeline.Pipeline{Jobs: []pipeline.Job{job("a", "none"), job("b", "normal"), job("c", "normal"), job("d", "recursive"), job("e", "recursive")}}
	d := &definition.Definition{Result: &gitlabci.Result{Pipeline: p}}
	var made []string
	var notes strings.Builder
	trees, err := MakeTrees(t.Context(), TreesInput{
		Definition: d, Pipeline: p, Folder: "/f", Notice: func(s string) { notes.WriteString(s) },
		Make: func(_ context.Context, dir string, o Options) (*workspace.Tree, error) {
			made = append(made, dir+" "+string(o.Submodules))
			return workspace.NewTree(dir), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*workspace.Tree{}
	for i := range p.Jobs {
		if got[p.Jobs[i].Name], err = trees.Of(t.Context(), d, &p.Jobs[i], false); err != nil {
			t.Fatal(err)
		}
	}
	if want := "[/f/tree normal /f/tree-2  /f/tree-3 recursive]"; fmt.Sprint(made) != want {
		t.Errorf("made %s, want %s", made, want)
	}
	if got["b"] != got["c"] || got["d"] != got["e"] || got["a"] == got["b"] || notes.Len() > 0 {
		t.Errorf("trees %v, notes %q", got, notes.String())
	}
}
