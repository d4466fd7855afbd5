package gitlabci

import (
	"strings"

	"refline/internal/gitlabci/expr"
	"refline/internal/pipeline"
)

// checkJob checks keywords of a job that exclude each other.
func (c *compiler) checkJob(w *parsedJob) {
	n, r := w.node, w.r
	r.together(n, "", "script", "trigger")
	r.together(n, "", "run", "trigger")
	for _, key := range []string{"script", "before_script", "after_script"} {
		// As on GitLab, a job with run does not inherit these. Only keywords of the
		// job itself are a conflict.
		if v := n.get(key); !absent(v) && v.via != "default" {
			r.together(n, "", key, "run")
		}
	}
	rules := n.get("rules")
	if !absent(rules) {
		for i := range n.keys {
			f := &n.keys[i]
			if (f.name == "only" || f.name == "except" || f.name == "start_in") && !absent(f.value) && !r.again(f.at, "conflict") {
				c.f.errorf(f.at, w.name, "conflict", "%s cannot be used together with rules", r.name(f.name))
				c.f.underline(f.name)
				if f.name == "start_in" {
					c.f.hint("put it into the rule that has when: delayed")
				}
			}
		}
		if w.job.When == pipeline.WhenDelayed && absent(n.get("start_in")) {
			if r.errorf(n.get("when"), "conflict", "when", "cannot be delayed together with rules") {
				c.f.hint("put when: delayed and start_in into the rules")
			}
		}
	} else if startIn := n.get("start_in"); w.job.When == pipeline.WhenDelayed && absent(startIn) && c.complete {
		r.errorf(n.get("when"), "value", "when", "is delayed, so start_in must say for how long")
	} else if w.job.When != pipeline.WhenDelayed && !absent(startIn) && (c.complete || !absent(n.get("when"))) {
		r.errorf(startIn, "conflict", "start_in", "needs when: delayed")
	}
	c.warnTwice(w)
	if w.bridge && absent(n.get("trigger")) {
		c.checkUpstream(w)
	}
	if inputs := n.get("inputs"); !absent(inputs) {
		r.applyInputs(w, inputs)
	}
	c.finishPages(w)
}

// warnTwice is GitLab's warning about a last rule without a condition. Without
// workflow:rules a push to a branch with a merge request makes two pipelines, and
// the job is in both.
func (c *compiler) warnTwice(w *parsedJob) {
	if c.hasWorkflowRules || !c.complete || len(w.rules) == 0 {
		return
	}
	last := &w.rules[len(w.rules)-1]
	for i := range last.node.keys {
		if f := &last.node.keys[i]; f.name != "when" && !absent(f.value) {
			return
		}
	}
	if last.when == "" || last.when == pipeline.WhenNever || w.r.again(last.node.at, "twice") {
		return
	}
	c.f.warnf(last.node.at, w.name, "twice", "job %s may run twice for one push, in a branch and a merge request pipeline: its last rule has no condition",
		quote(w.name))
	c.f.hint("say with workflow:rules which pipelines there are")
}

// checkUpstream handles a job that has only needs:pipeline and mirrors the status of
// another project's pipeline. It becomes a trigger of that project because both
// need a server: elsewhere the job fails instead of passing without commands.
func (c *compiler) checkUpstream(w *parsedJob) {
	upstream := 0
	for _, n := range w.needs {
		if !n.upstream() {
			continue
		}
		upstream++
		w.job.Downstream = &pipeline.Downstream{Project: n.need.Pipeline, Strategy: "mirror", Forward: pipeline.Forward{YAMLVariables: true}}
		if !w.r.again(n.node.at, "needs-server") {
			c.f.warnf(n.node.at, w.name, "needs-server", "job %s mirrors the pipeline of project %s, which needs a server: it fails when it is run here",
				quote(w.name), quote(n.need.Pipeline))
		}
	}
	if upstream > 1 {
		w.r.errorf(w.node.get("needs"), "needs", "needs", "may name one pipeline only")
	}
}

// readWhen decodes when:.
func (r reader) readWhen(w *parsedJob, n *node) {
	values := []string{"on_success", "on_failure", "always", "manual", "delayed"}
	if w.bridge {
		values = values[:4]
	}
	if s := r.choice(n, "when", values...); s != "" {
		w.job.When = pipeline.When(s)
	} else if n.kind == stringNode && n.text == "never" {
		r.f.hint("never is for rules only")
	}
}

// readAllowFailure decodes allow_failure: of a job.
func (r reader) readAllowFailure(w *parsedJob, n *node) {
	switch {
	case n.kind == boolNode:
		w.job.AllowFailure = n.truth
	case n.kind == mapNode && !w.bridge:
		if len(n.keys) == 0 {
			r.editor(n, "allow_failure", "is an empty map")
		}
		if r.mapping(n, "allow_failure", "exit_codes") {
			w.job.AllowFailureCodes = r.integers(n.get("exit_codes"), "allow_failure:exit_codes")
		}
	case w.bridge:
		r.wrong(n, "allow_failure", "true or false")
	default:
		r.wrong(n, "allow_failure", "true, false or a map with exit_codes")
	}
}

// readTags decodes tags:, which choose a runner.
func (r reader) readTags(n *node, path string) []string {
	const most = 50
	tags := r.list(n, path)
	if n.kind == seqNode && len(n.items) == 0 {
		r.editor(n, path, "is an empty list")
	}
	if len(tags) >= most {
		r.errorf(n, "limit", path, "must have fewer than %d tags, not %d", most, len(tags))
	}
	return tags
}

// readCoverage decodes the regular expression of coverage:.
func (r reader) readCoverage(n *node) string {
	text := r.text(n, "coverage")
	if n.kind != stringNode {
		return ""
	}
	if _, ok, err := expr.Pattern(text); !ok {
		r.errorf(n, "value", "coverage", "must be a regular expression between slashes, not %s", quote(text))
	} else if err != nil {
		r.errorf(n, "value", "coverage", "cannot be read as a regular expression: %s", err)
	}
	if len(text) > 1 && strings.HasPrefix(text, "/") && strings.HasSuffix(text, "/") {
		return text[1 : len(text)-1]
	}
	return text
}
