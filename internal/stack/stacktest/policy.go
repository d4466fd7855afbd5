package stacktest

import (
	"encoding/json"
	"path"
	"strings"
)

// forbidden returns the reason for which the stack's policy forbids a job.
func (d *deployment) forbidden(j *job) string {
	if d.st.policy == "" || !d.update || j.verb == "CREATE" {
		return ""
	}
	action := "Update:Modify"
	if j.replace {
		action = "Update:Replace"
	}
	if denies(d.st.policy, action, j.d.name) {
		return "Action denied by stack policy: Statement [#1] does not allow [" + action + "] for resource [" + j.d.name + "];"
	}
	return ""
}

type policyStatement struct {
	Effect            string
	Action, NotAction any
	Resource          any
	Principal         any
}

func parsePolicy(body string) ([]policyStatement, error) {
	wrong := invalid("Error validating stack policy: Invalid stack policy")
	var doc struct{ Statement any }
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		return nil, wrong
	}
	list, isList := doc.Statement.([]any)
	if !isList {
		list = []any{doc.Statement}
	}
	var out []policyStatement
	for _, item := range list {
		var one policyStatement
		if err := json.Unmarshal([]byte(jsonText(item)), &one); err != nil || one.Effect == "" || one.Principal != "*" {
			return nil, wrong
		}
		for _, action := range anyList(one.Action) {
			if action != "*" && !strings.HasPrefix(action, "Update:") {
				return nil, wrong
			}
		}
		out = append(out, one)
	}
	return out, nil
}

func anyList(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		return stringList(v)
	}
	return nil
}

// denies reports whether a policy denies an action: by a Deny, or for want of an
// Allow.
func denies(body, action, logical string) bool {
	statements, err := parsePolicy(body)
	if err != nil {
		return false
	}
	allowed := false
	for _, st := range statements {
		if !covers(anyList(st.Action), action) || !covers(anyList(st.Resource), "LogicalResourceId/"+logical) {
			continue
		}
		if st.Effect == "Deny" {
			return true
		}
		allowed = true
	}
	return !allowed
}

func covers(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); err == nil && ok || p == "*" {
			return true
		}
	}
	return false
}
