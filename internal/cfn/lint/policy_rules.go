package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

func policyResource(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() || at.kind.len() < 2 {
		return
	}
	p := `^(arn:aws[A-Za-z\-]*?:[^:]+:[^:]*(:(?:\d{12}|\*|aws)?:.+|)|\*)$`
	if at.kind.first(1) == "AWS::S3::BucketPolicy" {
		p = `^arn:aws[A-Za-z\-]*?:[^:]+:[^:]*(:(?:\d{12}|\*|aws)?:.+|)$`
	}
	if !e.lint.pattern(p).match(n.Text) {
		wrong(b, at.path, show(n)+" is not an ARN", "", out)
	}
}

func policyVersion(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && n.Text == "2008-10-17" {
		wrong(b, at.path, "this policy uses the old version", "write 2012-10-17", out)
	}
}

// policyActions checks that the actions of a policy exist (W3037).
func policyActions(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if e.sam {
		return
	}
	actions := n.Items
	if n.Kind != cfn.List {
		actions = []*cfn.Node{n}
	}
	services := e.lint.services()
	for _, a := range actions {
		if !a.IsString() || a.Text == "*" {
			continue
		}
		service, action, ok := strings.Cut(strings.ToLower(a.Text), ":")
		if !ok {
			wrong(b, at.path, show(a)+" is not an action", "write service:action", out)
			return
		}
		known, ok := services[service]
		switch {
		case !ok:
			wrong(b, at.path, "there is no service "+strconv.Quote(service), nearestHint(service, services), out)
		case strings.ContainsAny(action, "*?"):
			if !slices.ContainsFunc(known, func(k string) bool { return wildcard(action, k) }) {
				wrong(b, at.path, show(a)+" fits no action of "+service, "", out)
			}
		case !slices.Contains(known, action):
			names := map[string]bool{}
			for _, k := range known {
				names[k] = true
			}
			wrong(b, at.path, show(a)+" is not an action of "+service, nearestHint(action, names), out)
		}
	}
}

// wildcard matches a pattern with * and ? against a whole text.
func wildcard(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case star >= 0:
			p = star + 1
			mark++
			t = mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
