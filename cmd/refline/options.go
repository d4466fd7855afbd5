package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/pipeline"
	"refline/internal/source"
	"refline/internal/variable"
)

// pipelineOptions say which pipeline is meant: the flags that run, list, show,
// explain, lint and graph share.
type pipelineOptions struct {
	file      string
	vars      []string
	varFiles  []string
	inputs    []string
	ref       string
	branch    string
	tag       string
	commit    string
	event     string
	changed   []string
	before    string
	target    string
	repo      string
	includes  includeOptions
	variables string

	// Not flags: what other commands set.
	dir       string         // a folder of the working tree; empty for the current folder
	content   []byte         // the configuration itself instead of a file
	values    map[string]any // inputs with their types
	pinned    string         // with repo: the commit instead of where its ref is now
	pinnedRef string         // its branch, where no option names one
	depth     int            // commits of history that a repository is fetched with; 0 is all
}

func (o *pipelineOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "pipeline or script (default .gitlab-ci.yml, else .gitlab-ci.jsonnet, at the repository's root); - reads a pipeline from stdin")
	f.StringArrayVar(&o.vars, "var", nil, "a variable of this pipeline: K=V")
	f.StringArrayVar(&o.varFiles, "var-file", nil, "a file of variables: lines K=V")
	f.StringVar(&o.variables, "variables", "", "the file of variables that refline var keeps (REFLINE_VARIABLES; default: the project's)")
	f.StringArrayVar(&o.inputs, "input", nil, "a value for spec:inputs or a script: K=V")
	f.StringVar(&o.repo, "repo", "", "take the code from this repository (URL or folder) instead of the working tree")
	f.StringVar(&o.branch, "branch", "", "with --repo the branch to run; else pretend to be on it")
	f.StringVar(&o.tag, "tag", "", "with --repo the tag to run; else pretend that HEAD has it")
	f.StringVar(&o.commit, "commit", "", "the commit to run, of this repository or of --repo; here any revision: HEAD~1")
	f.StringVar(&o.ref, "ref", "", "a branch, or a tag where no branch has this name")
	f.StringVar(&o.event, "event", "push", "why the pipeline starts: push, merge_request, schedule, web, api")
	f.StringVar(&o.target, "target", "", "with --event merge_request: the target branch (default: the default branch)")
	f.StringVar(&o.before, "before", "", "the commit before the push, for rules:changes and CI_COMMIT_BEFORE_SHA (default: its first parent; zeros: a new branch)")
	f.StringArrayVar(&o.changed, "changed", nil, "for rules:changes: pretend that just these files changed")
	f.StringVar(&o.includes.projects, "projects", "", "where include:project finds other projects: a URL prefix or folder (REFLINE_PROJECTS)")
	f.StringVar(&o.includes.components, "components", "", "the same for include:component (REFLINE_COMPONENTS)")
	f.StringVar(&o.includes.templates, "templates", "", "where include:template finds GitLab's templates (REFLINE_TEMPLATES)")
	f.BoolFunc("mr", "the same as --event merge_request", func(string) error {
		o.event = "merge_request"
		return nil
	})
	_ = f.MarkHidden("mr")
	cmd.MarkFlagsMutuallyExclusive("mr", "event")
	cmd.MarkFlagsMutuallyExclusive("ref", "branch", "tag", "commit")
	_ = cmd.MarkFlagFilename("file")
}

// again are the options that mean the same pipeline once more, for a command
// that people are told to give.
func (o *pipelineOptions) again() string {
	var b strings.Builder
	for _, f := range []struct{ flag, value string }{
		{"-f", o.file}, {"--repo", o.repo}, {"--branch", o.branch}, {"--tag", o.tag}, {"--commit", o.commit}, {"--ref", o.ref},
	} {
		if f.value != "" {
			b.WriteString(" " + f.flag + " " + shellWord(f.value))
		}
	}
	if o.event != "" && o.event != "push" {
		b.WriteString(" --event " + shellWord(o.event))
	}
	if o.target != "" {
		b.WriteString(" --target " + shellWord(o.target))
	}
	return b.String()
}

// checkBefore wants the whole name of a commit.
func (o *pipelineOptions) checkBefore() error {
	hex := strings.Trim(strings.ToLower(o.before), "0123456789abcdef") == ""
	if o.before == "" || hex && (len(o.before) == 40 || len(o.before) == 64) {
		return nil
	}
	return usagef("--before %s: give the whole name of the commit, or zeros for a new branch", o.before)
}

// sourceOptions are what a source needs of the flags.
func (o *pipelineOptions) sourceOptions(e *env, includes includeOptions) source.Options {
	return source.Options{
		Includes: includes.includes(e), Before: strings.ToLower(o.before), Depth: o.depth,
		Notice: func(text string) { e.notef("%s", text) },
	}
}

// argument is a word of a command line that is not an option, whatever it begins
// with.
func argument(word string) string {
	if strings.HasPrefix(word, "-") {
		return "-- " + shellWord(word)
	}
	return shellWord(word)
}

// eventNames are the values of --event.
func eventNamed(name string) (pipeline.Trigger, error) {
	switch name {
	case "", "push":
		return pipeline.TriggerPush, nil
	case "merge_request", "merge_request_event":
		return pipeline.TriggerMergeRequest, nil
	case "schedule":
		return pipeline.TriggerSchedule, nil
	case "web":
		return pipeline.TriggerWeb, nil
	case "api":
		return pipeline.TriggerAPI, nil
	case "trigger":
		return pipeline.TriggerToken, nil
	}
	return "", usagef("--event %q is not one of push, merge_request, schedule, web, api, trigger", name)
}

// pipelineVariables are those given for this run, the files' first.
func (o *pipelineOptions) pipelineVariables(e *env) ([]pipeline.Variable, error) {
	var out []pipeline.Variable
	for _, file := range o.varFiles {
		vars, err := variable.ReadFile(e.path(file), file)
		if err != nil {
			return nil, fmt.Errorf("--var-file %w", err)
		}
		for _, v := range vars {
			out = append(out, pipeline.Variable{Name: v.Name, Value: v.Value})
		}
	}
	for _, kv := range o.vars {
		name, value, err := keyValue("--var", kv)
		if err != nil {
			return nil, err
		}
		out = append(out, pipeline.Variable{Name: name, Value: value})
	}
	return out, nil
}

func keyValue(flag, kv string) (key, value string, err error) {
	key, value, ok := strings.Cut(kv, "=")
	if !ok || !variable.ValidName(key) {
		shown, _, _ := strings.Cut(kv, "=")
		return "", "", usagef("%s wants NAME=VALUE with a name of letters, digits and _, got %q", flag, shown)
	}
	return key, value, nil
}

// inputValues are the values for spec:inputs, as text from the command line.
func (o *pipelineOptions) inputValues() (map[string]any, error) {
	out := make(map[string]any, len(o.inputs)+len(o.values))
	for k, v := range o.values {
		out[k] = v
	}
	for _, kv := range o.inputs {
		key, value, ok := strings.Cut(kv, "=")
		if !ok || key == "" {
			return nil, usagef("--input wants NAME=VALUE, got %q", kv)
		}
		out[key] = value
	}
	return out, nil
}
