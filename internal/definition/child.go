package definition

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// Limits of child pipelines, as GitLab has them.
const (
	maxChildFiles = 3       // that a trigger includes
	maxChildDepth = 2       // how deep they nest
	maxChildBytes = 5 << 20 // of a configuration from an artifact
)

// ChildRequest says which child pipeline a trigger job starts.
type ChildRequest struct {
	Job       *pipeline.Job // the trigger job
	ID        int64         // the child's CI_PIPELINE_ID; 0 keeps the parent's
	Variables []pipeline.Variable
	// Open opens a file of the artifacts of a job that has run.
	Open func(job, path string) (io.ReadCloser, error)
}

// Child compiles the pipeline of a trigger job, from files of the project or
// from an earlier job's artifacts.
func (d *Definition) Child(ctx context.Context, r ChildRequest) (*Definition, error) {
	t := r.Job.Downstream
	switch {
	case t.Project != "":
		return nil, errs.E(errs.Invalid, "a pipeline of project %s needs a server; only child pipelines run here", t.Project)
	case d.depth >= maxChildDepth:
		return nil, errs.E(errs.Invalid, "child pipelines nest %d deep at most", maxChildDepth)
	case len(t.Include) == 0 || len(t.Include) > maxChildFiles:
		return nil, errs.E(errs.Invalid, "trigger:include takes 1 to %d files, got %d", maxChildFiles, len(t.Include))
	}
	c := *d
	c.depth++
	c.Result, c.Script, c.Trigger = nil, false, pipeline.TriggerParent
	c.Facts.Trigger, c.Facts.Parent = c.Trigger, true
	if r.ID > 0 {
		c.Facts.PipelineID = r.ID // of its own, as on GitLab
	}
	c.input.Predefined = gitlabci.Predefined(c.Facts)
	c.input.Pipeline = pipeline.Merge(r.Variables)
	if t.Forward.PipelineVariables {
		c.input.Pipeline = pipeline.Merge(r.Variables, d.input.Pipeline)
	}
	includes, unset := expandIncludes(t.Include, c.input.IncludeExpander())
	if err := checkNames(includes); err != nil {
		return nil, withUnset(err, unset)
	}
	artifacts := map[string][]byte{}
	root, err := childRoot(r, includes, artifacts)
	if err != nil {
		return nil, withUnset(err, unset)
	}
	c.File = root.source.Path
	c.input.Root, c.input.Content, c.input.Inputs, c.input.Positions = root.source, root.content, root.inputs, nil
	c.input.Loader = artifactLoader{d.loader, artifacts}
	if err := c.compileChild(ctx); err != nil {
		return nil, withUnset(err, unset)
	}
	return &c, nil
}

// expandIncludes replaces the variables in what a trigger includes, by the rules
// for the includes of the child: it sees the variables that it gets, but none of
// its files. Inputs stay literal. The names of unset variables are returned.
func expandIncludes(list []pipeline.DownstreamInclude, expand func(string) (string, []string)) (out []pipeline.DownstreamInclude, unset []string) {
	out = slices.Clone(list)
	for i := range out {
		inc := &out[i]
		for _, text := range []*string{&inc.Local, &inc.Artifact, &inc.Job, &inc.Project, &inc.Ref, &inc.File, &inc.Template, &inc.Remote, &inc.Component} {
			if text == &inc.Local && strings.Contains(*text, "*") {
				continue // GitLab matches a pattern before it replaces variables
			}
			var missing []string
			*text, missing = expand(*text)
			unset = append(unset, missing...)
		}
		// "$URL" and "$DIR/a.yml" are read as paths before their value is known.
		if strings.HasPrefix(inc.Local, "https://") || strings.HasPrefix(inc.Local, "http://") {
			inc.Remote, inc.Local = inc.Local, ""
		}
		inc.Local, inc.File = strings.TrimLeft(inc.Local, "/"), strings.TrimLeft(inc.File, "/")
	}
	return out, unset
}

// checkNames refuses what cannot be the name of a configuration, now that its
// variables are replaced.
func checkNames(list []pipeline.DownstreamInclude) error {
	for _, inc := range list {
		if inc.Component != "" {
			continue
		}
		name := cmp.Or(inc.Local, inc.Artifact, inc.File, inc.Template, inc.Remote)
		if name == "" {
			return errs.E(errs.Invalid, "trigger:include names no file")
		}
		if u, err := url.Parse(name); err == nil && inc.Remote != "" {
			name = u.Path
		}
		if !gitlabci.IsPipelineFile(name) {
			return errs.E(errs.Invalid, "trigger:include must name a file that ends in .yml or .yaml, not %q", name)
		}
	}
	return nil
}

// withUnset adds to an error that a name in trigger:include lacks variables.
func withUnset(err error, unset []string) error {
	if len(unset) == 0 {
		return err
	}
	return fmt.Errorf("%w; trigger:include uses variables that are not set: %s", err, strings.Join(unset, ", "))
}

// compileChild is compile for a configuration that must give jobs.
func (d *Definition) compileChild(ctx context.Context) error {
	if isJsonnet(d.File) {
		if err := d.evaluate(ctx); err != nil {
			return err
		}
	}
	var err error
	if d.Result, err = gitlabci.Compile(ctx, d.input); err != nil {
		return err
	}
	if err := d.Findings.Err(); err != nil {
		return err
	}
	if d.Pipeline == nil {
		return errs.E(errs.Invalid, "the child pipeline has no jobs: %s", d.NotCreated)
	}
	return nil
}

// childFile is the file that a child pipeline starts from.
type childFile struct {
	source  gitlabci.Source
	content []byte
	inputs  map[string]any
}

// childRoot finds what a trigger includes: one file as the root, several or a
// pattern as a root that includes them.
func childRoot(r ChildRequest, includes []pipeline.DownstreamInclude, artifacts map[string][]byte) (childFile, error) {
	t := r.Job.Downstream
	for _, inc := range includes {
		if inc.Artifact == "" {
			continue
		}
		data, err := r.readArtifact(inc)
		if err != nil {
			return childFile{}, err
		}
		artifacts[inc.Artifact] = data
	}
	if len(includes) > 1 || strings.Contains(includes[0].Local, "*") {
		content, err := includeAll(includes)
		return childFile{source: gitlabci.Source{Kind: gitlabci.SourceLocal, Path: "trigger of " + r.Job.Name}, content: content, inputs: t.Inputs}, err
	}
	inc := includes[0]
	src := gitlabci.Source{Kind: gitlabci.SourceLocal, Path: inc.Local}
	switch {
	case inc.Artifact != "":
		src.Path = inc.Artifact
	case inc.Project != "":
		src.Project, src.Ref, src.Path = inc.Project, inc.Ref, inc.File
	case inc.Template != "":
		src = gitlabci.Source{Kind: gitlabci.SourceTemplate, Path: inc.Template}
	case inc.Remote != "":
		src = gitlabci.Source{Kind: gitlabci.SourceRemote, Path: inc.Remote}
	case inc.Component != "":
		src = gitlabci.Source{Kind: gitlabci.SourceComponent, Path: inc.Component}
	}
	inputs := inc.Inputs
	if inputs == nil {
		inputs = t.Inputs
	}
	return childFile{source: src, content: artifacts[inc.Artifact], inputs: inputs}, nil
}

// includeAll writes a configuration that includes several files; JSON is YAML.
func includeAll(list []pipeline.DownstreamInclude) ([]byte, error) {
	var out []map[string]any
	for _, inc := range list {
		entry := map[string]any{}
		for key, value := range map[string]string{
			"local": inc.Local + inc.Artifact, "project": inc.Project, "ref": inc.Ref, "file": inc.File,
			"template": inc.Template, "remote": inc.Remote, "component": inc.Component,
		} {
			if value != "" {
				entry[key] = value
			}
		}
		if len(inc.Inputs) > 0 {
			entry["inputs"] = inc.Inputs
		}
		out = append(out, entry)
	}
	return json.Marshal(map[string]any{"include": out})
}

func (r ChildRequest) readArtifact(inc pipeline.DownstreamInclude) ([]byte, error) {
	f, err := r.Open(inc.Job, inc.Artifact)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxChildBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxChildBytes {
		return nil, errs.E(errs.Invalid, "%s of job %q is larger than %d MiB", inc.Artifact, inc.Job, maxChildBytes>>20)
	}
	return data, nil
}

// artifactLoader reads files of artifacts before those of the project.
type artifactLoader struct {
	gitlabci.Loader
	files map[string][]byte
}

func (l artifactLoader) Read(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	if data, ok := l.files[src.Path]; ok && src.Kind == gitlabci.SourceLocal && src.Project == "" {
		return data, src, nil
	}
	return l.Loader.Read(ctx, src)
}
