package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// maxChildFiles is GitLab's limit of files that a trigger includes.
const maxChildFiles = 3

// child compiles the pipeline of a trigger job, from files of the project or
// from an earlier job's artifacts.
func (s *session) child(tree *engine.Tree) func(context.Context, engine.ChildRequest) (*engine.RunInput, error) {
	return func(ctx context.Context, req engine.ChildRequest) (*engine.RunInput, error) {
		return s.startChild(ctx, tree, s.c, req, 1)
	}
}

// maxChildDepth is how deep child pipelines nest on GitLab.
const maxChildDepth = 2

func (s *session) startChild(ctx context.Context, tree *engine.Tree, parent *compiled, req engine.ChildRequest, depth int) (*engine.RunInput, error) {
	t := req.Job.Downstream
	if t.Project != "" {
		return nil, errs.E(errs.Invalid, "a pipeline of project %s needs a server; only child pipelines run here", t.Project)
	}
	if depth > maxChildDepth {
		return nil, errs.E(errs.Invalid, "child pipelines nest %d deep at most", maxChildDepth)
	}
	c, err := s.compileChild(ctx, parent, req)
	if err != nil {
		return nil, err
	}
	if err := c.result.Findings.Err(); err != nil {
		return nil, err
	}
	if c.pipeline == nil {
		return nil, errs.E(errs.Invalid, "the child pipeline has no jobs: %s", c.notCreated)
	}
	s.places.fillImages(c.pipeline)
	for _, dir := range []string{"logs", "artifacts"} {
		if err := os.MkdirAll(filepath.Join(req.Dir, dir), 0o700); err != nil {
			return nil, err
		}
	}
	return &engine.RunInput{
		Number: s.record.Number, FirstID: req.ID, Dir: req.Dir, Work: req.Work,
		Pipeline: c.pipeline, Variables: c.variables, Job: s.jobInput(ctx, tree),
		Child: func(ctx context.Context, inner engine.ChildRequest) (*engine.RunInput, error) {
			return s.startChild(ctx, tree, c, inner, depth+1)
		},
	}, nil
}

// compileChild compiles what a trigger includes: one file as the root, several
// as a root that includes them.
func (s *session) compileChild(ctx context.Context, parent *compiled, req engine.ChildRequest) (*compiled, error) {
	t := req.Job.Downstream
	if len(t.Include) == 0 || len(t.Include) > maxChildFiles {
		return nil, errs.E(errs.Invalid, "trigger:include takes 1 to %d files, got %d", maxChildFiles, len(t.Include))
	}
	c := *parent
	c.event = pipeline.TriggerParent
	c.facts.Trigger, c.facts.Parent = c.event, true
	if id, err := strconv.ParseInt(req.ID, 10, 64); err == nil {
		c.facts.PipelineID = id // of its own, as on GitLab
	}
	c.input.Predefined = gitlabci.Predefined(c.facts)
	c.input.Pipeline = pipeline.Merge(req.Variables)
	if t.Forward.PipelineVariables {
		c.input.Pipeline = pipeline.Merge(req.Variables, parent.input.Pipeline)
	}
	artifacts := map[string][]byte{}
	root, err := childRoot(t, req, artifacts)
	if err != nil {
		return nil, err
	}
	c.input.Root = root.source
	c.input.Content = root.content
	c.input.Inputs = root.inputs
	c.input.Loader = artifactLoader{parent.loader, artifacts}
	c.input.Positions = nil
	c.file = root.source.Path
	if strings.HasSuffix(c.file, ".jsonnet") {
		if err := c.evaluate(ctx); err != nil {
			return nil, err
		}
	}
	if c.result, err = gitlabci.Compile(ctx, c.input); err != nil {
		return nil, err
	}
	c.pipeline, c.notCreated = c.result.Pipeline, c.result.NotCreated
	return &c, nil
}

// childFile is the file that a child pipeline starts from.
type childFile struct {
	source  gitlabci.Source
	content []byte
	inputs  map[string]any
}

func childRoot(t *pipeline.Downstream, req engine.ChildRequest, artifacts map[string][]byte) (childFile, error) {
	for _, inc := range t.Include {
		if inc.Artifact == "" {
			continue
		}
		data, err := readArtifact(req, inc)
		if err != nil {
			return childFile{}, err
		}
		artifacts[inc.Artifact] = data
	}
	if len(t.Include) == 1 {
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
	content, err := includeAll(t.Include)
	return childFile{source: gitlabci.Source{Kind: gitlabci.SourceLocal, Path: "trigger of " + req.Job.Name}, content: content, inputs: t.Inputs}, err
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

const maxChildBytes = 5 << 20

func readArtifact(req engine.ChildRequest, inc pipeline.DownstreamInclude) ([]byte, error) {
	r, err := req.Open(inc.Job, inc.Artifact)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxChildBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxChildBytes {
		return nil, errs.E(errs.Invalid, "%s of job %q is larger than %d MiB", inc.Artifact, inc.Job, maxChildBytes>>20)
	}
	return data, nil
}

// artifactLoader serves files of artifacts before those of the project.
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
