package gitlabci

import (
	"strings"
	"time"

	"refline/internal/gitlabci/expr"
	"refline/internal/pipeline"
)

// maxRulePatterns is how many patterns one changes or exists may have.
const maxRulePatterns = 50

// rule is one entry of rules:, decoded.
type rule struct {
	node   *node
	ifText string
	cond   *expr.Expr // nil without if
	change *fileCondition
	exist  *fileCondition

	when          pipeline.When // "" when not written
	startIn       time.Duration
	allowFailure  *bool
	interruptible *bool
	variables     []pipeline.Variable
	needs         []needSpec // nil when not written
	autoCancel    pipeline.AutoCancel
}

// readRules decodes rules: of a job or of workflow; lists in the list, as a
// !reference leaves them, are joined.
func (c *compiler) readRules(r reader, n *node, path string, workflow bool) []rule {
	if n.kind != seqNode {
		r.wrong(n, path, "a list of maps")
		return nil
	}
	if len(n.items) == 0 {
		r.errorf(n, "value", path, "must not be empty")
		return nil
	}
	limit := maxNesting
	if workflow {
		limit = noLimit
	}
	rules := make([]rule, 0, len(n.items))
	r.nested(n, path, limit, func(item *node) bool {
		if item.kind != mapNode {
			r.wrong(item, path, "a list of maps")
			return false
		}
		rules = append(rules, c.readRule(r, item, path, workflow))
		return true
	})
	return rules
}

func (c *compiler) readRule(r reader, n *node, path string, workflow bool) rule {
	u := rule{node: n}
	keywords := ruleKeywords
	whens := []string{"on_success", "on_failure", "always", "never", "manual", "delayed"}
	if workflow {
		keywords, whens = workflowRuleKeywords, []string{"always", "never"}
	}
	if len(n.keys) == 0 {
		r.errorf(n, "value", path, "must not have an empty rule")
	}
	r.mapping(n, path, keywords...)
	c.readIf(r, &u, n.get("if"), path+":if")
	u.change = r.readFiles(n.get("changes"), path+":changes", "paths", "compare_to", "regexp")
	u.exist = r.readFiles(n.get("exists"), path+":exists", "paths", "project", "ref", "regexp")
	u.when = pipeline.When(r.choice(n.get("when"), path+":when", whens...))
	c.readStartIn(r, &u, n, path)
	if v, ok := r.flag(n.get("allow_failure"), path+":allow_failure"); ok {
		u.allowFailure = &v
	}
	if v, ok := r.flag(n.get("interruptible"), path+":interruptible"); ok {
		u.interruptible = &v
	}
	u.variables = r.readVariables(n.get("variables"), path+":variables")
	if needs := n.get("needs"); needs != nil && absent(needs) {
		r.editor(needs, path+":needs", "is empty and ignored")
	} else if needs != nil {
		if u.needs = r.readNeeds(needs, path+":needs"); u.needs == nil {
			u.needs = []needSpec{}
		}
		for _, need := range u.needs {
			if !need.local() {
				r.errorf(need.node, "needs", path+":needs", "may only name jobs of the same pipeline")
			}
		}
	}
	if workflow {
		u.autoCancel = r.readAutoCancel(n.get("auto_cancel"), path+":auto_cancel")
	}
	return u
}

func (c *compiler) readIf(r reader, u *rule, n *node, path string) {
	if absent(n) {
		if n != nil {
			r.editor(n, path, "is empty and ignored")
		}
		return
	}
	if n.kind != stringNode {
		r.wrong(n, path, "a condition as a string")
		return
	}
	u.ifText = n.text
	u.cond = c.readExpression(r, n, path)
}

// readExpression compiles a condition and says what is wrong with it.
func (c *compiler) readExpression(r reader, n *node, path string) *expr.Expr {
	e, err := c.conditions.parse(n.text)
	if err != nil {
		fault := syntaxError(err)
		if r.errorf(n, "expression", path, "cannot be read at character %d of %s: %s", fault.Column,
			quote(shorten(n.text)), fault.Message) {
			c.f.hint(fault.Hint)
		}
		return nil
	}
	return e
}

func (c *compiler) readStartIn(r reader, u *rule, n *node, path string) {
	startIn := n.get("start_in")
	if u.when != pipeline.WhenDelayed {
		if startIn != nil {
			r.errorf(startIn, "conflict", path+":start_in", "needs when: delayed")
		}
		return
	}
	if absent(startIn) {
		r.errorf(n, "value", path+":start_in", "is missing; when: delayed needs it")
		return
	}
	u.startIn = r.duration(startIn, path+":start_in", 7*24*time.Hour, "1 week")
}

// readFiles decodes changes or exists: patterns, or a map of them and more.
func (r reader) readFiles(n *node, path string, keys ...string) *fileCondition {
	if absent(n) {
		return nil
	}
	f := &fileCondition{}
	patterns := n
	switch {
	case n.kind == stringNode && strings.HasSuffix(path, "exists"):
		r.editor(n, path, "should be a list; the editor's schema refuses a string")
		f.patterns = []string{n.text}
		return f
	case n.kind == mapNode:
		r.mapping(n, path, keys...)
		f.compareTo = r.text(n.get("compare_to"), path+":compare_to")
		f.project = r.text(n.get("project"), path+":project")
		f.ref = r.text(n.get("ref"), path+":ref")
		f.regexp = r.pathRegexp(n.get("regexp"), path+":regexp")
		if f.ref != "" && f.project == "" {
			r.errorf(n.get("ref"), "value", path+":ref", "needs project")
		}
		r.together(n, path, "paths", "regexp")
		changes := strings.HasSuffix(path, "changes")
		patterns = n.get("paths")
		path += ":paths"
		switch {
		case patterns == nil && n.get("regexp") == nil:
			r.errorf(n, "value", path, "is missing")
		case changes && patterns != nil && absent(patterns): // exists may have it, and then finds nothing
			r.wrong(patterns, path, "a list of patterns")
		}
	case n.kind != seqNode:
		r.wrong(n, path, "a list of patterns or a map with paths")
		return nil
	}
	f.patterns = r.list(patterns, path)
	if len(f.patterns) > maxRulePatterns {
		r.errorf(patterns, "limit", path, "may have at most %d patterns, not %d", maxRulePatterns, len(f.patterns))
	}
	return f
}

// pathRegexp reads a regular expression of paths. Variables in it are replaced
// later; GitLab wants it to be readable without that too.
func (r reader) pathRegexp(n *node, path string) string {
	text := r.text(n, path)
	if absent(n) || n.kind != stringNode {
		return ""
	}
	if text == "" {
		r.errorf(n, "value", path, "must not be empty")
	} else if _, err := compilePathRegexp(text); err != nil {
		r.errorf(n, "value", path, "is not valid: %s", err)
		return "" // once is enough
	}
	return text
}

// verdict is what rules say about a job or a pipeline.
type verdict struct {
	matched *rule // nil: none did
	trace   []RuleTrace
}

// evaluate looks for the first rule whose conditions all hold.
func (c *compiler) evaluate(r reader, rules []rule, s *scope) verdict {
	var v verdict
	for i := range rules {
		u := &rules[i]
		t := RuleTrace{Place: u.node.at, Reached: v.matched == nil}
		c.evaluateRule(r, u, &t, s)
		if t.Matched && v.matched == nil {
			v.matched = u
			t.Result = u.result()
		} else {
			t.Matched = false
		}
		v.trace = append(v.trace, t)
	}
	return v
}

// evaluateRule fills t. Conditions after one that does not hold are not looked
// evaluated, nor are those of rules that are not reached; their text is kept.
func (c *compiler) evaluateRule(r reader, u *rule, t *RuleTrace, s *scope) {
	holds := t.Reached
	add := func(kind, text string, eval func() (bool, string)) {
		clause := Clause{Kind: kind, Text: text}
		if holds {
			clause.True, clause.Values = eval()
			holds = clause.True
		}
		t.Clauses = append(t.Clauses, clause)
	}
	if u.cond != nil {
		add("if", u.ifText, func() (bool, string) { return evalIf(u.cond, s) })
	}
	if u.change != nil {
		add("changes", u.change.text(), func() (bool, string) {
			yes, because, err := c.conditions.changes(s, *u.change)
			if err != nil {
				c.ruleError(r, u.node.get("changes"), "rules:changes", err)
			}
			return yes, because
		})
	}
	if u.exist != nil {
		add("exists", u.exist.text(), func() (bool, string) {
			yes, because, err := c.conditions.exists(s, *u.exist)
			if err != nil {
				c.ruleError(r, u.node.get("exists"), "rules:exists", err)
			}
			return yes, because
		})
	}
	t.Matched = holds
}

func (c *compiler) ruleError(r reader, n *node, path string, err error) {
	if c.ctx.Err() == nil {
		r.errorf(n, "rule", path, "cannot be decided: %s", err)
	}
}

// result is what a rule that matches does, in its own words.
func (u *rule) result() string {
	var parts []string
	for i := range u.node.keys {
		f := &u.node.keys[i]
		switch f.name {
		case "if", "changes", "exists":
		case "when", "allow_failure", "start_in", "interruptible":
			parts = append(parts, f.name+": "+f.value.text)
		case "needs":
			parts = append(parts, "needs replaced")
		case "variables":
			for j := range f.value.keys {
				parts = append(parts, f.value.keys[j].name+"="+quote(shorten(f.value.keys[j].value.text)))
			}
		}
	}
	return strings.Join(parts, ", ")
}
