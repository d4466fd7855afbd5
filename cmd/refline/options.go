package main

import (
	"github.com/spf13/cobra"

	"refline/internal/localpipeline"
)

// pipelineOptions say which pipeline is meant: the flags that run, list, show,
// explain, lint and graph share.
type pipelineOptions struct{ localpipeline.Options }

func (o *pipelineOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.File, "file", "f", "", "pipeline or script (default .gitlab-ci.yml, else .gitlab-ci.jsonnet, at the repository's root); - reads a pipeline from stdin")
	f.StringArrayVar(&o.Vars, "var", nil, "a variable of this pipeline: K=V")
	f.StringArrayVar(&o.VarFiles, "var-file", nil, "a file of variables: lines K=V")
	f.StringVar(&o.Variables, "variables", "", "the file of variables that refline var keeps (REFLINE_VARIABLES; default: the project's)")
	f.StringArrayVar(&o.Inputs, "input", nil, "a value for spec:inputs or a script: K=V")
	f.StringVar(&o.Repo, "repo", "", "take the code from this repository (URL or folder) instead of the working tree")
	f.StringVar(&o.Branch, "branch", "", "with --repo the branch to run; else pretend to be on it")
	f.StringVar(&o.Tag, "tag", "", "with --repo the tag to run; else pretend that HEAD has it")
	f.StringVar(&o.Commit, "commit", "", "the commit to run, of this repository or of --repo; here any revision: HEAD~1")
	f.StringVar(&o.Ref, "ref", "", "a branch, or a tag where no branch has this name")
	f.StringVar(&o.Event, "event", "push", "why the pipeline starts: push, merge_request, schedule, web, api")
	f.StringVar(&o.Target, "target", "", "with --event merge_request: the target branch (default: the default branch)")
	f.StringVar(&o.Before, "before", "", "the commit before the push, for rules:changes and CI_COMMIT_BEFORE_SHA: any revision of this repository, else the whole name (default: its first parent; zeros: a new branch)")
	f.StringArrayVar(&o.Changed, "changed", nil, "for rules:changes: pretend that just these files changed")
	f.StringVar(&o.Includes.Projects, "projects", "", "where include:project finds other projects: a URL prefix or folder (REFLINE_PROJECTS)")
	f.StringVar(&o.Includes.Components, "components", "", "the same for include:component (REFLINE_COMPONENTS)")
	f.StringVar(&o.Includes.Templates, "templates", "", "where include:template finds GitLab's templates (REFLINE_TEMPLATES)")
	f.BoolFunc("mr", "the same as --event merge_request", func(string) error {
		o.Event = "merge_request"
		return nil
	})
	_ = f.MarkHidden("mr")
	cmd.MarkFlagsMutuallyExclusive("mr", "event")
	cmd.MarkFlagsMutuallyExclusive("ref", "branch", "tag", "commit")
	_ = cmd.MarkFlagFilename("file")
}
