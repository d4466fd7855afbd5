package localpipeline

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/source"
	"refline/internal/termview"
	"refline/internal/variable"
)

// Options say which pipeline is meant, as a command line does.
type Options struct {
	File      string
	Vars      []string
	VarFiles  []string
	Inputs    []string
	Ref       string
	Branch    string
	Tag       string
	Commit    string
	Event     string
	Changed   []string
	Before    string
	Target    string
	Repo      string
	Includes  Includes
	Variables string

	// Not flags: what other commands set.
	Dir       string         // a folder of the working tree; empty for the current folder
	Content   []byte         // the configuration itself instead of a file
	Values    map[string]any // inputs with their types
	Pinned    string         // with repo: the commit instead of where its ref is now
	PinnedRef string         // its branch, where no option names one
	Depth     int            // commits of history that a repository is fetched with; 0 is all
}

// Again are the options that mean the same pipeline once more, for a command
// that people are told to give.
func (o *Options) Again() string {
	var b strings.Builder
	for _, f := range []struct{ flag, value string }{
		{"-f", o.File}, {"--repo", o.Repo}, {"--branch", o.Branch}, {"--tag", o.Tag}, {"--commit", o.Commit}, {"--ref", o.Ref},
	} {
		if f.value != "" {
			b.WriteString(" " + f.flag + " " + termview.ShellWord(f.value))
		}
	}
	if o.Event != "" && o.Event != "push" {
		b.WriteString(" --event " + termview.ShellWord(o.Event))
	}
	if o.Target != "" {
		b.WriteString(" --target " + termview.ShellWord(o.Target))
	}
	return b.String()
}

// resolveBefore makes a commit of any revision, in a repository of this computer.
// For another repository it wants the whole name.
func (o *Options) resolveBefore(ctx context.Context, p *Place) error {
	whole := func() bool {
		hex := strings.Trim(strings.ToLower(o.Before), "0123456789abcdef") == ""
		return hex && (len(o.Before) == 40 || len(o.Before) == 64)
	}
	if o.Before == "" || whole() {
		return nil
	}
	given := o.Before
	if o.Before = o.checkoutPlace(p).LocalRevision(ctx, cmp.Or(o.Repo, cmp.Or(o.Dir, p.Dir)), given); !whole() {
		return errs.E(errs.NotFound, "--before %s: not a commit of this repository; of another one give the whole name, and zeros for a new branch", given)
	}
	return nil
}

// sourceOptions are what a source needs of the flags.
func (o *Options) sourceOptions(p *Place, includes Includes) source.Options {
	return source.Options{
		Includes: includes.includes(p), Before: strings.ToLower(o.Before), Depth: o.Depth,
		Notice: func(text string) { p.notef("%s", text) },
	}
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
	return "", errs.Usage("--event %q is not one of push, merge_request, schedule, web, api, trigger", name)
}

// pipelineVariables are those given for this run, the files' first.
func (o *Options) pipelineVariables(p *Place) ([]pipeline.Variable, error) {
	var out []pipeline.Variable
	for _, file := range o.VarFiles {
		vars, err := variable.ReadFile(p.path(file), file)
		if err != nil {
			return nil, fmt.Errorf("--var-file %w", err)
		}
		for _, v := range vars {
			out = append(out, pipeline.Variable{Name: v.Name, Value: v.Value})
		}
	}
	for _, kv := range o.Vars {
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
		return "", "", errs.Usage("%s wants NAME=VALUE with a name of letters, digits and _, got %q", flag, shown)
	}
	return key, value, nil
}

// inputValues are the values for spec:inputs, as text from the command line.
func (o *Options) inputValues() (map[string]any, error) {
	out := make(map[string]any, len(o.Inputs)+len(o.Values))
	for k, v := range o.Values {
		out[k] = v
	}
	for _, kv := range o.Inputs {
		key, value, ok := strings.Cut(kv, "=")
		if !ok || key == "" {
			return nil, errs.Usage("--input wants NAME=VALUE, got %q", kv)
		}
		out[key] = value
	}
	return out, nil
}
