package gitlabci

import (
	"strings"

	"refline/internal/pipeline"
)

// maxTriggerFiles is how many files a child pipeline may be made of.
const maxTriggerFiles = 3

// readTrigger decodes trigger: another project, or the files of a child.
func (r reader) readTrigger(n *node) *pipeline.Downstream {
	t := &pipeline.Downstream{Forward: pipeline.Forward{YAMLVariables: true}}
	switch n.kind {
	case stringNode:
		t.Project = r.projectPath(n, n, "trigger")
		return t
	case mapNode:
	default:
		r.wrong(n, "trigger", "a string or a map")
		return nil
	}
	if include := n.get("include"); include != nil {
		r.mapping(n, "trigger", "include", "strategy", "forward")
		t.Include = r.triggerIncludes(include)
	} else {
		r.mapping(n, "trigger", "project", "branch", "strategy", "forward", "inputs")
		t.Project = r.projectPath(n, n.get("project"), "trigger:project")
		t.Branch = r.text(n.get("branch"), "trigger:branch")
		t.Inputs = r.inputValues(n.get("inputs"), "trigger:inputs")
	}
	t.Strategy = r.choice(n.get("strategy"), "trigger:strategy", "depend", "mirror")
	if f := n.get("forward"); !absent(f) && r.mapping(f, "trigger:forward", "yaml_variables", "pipeline_variables") {
		if v, ok := r.flag(f.get("yaml_variables"), "trigger:forward:yaml_variables"); ok {
			t.Forward.YAMLVariables = v
		}
		t.Forward.PipelineVariables, _ = r.flag(f.get("pipeline_variables"), "trigger:forward:pipeline_variables")
	}
	return t
}

// projectPath reads group/project. Every project is in a group, so a name without a
// slash cannot exist.
func (r reader) projectPath(parent, n *node, path string) string {
	project := r.filled(parent, n, path)
	if project == "" || n.kind != stringNode || strings.Contains(project, "$") {
		return project
	}
	if group, name, ok := strings.Cut(project, "/"); !ok || group == "" || name == "" || strings.HasSuffix(project, "/") {
		if r.errorf(n, "value", path, "must be the full path of a project, not %s", quote(project)) {
			r.f.hint("write group/project, without a slash at the start or end")
		}
	}
	return project
}

func (r reader) triggerIncludes(n *node) []pipeline.DownstreamInclude {
	items := []*node{n}
	switch {
	case absent(n):
		r.errorf(n, "value", "trigger:include", "must not be empty")
		return nil
	case n.kind == seqNode:
		items = n.items
		if len(items) > maxTriggerFiles {
			r.errorf(n, "limit", "trigger:include", "may name at most %d files, not %d", maxTriggerFiles, len(items))
		}
	}
	includes := make([]pipeline.DownstreamInclude, 0, len(items))
	for _, item := range items {
		switch item.kind {
		case stringNode:
			includes = append(includes, includeOfText(r.filled(item, item, "trigger:include")))
			if n.kind == seqNode {
				r.editor(n, "trigger:include", "should have maps in its list, as local: FILE")
			}
			r.fileOfPipeline(item, "trigger:include")
		case mapNode:
			includes = append(includes, r.triggerInclude(item))
		default:
			r.wrong(item, "trigger:include", "a string or a map")
		}
	}
	return includes
}

// fileOfPipeline refuses files whose name is not that of a pipeline.
func (r reader) fileOfPipeline(n *node, path string) {
	if n.text != "" && !strings.Contains(n.text, "$") && !IsPipelineFile(n.text) {
		r.errorf(n, "value", path, "must name a file that ends in .yml or .yaml, not %s", quote(n.text))
	}
}

// IsPipelineFile reports whether the name of a file is that of a configuration.
func IsPipelineFile(name string) bool {
	for _, ending := range []string{".yml", ".yaml", ".json", ".jsonnet"} {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}

// includeOfText tells a URL from a path, as include: does.
func includeOfText(text string) pipeline.DownstreamInclude {
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		return pipeline.DownstreamInclude{Remote: text}
	}
	return pipeline.DownstreamInclude{Local: text}
}

func (r reader) triggerInclude(n *node) pipeline.DownstreamInclude {
	const path = "trigger:include"
	r.mapping(n, path, "local", "artifact", "job", "project", "ref", "file", "template", "remote", "component", "inputs")
	get := func(key string) string {
		if v := n.get(key); v != nil {
			return r.filled(n, v, path+":"+key)
		}
		return ""
	}
	t := pipeline.DownstreamInclude{
		Local: get("local"), Artifact: get("artifact"), Job: get("job"), Ref: get("ref"),
		Template: get("template"), Remote: get("remote"), Component: get("component"),
		Inputs: r.inputValues(n.get("inputs"), path+":inputs"),
	}
	if file := n.get("file"); !absent(file) {
		files := r.texts(file, path+":file")
		if len(files) > 0 {
			t.File = files[0]
		}
	}
	if n.get("project") != nil {
		t.Project = r.projectPath(n, n.get("project"), path+":project")
	}
	r.together(n, path, "local", "artifact", "project", "template", "remote", "component")
	for _, key := range []string{"local", "artifact", "template", "remote"} {
		if v := n.get(key); v != nil && v.kind == stringNode {
			r.fileOfPipeline(v, path+":"+key)
		}
	}
	kinds := t.Local + t.Artifact + t.Project + t.Template + t.Remote + t.Component
	switch {
	case kinds == "" && n.get("project") == nil:
		r.errorf(n, "value", path, "must have one of local, artifact, project, template, remote, component")
	case t.Artifact != "" && t.Job == "":
		r.errorf(n, "value", path, "needs job: the job that makes the artifact %s", quote(t.Artifact))
	case t.Job != "" && t.Artifact == "":
		r.errorf(n, "value", path, "has job without artifact")
	case t.Project != "" && t.File == "":
		r.errorf(n, "value", path, "needs file: the path in the project")
	}
	return t
}

// inputValues reads the values for the inputs of another pipeline.
func (r reader) inputValues(n *node, path string) map[string]any {
	if absent(n) {
		return nil
	}
	if n.kind != mapNode {
		r.wrong(n, path, "a map of names and values")
		return nil
	}
	return plainMap(n)
}
