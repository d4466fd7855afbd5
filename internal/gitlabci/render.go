package gitlabci

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"refline/internal/pipeline"
)

// Render writes a compiled pipeline in the dialect, with everything decided: no
// rules, no extends, parallel jobs one by one. Compiling it gives the same jobs.
func Render(p *pipeline.Pipeline) ([]byte, error) {
	var root document
	var workflow document
	workflow.text("name", p.Name)
	var cancel document
	cancel.text("on_new_commit", p.AutoCancel.OnNewCommit)
	cancel.text("on_job_failure", p.AutoCancel.OnJobFailure)
	workflow.sub("auto_cancel", cancel)
	root.sub("workflow", workflow)
	stages := slices.DeleteFunc(slices.Clone(p.Stages), func(s string) bool { return s == ".pre" || s == ".post" })
	root.list("stages", stages)
	var out bytes.Buffer
	if len(root.content) > 0 || len(p.Jobs) == 0 {
		if err := root.write(&out); err != nil {
			return nil, err
		}
	}
	const batch = 100 // bounds memory, and how often a YAML writer is made
	for jobs := range slices.Chunk(p.Jobs, batch) {
		var part document
		for i := range jobs {
			part.sub(jobs[i].Name, renderJob(&jobs[i]))
		}
		if err := part.write(&out); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// write appends the keys of d to out. Parts of a map written one after the other
// are the map, and need the memory of one part only.
func (d *document) write(out *bytes.Buffer) error {
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := enc.Encode(d.node()); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	return enc.Close()
}

// document builds a YAML map in the order in which keys are added. Empty values are
// omitted.
type document struct{ content []*yaml.Node }

func (d *document) node() *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: d.content}
}

func (d *document) add(key string, value any) {
	d.content = append(d.content, textNode(key), yamlNode(value))
}

// yamlNode makes YAML of a value. Common types come first: yaml's own Encode
// writes and parses each value.
func yamlNode(value any) *yaml.Node {
	switch v := value.(type) {
	case *yaml.Node:
		return v
	case string:
		return textNode(v)
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, s := range v {
			list.Content = append(list.Content, textNode(s))
		}
		return list
	case []*yaml.Node:
		return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: v}
	}
	var n yaml.Node
	if err := n.Encode(value); err != nil {
		n.SetString(fmt.Sprint(value))
	}
	return &n
}

// textNode quotes what YAML 1.1 would not read as the same text.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if scalar := plainScalar(s); n.Style == 0 && (scalar.kind != stringNode || scalar.symbol || scalar.refused != "") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func (d *document) sub(key string, s document) {
	if len(s.content) > 0 {
		d.add(key, s.node())
	}
}

func (d *document) text(key, value string) {
	if value != "" {
		d.add(key, value)
	}
}

func (d *document) yes(key string, value bool) {
	if value {
		d.add(key, true)
	}
}

func (d *document) list(key string, values []string) {
	if len(values) > 0 {
		d.add(key, values)
	}
}

func (d *document) duration(key string, t time.Duration) {
	if t > 0 {
		d.add(key, strconv.FormatInt(int64(t/time.Second), 10)+" seconds")
	}
}

func renderJob(j *pipeline.Job) document {
	var d document
	d.text("stage", j.Stage)
	if j.When != pipeline.WhenOnSuccess {
		d.text("when", string(j.When))
	}
	d.duration("start_in", j.StartIn.D())
	d.text("manual_confirmation", j.ManualConfirmation)
	switch {
	case len(j.AllowFailureCodes) > 0:
		d.add("allow_failure", map[string]any{"exit_codes": j.AllowFailureCodes})
	case j.AllowFailure != (j.When == pipeline.WhenManual):
		d.add("allow_failure", j.AllowFailure)
	}
	renderNeeds(&d, j)
	if j.Image != nil {
		d.sub("image", renderImage(*j.Image))
	}
	if len(j.Services) > 0 {
		var list []*yaml.Node
		for _, s := range j.Services {
			one := renderImage(s.Image)
			one.text("alias", strings.Join(s.Aliases, ","))
			one.list("command", s.Command)
			one.sub("variables", renderVariables(s.Variables))
			list = append(list, one.node())
		}
		d.add("services", list)
	}
	d.sub("variables", renderVariables(instanceVariables(j)))
	renderScripts(&d, j)
	renderLimits(&d, j)
	renderKept(&d, j)
	renderOutside(&d, j)
	return d
}

func renderNeeds(d *document, j *pipeline.Job) {
	if j.DAG || len(j.Needs) > 0 {
		needs := make([]*yaml.Node, 0, len(j.Needs))
		for _, n := range j.Needs {
			var one document
			one.text("pipeline", n.Pipeline)
			one.text("project", n.Project)
			one.text("job", n.Job)
			one.text("ref", n.Ref)
			if n.Job != "" {
				one.add("artifacts", n.Artifacts)
			}
			one.yes("optional", n.Optional)
			needs = append(needs, one.node())
		}
		d.add("needs", needs)
	}
	if j.Dependencies != nil {
		d.add("dependencies", *j.Dependencies)
	}
}

func renderImage(i pipeline.Image) document {
	var d, docker document
	d.text("name", i.Name)
	d.list("entrypoint", i.Entrypoint)
	d.list("pull_policy", i.PullPolicy)
	docker.text("platform", i.Platform)
	docker.text("user", i.User)
	d.sub("docker", docker)
	return d
}

func renderVariables(vars []pipeline.Variable) document {
	var d document
	for _, v := range vars {
		if v.Raw {
			d.add(v.Name, map[string]any{"value": v.Value, "expand": false})
			continue
		}
		d.add(v.Name, v.Value)
	}
	return d
}

// instanceVariables returns the variables of a job. An instance of a parallel job is
// rendered as a job of its own, so it gets its index as variables.
func instanceVariables(j *pipeline.Job) []pipeline.Variable {
	if j.Index == 0 {
		return j.Variables
	}
	return pipeline.Merge([]pipeline.Variable{
		{Name: "CI_NODE_INDEX", Value: strconv.Itoa(j.Index)},
		{Name: "CI_NODE_TOTAL", Value: strconv.Itoa(j.Total)},
	}, j.Variables)
}

func renderScripts(d *document, j *pipeline.Job) {
	var hooks document
	hooks.list("pre_get_sources_script", j.PreGetSources)
	d.sub("hooks", hooks)
	d.list("before_script", j.BeforeScript)
	d.list("script", j.Script)
	d.list("after_script", j.AfterScript)
	if len(j.Run) > 0 {
		var steps []*yaml.Node
		for _, s := range j.Run {
			var one document
			one.text("name", s.Name)
			one.text("step", s.Step)
			one.text("func", s.Func)
			one.text("script", s.Script)
			if len(s.Inputs) > 0 {
				one.add("inputs", s.Inputs)
			}
			if len(s.Env) > 0 {
				one.add("env", s.Env)
			}
			steps = append(steps, one.node())
		}
		d.add("run", steps)
	}
	if j.Coverage != "" {
		d.add("coverage", "/"+j.Coverage+"/")
	}
}

func renderLimits(d *document, j *pipeline.Job) {
	d.list("tags", j.Tags)
	d.duration("timeout", j.Timeout.D())
	d.yes("interruptible", j.Interruptible)
	d.text("resource_group", j.ResourceGroup)
	if r := j.Retry; r.Max > 0 {
		var one document
		one.add("max", r.Max)
		one.list("when", r.When)
		if len(r.ExitCodes) > 0 {
			one.add("exit_codes", r.ExitCodes)
		}
		d.sub("retry", one)
	}
}

func renderKept(d *document, j *pipeline.Job) {
	if a := j.Artifacts; a != nil {
		var one document
		one.text("name", a.Name)
		one.list("paths", a.Paths)
		one.list("exclude", a.Exclude)
		one.yes("untracked", a.Untracked)
		one.text("when", string(a.When))
		one.text("expire_in", a.ExpireIn)
		one.text("expose_as", a.ExposeAs)
		if a.Public != nil {
			one.add("public", *a.Public)
		}
		one.text("access", a.Access)
		if len(a.Reports) > 0 {
			var reports document
			for _, kind := range slices.Sorted(maps.Keys(a.Reports)) {
				reports.add(kind, reportValue(a, kind))
			}
			one.sub("reports", reports)
		}
		d.sub("artifacts", one)
	}
	if len(j.Caches) > 0 {
		var list []*yaml.Node
		for _, c := range j.Caches {
			one := renderCache(c)
			list = append(list, one.node())
		}
		d.add("cache", list)
	}
}

// reportValue: a coverage report has a format beside its path.
func reportValue(a *pipeline.Artifacts, kind string) any {
	paths := a.Reports[kind]
	if kind == "coverage_report" && len(paths) > 0 {
		return map[string]any{"coverage_format": a.CoverageFormat, "path": paths[0]}
	}
	return paths
}

func renderCache(c pipeline.Cache) document {
	var d document
	if len(c.Key.Files) > 0 {
		var key document
		name := "files"
		if c.Key.FilesCommit {
			name = "files_commits"
		}
		key.list(name, c.Key.Files)
		key.text("prefix", c.Key.Prefix)
		d.sub("key", key)
	} else {
		d.text("key", cmp.Or(c.Key.Text, "default"))
	}
	d.list("fallback_keys", c.FallbackKeys)
	d.list("paths", c.Paths)
	d.yes("untracked", c.Untracked)
	d.yes("unprotect", c.Unprotect)
	d.text("when", string(c.When))
	d.text("policy", c.Policy)
	return d
}

func renderOutside(d *document, j *pipeline.Job) {
	if e := j.Environment; e != nil {
		var one document
		one.text("name", e.Name)
		one.text("url", e.URL)
		one.text("on_stop", e.OnStop)
		one.text("action", e.Action)
		one.text("auto_stop_in", e.AutoStopIn)
		one.text("deployment_tier", e.DeploymentTier)
		if e.Kubernetes != nil {
			one.add("kubernetes", e.Kubernetes)
		}
		d.sub("environment", one)
	}
	if j.Downstream != nil && !mirrors(j) {
		d.sub("trigger", renderTrigger(j.Downstream))
	}
	if r := j.Release; r != nil {
		var one document
		one.text("tag_name", r.TagName)
		one.text("tag_message", r.TagMessage)
		one.text("name", r.Name)
		one.text("description", r.Description)
		one.text("ref", r.Ref)
		one.list("milestones", r.Milestones)
		one.text("released_at", r.ReleasedAt)
		if r.Assets != nil {
			one.add("assets", r.Assets)
		}
		d.sub("release", one)
	}
	if p := j.Pages; p != nil {
		var one document
		one.text("publish", p.Publish)
		one.text("path_prefix", p.PathPrefix)
		one.text("expire_in", p.ExpireIn)
		if len(one.content) == 0 {
			d.add("pages", true)
		}
		d.sub("pages", one)
	}
	renderSecrets(d, j)
	d.text("identity", j.Identity)
}

// mirrors reports whether the trigger of a job represents its needs:pipeline.
func mirrors(j *pipeline.Job) bool {
	return j.Downstream.Strategy == "mirror" && slices.ContainsFunc(j.Needs, func(n pipeline.Need) bool {
		return n.Job == "" && n.Pipeline == j.Downstream.Project
	})
}

func renderSecrets(d *document, j *pipeline.Job) {
	var secrets, tokens document
	for _, s := range j.Secrets {
		one := map[string]any{}
		if source, ok := s.Source.(map[string]any); ok {
			maps.Copy(one, source)
		}
		one["file"] = s.File
		if s.Token != "" {
			one["token"] = s.Token
		}
		secrets.add(s.Name, one)
	}
	d.sub("secrets", secrets)
	for _, t := range j.IDTokens {
		tokens.add(t.Name, map[string]any{"aud": t.Aud})
	}
	d.sub("id_tokens", tokens)
}

func renderTrigger(t *pipeline.Downstream) document {
	var d document
	d.text("project", t.Project)
	d.text("branch", t.Branch)
	if len(t.Include) > 0 {
		var list []*yaml.Node
		for _, i := range t.Include {
			var one document
			one.text("local", i.Local)
			one.text("artifact", i.Artifact)
			one.text("job", i.Job)
			one.text("project", i.Project)
			one.text("ref", i.Ref)
			one.text("file", i.File)
			one.text("template", i.Template)
			one.text("remote", i.Remote)
			one.text("component", i.Component)
			if len(i.Inputs) > 0 {
				one.add("inputs", i.Inputs)
			}
			list = append(list, one.node())
		}
		d.add("include", list)
	}
	d.text("strategy", t.Strategy)
	if len(t.Inputs) > 0 {
		d.add("inputs", t.Inputs)
	}
	if !t.Forward.YAMLVariables || t.Forward.PipelineVariables {
		d.add("forward", map[string]any{"yaml_variables": t.Forward.YAMLVariables, "pipeline_variables": t.Forward.PipelineVariables})
	}
	return d
}
