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
	ClonePath  string // GIT_CLONE_PATH

	SubmodulePaths string // GIT_SUBMODULE_PATHS: path specifications, those to leave out as ":(exclude)PATH"
	ForceHTTPS     bool   // GIT_SUBMODULE_FORCE_HTTPS: submodules of the project's server by https
	SkipLFS        bool   // GIT_LFS_SKIP_SMUDGE
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
	yes := func(name string) bool {
		is, _ := strconv.ParseBool(value(name))
		return is
	}
	checkout, err := strconv.ParseBool(value("GIT_CHECKOUT"))
	return GitSettings{
		Strategy: value("GIT_STRATEGY"), Depth: value("GIT_DEPTH"), Submodules: value("GIT_SUBMODULE_STRATEGY"),
		NoCheckout: err == nil && !checkout, ClonePath: value("GIT_CLONE_PATH"), SubmodulePaths: value("GIT_SUBMODULE_PATHS"),
		ForceHTTPS: yes("GIT_SUBMODULE_FORCE_HTTPS"), SkipLFS: yes("GIT_LFS_SKIP_SMUDGE"),
	}
}
