package gitlabci

import (
	"refline/internal/pipeline"
)

// workflow is workflow:, decoded.
type workflow struct {
	name       string
	hasRules   bool
	rules      []rule
	autoCancel pipeline.AutoCancel
}

func (c *compiler) readWorkflow() workflow {
	var w workflow
	n, r := c.root.get("workflow"), c.reader("")
	if absent(n) || !r.mapping(n, "workflow", "rules", "name", "auto_cancel") {
		return w
	}
	w.name = r.text(n.get("name"), "workflow:name")
	if len(w.name) > 255 {
		r.errorf(n.get("name"), "limit", "workflow:name", "may have at most 255 characters")
	}
	w.autoCancel = r.readAutoCancel(n.get("auto_cancel"), "workflow:auto_cancel")
	rules := n.get("rules")
	w.hasRules = rules != nil
	if !absent(rules) {
		w.rules = c.readRules(r, rules, "workflow:rules", true)
	}
	return w
}

func (r reader) readAutoCancel(n *node, path string) pipeline.AutoCancel {
	if absent(n) || !r.mapping(n, path, "on_new_commit", "on_job_failure") {
		return pipeline.AutoCancel{}
	}
	return pipeline.AutoCancel{
		OnNewCommit:  r.choice(n.get("on_new_commit"), path+":on_new_commit", "conservative", "interruptible", "none"),
		OnJobFailure: r.choice(n.get("on_job_failure"), path+":on_job_failure", "none", "all"),
	}
}

// decideWorkflow evaluates workflow:rules and applies their variables. It reports
// whether a pipeline is created.
func (c *compiler) decideWorkflow(w *workflow) bool {
	if w.rules == nil {
		return true
	}
	s := &scope{outside: c.conditions.outside, local: c.rootVariables}
	v := c.evaluate(c.reader(""), w.rules, s)
	c.result.Workflow = v.trace
	if v.matched == nil {
		c.result.NotCreated = "no rule of workflow matched"
		c.result.NotCreatedAt = w.rules[0].node.at
		return false
	}
	if v.matched.when == pipeline.WhenNever {
		c.result.NotCreated = "a rule of workflow says never"
		c.result.NotCreatedAt = v.matched.node.at
		return false
	}
	c.workflowRule = v.matched.node
	c.rootVariables = pipeline.Merge(c.rootVariables, v.matched.variables)
	if a := v.matched.autoCancel; a.OnNewCommit != "" {
		w.autoCancel.OnNewCommit = a.OnNewCommit
	}
	if a := v.matched.autoCancel; a.OnJobFailure != "" {
		w.autoCancel.OnJobFailure = a.OnJobFailure
	}
	return true
}
