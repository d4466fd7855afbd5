package main

import (
	"bufio"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/pipeline"
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
	repo      string
	includes  includeOptions
	variables string

	// Not flags: what other commands set.
	content   []byte         // the configuration itself instead of a file
	values    map[string]any // inputs with their types
	reveal    bool           // masked variables have their values
	depth     int            // commits of history that a repository is fetched with; 0 is all
	runNumber int64
}

func (o *pipelineOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "pipeline or script (default .gitlab-ci.yml, else .gitlab-ci.jsonnet, at the repository's root)")
	f.StringArrayVar(&o.vars, "var", nil, "a variable of this pipeline: K=V")
	f.StringArrayVar(&o.varFiles, "var-file", nil, "a file of variables: lines K=V")
	f.StringVar(&o.variables, "variables", "", "the file of variables that refline var keeps (REFLINE_VARIABLES; default: the project's)")
	f.StringArrayVar(&o.inputs, "input", nil, "a value for spec:inputs or a script: K=V")
	f.StringVar(&o.repo, "repo", "", "take the code from this repository (URL or folder) instead of the working tree")
	f.StringVar(&o.branch, "branch", "", "with --repo the branch to run; else pretend to be on it")
	f.StringVar(&o.tag, "tag", "", "with --repo the tag to run; else pretend that HEAD has it")
	f.StringVar(&o.commit, "commit", "", "with --repo the commit to run")
	f.StringVar(&o.ref, "ref", "", "a branch, or a tag where no branch has this name")
	f.StringVar(&o.event, "event", "push", "why the pipeline starts: push, merge_request, schedule, web, api")
	f.StringArrayVar(&o.changed, "changed", nil, "for rules:changes: pretend that just these files changed")
	f.StringVar(&o.includes.projects, "projects", "", "where include:project finds other projects: a URL prefix or folder (REFLINE_PROJECTS)")
	f.StringVar(&o.includes.components, "components", "", "the same for include:component (REFLINE_COMPONENTS)")
	f.StringVar(&o.includes.templates, "templates", "", "where include:template finds GitLab's templates (REFLINE_TEMPLATES)")
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
	return b.String()
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
	return "", usagef("--event %q is none of push, merge_request, schedule, web, api, trigger", name)
}

// pipelineVariables are those given for this run, the files' first.
func (o *pipelineOptions) pipelineVariables(e *env) ([]pipeline.Variable, error) {
	var out []pipeline.Variable
	for _, file := range o.varFiles {
		vars, err := readVarFile(e.path(file), file)
		if err != nil {
			return nil, err
		}
		out = append(out, vars...)
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
	if !ok || !variableName(key) {
		shown, _, _ := strings.Cut(kv, "=")
		return "", "", usagef("%s wants NAME=VALUE with a name of letters, digits and _, got %q", flag, shown)
	}
	return key, value, nil
}

func variableName(s string) bool {
	for i, c := range []byte(s) {
		digit := c >= '0' && c <= '9'
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (!digit || i == 0) {
			return false
		}
	}
	return s != ""
}

// readVarFile reads lines K=V; blank lines and those that start with # are
// comments, and quotes around a whole value are taken off. A value is never
// part of a message.
func readVarFile(path, shown string) ([]pipeline.Variable, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errs.E(errs.Invalid, "--var-file %s is no regular file", shown)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errs.E(errs.NotFound, "--var-file %s: %w", shown, unwrapPath(err))
	}
	defer f.Close()
	var out []pipeline.Variable
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !variableName(name) {
			return nil, errs.E(errs.Invalid, "%s:%d: want NAME=VALUE with a name of letters, digits and _", shown, n)
		}
		if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		out = append(out, pipeline.Variable{Name: name, Value: value})
	}
	if err := lines.Err(); err != nil {
		return nil, errs.E(errs.Invalid, "%s: %w", shown, err)
	}
	return out, nil
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
