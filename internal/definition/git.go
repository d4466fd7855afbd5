package definition

import (
	"strconv"

	"refline/internal/pipeline"
)

// GitSettings are the runner's git variables of one job that decide which files it
// starts from.
type GitSettings struct {
	Strategy   string // GIT_STRATEGY: "", fetch, clone, none, empty
	Depth      string // GIT_DEPTH as written; "" if it is not set
	Submodules string // GIT_SUBMODULE_STRATEGY: "", none, normal, recursive
	NoCheckout bool   // GIT_CHECKOUT: "false"
	// The others, by name, if they are set and ask for something.
	Others map[string]string
}

// GitSettings returns those of a job, from all its variables, expanded.
func (d *Definition) GitSettings(j *pipeline.Job) GitSettings {
	below, above := d.JobVariables(j)
	vars, err := pipeline.ExpandAll(pipeline.Merge(below, j.Variables, above))
	if err != nil {
		return GitSettings{} // the job fails by it
	}
	lookup := pipeline.Lookup(vars)
	value := func(name string) string {
		v, _ := lookup(name)
		return pipeline.Resolve(v, lookup)
	}
	g := GitSettings{Strategy: value("GIT_STRATEGY"), Depth: value("GIT_DEPTH"), Submodules: value("GIT_SUBMODULE_STRATEGY"), Others: map[string]string{}}
	checkout, err := strconv.ParseBool(value("GIT_CHECKOUT"))
	g.NoCheckout = err == nil && !checkout
	for _, name := range []string{"GIT_SUBMODULE_FORCE_HTTPS", "GIT_LFS_SKIP_SMUDGE"} {
		if yes, _ := strconv.ParseBool(value(name)); yes {
			g.Others[name] = value(name)
		}
	}
	for _, name := range []string{"GIT_SUBMODULE_PATHS", "GIT_CLONE_PATH"} {
		if v := value(name); v != "" {
			g.Others[name] = v
		}
	}
	return g
}
