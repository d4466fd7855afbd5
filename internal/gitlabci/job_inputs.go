package gitlabci

import (
	"maps"
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/gitlabci/jobexpr"
	"refline/internal/pipeline"
)

// maxInputs bounds the inputs of one job.
const maxInputs = 50

// applyInputs checks inputs: of a job and evaluates ${{ job.inputs.NAME }} and other
// expressions with their defaults. GitLab's runner evaluates them when the job
// starts; a local run has no other values.
func (r reader) applyInputs(w *parsedJob, n *node) {
	if n.kind != mapNode {
		r.wrong(n, "inputs", "a map of names and inputs")
		return
	}
	if len(n.keys) > maxInputs {
		r.errorf(n, "limit", "inputs", "may be at most %d, not %d", maxInputs, len(n.keys))
	}
	values := make(map[string]any, len(n.keys))
	for i := range n.keys {
		if v := r.jobInput(&n.keys[i]); v != nil {
			values[n.keys[i].name] = expressionValue(v)
		}
	}
	if len(values) < len(n.keys) { // the mistakes were reported
		return
	}
	// inputs is the older name of job.inputs
	scope := jobexpr.Scope{"job": map[string]any{"inputs": values}, "inputs": values}
	for _, t := range inputTexts(&w.job) {
		r.expandInputs(w, t.keyword, t.text, scope)
	}
}

// expandInputs replaces the expressions in one text. One that cannot be evaluated
// stays, and the job fails, as on GitLab.
func (r reader) expandInputs(w *parsedJob, keyword string, text *string, scope jobexpr.Scope) {
	expanded, err := jobexpr.Expand(*text, scope)
	if err == nil {
		*text = expanded
		return
	}
	at := w.node.get(keyword)
	if at == nil || r.again(at.at, "inputs", keyword, *text) {
		return
	}
	r.f.warnf(at.at, r.job, "inputs", "%s: the job will fail: %s of %s", r.name(keyword), err, quote(shorten(*text)))
	r.f.hint("name an input as ${{ job.inputs.NAME }}; write \\${{ for the text itself")
}

// inputText is a text of a job, and its keyword.
type inputText struct {
	keyword string
	text    *string
}

// inputTexts are the texts of a job that may have expressions.
func inputTexts(job *pipeline.Job) []inputText {
	var texts []inputText
	add := func(keyword string, list ...*string) {
		for _, text := range list {
			texts = append(texts, inputText{keyword, text})
		}
	}
	all := func(keyword string, list []string) {
		for i := range list {
			add(keyword, &list[i])
		}
	}
	all("script", job.Script)
	all("before_script", job.BeforeScript)
	all("after_script", job.AfterScript)
	image := func(keyword string, i *pipeline.Image) {
		add(keyword, &i.Name, &i.User, &i.Platform)
		all(keyword, i.Entrypoint)
	}
	if job.Image != nil {
		image("image", job.Image)
	}
	for i := range job.Services {
		s := &job.Services[i]
		image("services", &s.Image)
		all("services", s.Aliases)
		all("services", s.Command)
		for j := range s.Variables {
			add("services", &s.Variables[j].Value)
		}
	}
	for i := range job.Caches {
		c := &job.Caches[i]
		add("cache", &c.Key.Text, &c.Key.Prefix, &c.Policy)
		all("cache", c.Key.Files)
		all("cache", c.FallbackKeys)
		all("cache", c.Paths)
	}
	if a := job.Artifacts; a != nil {
		add("artifacts", &a.Name, &a.ExposeAs, &a.ExpireIn)
		all("artifacts", a.Paths)
		all("artifacts", a.Exclude)
		for _, kind := range slices.Sorted(maps.Keys(a.Reports)) {
			all("artifacts", a.Reports[kind])
		}
	}
	return texts
}

// expressionValue converts the value of an input for an expression. All numbers are
// float64.
func expressionValue(n *node) any { return plainWith(n, func(n *node) any { return n.num }) }

// jobInput checks one input of a job by the rules of spec:inputs, and returns its
// default, or nil after a mistake.
func (r reader) jobInput(f *field) *node {
	n, path := f.value, "inputs:"+f.name
	if !r.mapping(n, path, "type", "default", "description", "options", "regex") {
		return nil
	}
	fallback := n.get("default")
	if absent(fallback) {
		r.errorf(n, "value", path+":default", "is missing; an input of a job must have one")
		return nil
	}
	if r.partial.mayChange(n, "inputs") {
		return nil
	}
	own := &findings{}
	plain := *n // without keys that were reported
	plain.keys = nil
	for _, k := range n.keys {
		if k.name != "rules" {
			plain.keys = append(plain.keys, k)
		}
	}
	s := specReader{own}.input(&field{name: f.name, at: f.at, value: &plain})
	x := inputResolver{f: own}
	var value *node
	if len(own.list) == 0 {
		value, _ = x.fit(&s, s.options, fallback, "the default")
	}
	for _, finding := range own.list {
		if finding.Rule == "unknown-keyword" || r.again(finding.Place, path, finding.Message) {
			continue
		}
		r.f.list = append(r.f.list, diag.Finding{
			Place: finding.Place, Level: finding.Level, Rule: finding.Rule, Subject: r.job, Hint: finding.Hint,
			Message: r.name(path) + ": " + strings.TrimPrefix(finding.Message, "input "+quote(f.name)+" "),
		})
	}
	return value
}
