package definition

import (
	"context"
	"encoding/json"
	"io"

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
	artifacts := map[string][]byte{}
	root, err := childRoot(r, artifacts)
	if err != nil {
		return nil, err
	}
	c := *d
	c.depth++
	c.Result, c.Script, c.Trigger, c.File = nil, false, pipeline.TriggerParent, root.source.Path
	c.Facts.Trigger, c.Facts.Parent = c.Trigger, true
	if r.ID > 0 {
		c.Facts.PipelineID = r.ID // of its own, as on GitLab
	}
	c.input.Predefined = gitlabci.Predefined(c.Facts)
	c.input.Pipeline = pipeline.Merge(r.Variables)
	if t.Forward.PipelineVariables {
		c.input.Pipeline = pipeline.Merge(r.Variables, d.input.Pipeline)
	}
	c.input.Root, c.input.Content, c.input.Inputs, c.input.Positions = root.source, root.content, root.inputs, nil
	c.input.Loader = artifactLoader{d.loader, artifacts}
	if err := c.compileChild(ctx); err != nil {
		return nil, err
	}
	return &c, nil
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

// childRoot finds what a trigger includes: one file as the root, several as a
// root that includes them.
func childRoot(r ChildRequest, artifacts map[string][]byte) (childFile, error) {
	t := r.Job.Downstream
	for _, inc := range t.Include {
		if inc.Artifact == "" {
			continue
		}
		data, err := r.readArtifact(inc)
		if err != nil {
			return childFile{}, err
		}
		artifacts[inc.Artifact] = data
	}
	if len(t.Include) > 1 {
		content, err := includeAll(t.Include)
		return childFile{source: gitlabci.Source{Kind: gitlabci.SourceLocal, Path: "trigger of " + r.Job.Name}, content: content, inputs: t.Inputs}, err
	}
	inc := t.Include[0]
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
