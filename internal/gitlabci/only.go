package gitlabci

import (
	"strings"

	"refline/internal/gitlabci/expr"
)

// policy is only: or except: of a job.
type policy struct {
	written    bool
	refs       []string
	hasRefs    bool
	kubernetes bool
	variables  []*expr.Expr
	hasVars    bool
	changes    *fileCondition
}

// defaultOnly is only: of a job without only and rules.
func defaultOnly() *policy {
	return &policy{refs: []string{"branches", "tags"}, hasRefs: true}
}

// readPolicy decodes a list of refs, or a map of refs and other conditions. Absent
// refs of only are the default ones.
func (c *compiler) readPolicy(r reader, n *node, path string) *policy {
	p := &policy{}
	if path == "only" {
		p = defaultOnly()
	}
	p.written = true
	switch n.kind {
	case seqNode:
		p.refs, p.hasRefs = c.readRefs(r, n, path), true
		return p
	case mapNode:
	default:
		r.wrong(n, path, "a list or a map")
		return p
	}
	if len(n.keys) == 0 {
		r.errorf(n, "value", path, "must not be empty")
	}
	r.mapping(n, path, "refs", "variables", "changes", "kubernetes")
	if refs := n.get("refs"); !absent(refs) {
		p.refs, p.hasRefs = c.readRefs(r, refs, path+":refs"), true
	}
	p.kubernetes = r.choice(n.get("kubernetes"), path+":kubernetes", "active") != ""
	if vars := n.get("variables"); !absent(vars) {
		p.hasVars = true
		texts := r.list(vars, path+":variables")
		for i := range texts {
			if e := c.readExpression(r, vars.items[i], path+":variables"); e != nil {
				p.variables = append(p.variables, e)
			}
		}
	}
	if changes := n.get("changes"); !absent(changes) {
		p.changes = &fileCondition{patterns: r.list(changes, path+":changes")}
	}
	return p
}

// readRefs reads names, keywords and regular expressions of refs.
func (c *compiler) readRefs(r reader, n *node, path string) []string {
	refs := r.list(n, path)
	for i, ref := range refs {
		if _, ok, err := expr.Pattern(ref); ok && err != nil {
			if r.errorf(n.items[i], "value", path, "has a regular expression that cannot be read: %s", err) {
				c.f.hint("RE2 has no look-ahead; leave out with except, or use rules")
			}
		}
	}
	return refs
}

// trigger is why a pipeline starts, as only: sees it.
type trigger struct {
	source  string // without _event
	ref     string
	branch  bool
	tag     bool
	project string
}

func newTrigger(s *scope) trigger {
	get := func(name string) string { v, _ := s.lookup(name); return v }
	t := trigger{
		source:  strings.TrimSuffix(get("CI_PIPELINE_SOURCE"), "_event"),
		ref:     get("CI_COMMIT_REF_NAME"),
		tag:     get("CI_COMMIT_TAG") != "",
		project: get("CI_PROJECT_PATH"),
	}
	if t.source == "" {
		t.source = "push"
	}
	mergeRequest := t.source == "merge_request" || get("CI_MERGE_REQUEST_IID") != ""
	t.branch = !t.tag && !mergeRequest
	if t.ref == "" {
		t.ref = get("CI_COMMIT_BRANCH") + get("CI_COMMIT_TAG")
	}
	return t
}

// matches reports whether one entry of refs matches: a keyword, a name or a regular
// expression, each with an optional @group/project after it.
func (t trigger) matches(entry string) bool {
	pattern, project, limited := strings.Cut(entry, "@")
	if limited && project != t.project {
		return false
	}
	switch {
	case pattern == "tags" && t.tag, pattern == "branches" && t.branch:
		return true
	case pattern == t.source, pattern == plural(t.source):
		return true
	case pattern == "merge_requests" && t.source == "external_pull_request":
		return true
	case !t.branch && !t.tag:
		return false
	}
	if match, ok, err := expr.Pattern(pattern); ok {
		return err == nil && match(t.ref)
	}
	return pattern == t.ref
}

// plural is how a source is written as a keyword: pushes, schedules, web.
func plural(source string) string {
	if strings.HasSuffix(source, "sh") {
		return source + "es"
	}
	return source + "s"
}

// conditionsOf evaluates each kind of condition that p has, and says how.
func (c *compiler) conditionsOf(p *policy, s *scope) (results []bool, words []string) {
	note := func(ok bool, what string) {
		results = append(results, ok)
		words = append(words, what+" ("+yesNo(ok)+")")
	}
	if p.hasRefs {
		ok := false
		for _, entry := range p.refs {
			ok = ok || c.trigger.matches(entry)
		}
		note(ok, strings.Join(p.refs, ", "))
	}
	if p.kubernetes {
		note(false, "kubernetes: active")
	}
	if p.hasVars {
		ok := false
		var parts []string
		for _, e := range p.variables {
			yes, values := evalIf(e, s)
			ok = ok || yes
			parts = append(parts, e.String()+": "+values)
		}
		note(ok, "variables "+strings.Join(parts, "; "))
	}
	if p.changes != nil {
		yes, because, err := c.conditions.changes(s, *p.changes)
		note(yes && err == nil, "changes "+p.changes.text()+": "+because)
	}
	return results, words
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// admits decides only and except: every condition of only must hold and none
// of except.
func (c *compiler) admits(w *parsedJob, s *scope) (in bool, how string) {
	only := w.only
	var parts []string
	if only == nil && !c.hasWorkflowRules {
		only = defaultOnly()
	}
	in = true
	if only != nil {
		results, words := c.conditionsOf(only, s)
		for _, ok := range results {
			in = in && ok
		}
		if only.written {
			parts = append(parts, "only: "+strings.Join(words, ", "))
		} else if !in {
			parts = append(parts, "only, by default: "+strings.Join(words, ", "))
		}
	}
	if w.except != nil {
		results, words := c.conditionsOf(w.except, s)
		for _, ok := range results {
			in = in && !ok
		}
		parts = append(parts, "except: "+strings.Join(words, ", "))
	}
	return in, strings.Join(parts, " · ")
}
