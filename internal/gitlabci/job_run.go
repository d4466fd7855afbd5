package gitlabci

import (
	"encoding/json"

	"refline/internal/pipeline"
)

// readRun decodes run: a list of steps.
func (r reader) readRun(n *node) []pipeline.RunEntry {
	if n.kind != seqNode {
		r.wrong(n, "run", "a list of steps")
		return nil
	}
	steps := make([]pipeline.RunEntry, 0, len(n.items))
	for _, item := range n.items {
		steps = append(steps, r.readStep(item))
	}
	return steps
}

// stepKeywords are the keys of a step of one form.
func stepKeywords(form string) []string {
	switch form {
	case "script":
		return []string{"name", "script", "env"}
	case "exec":
		return []string{"exec", "env"}
	case "run":
		return []string{"run", "env", "outputs", "delegate"}
	default:
		return []string{"name", form, "env", "inputs"}
	}
}

func (r reader) readStep(n *node) pipeline.RunEntry {
	const path = "run"
	var s pipeline.RunEntry
	if n.kind != mapNode {
		r.wrong(n, path, "a list of maps")
		return s
	}
	form := ""
	for _, name := range []string{"step", "func", "script", "action", "exec", "run"} {
		if n.get(name) != nil {
			form = name
			break
		}
	}
	if form == "" {
		r.errorf(n, "value", path, "must have in each step one of step, script, action, func")
		return s
	}
	r.mapping(n, path, stepKeywords(form)...)
	if form != "exec" && form != "run" {
		s.Name = r.filled(n, n.get("name"), path+":name")
		if s.Name != "" && !isIdentifier(s.Name) {
			r.errorf(n.get("name"), "value", path+":name", "may only have letters, digits and _, and no digit in front")
		}
	}
	switch form {
	case "script":
		s.Script = r.filled(n, n.get("script"), path+":script")
	case "func", "action":
		s.Func = r.filled(n, n.get(form), path+":"+form)
	case "step":
		s.Step = r.stepReference(n, n.get("step"))
	case "exec":
		if exec := n.get("exec"); r.mapping(exec, path+":exec", "command", "work_dir") {
			if len(r.list(exec.get("command"), path+":exec:command")) == 0 {
				r.errorf(exec, "value", path+":exec:command", "must not be empty")
			}
		}
	case "run":
		r.readRun(n.get("run"))
	}
	s.Inputs = r.inputValues(n.get("inputs"), path+":inputs")
	r.identifiers(n.get("inputs"), path+":inputs")
	s.Env = r.stepEnv(n.get("env"), path+":env")
	return s
}

func (r reader) stepEnv(n *node, path string) map[string]string {
	if absent(n) {
		return nil
	}
	if n.kind != mapNode {
		r.wrong(n, path, "a map of names and values")
		return nil
	}
	r.identifiers(n, path)
	env := make(map[string]string, len(n.keys))
	for i := range n.keys {
		env[n.keys[i].name] = r.text(n.keys[i].value, path+":"+n.keys[i].name)
	}
	return env
}

// identifiers checks the names in a map of a step.
func (r reader) identifiers(n *node, path string) {
	if n == nil || n.kind != mapNode {
		return
	}
	for i := range n.keys {
		if f := &n.keys[i]; !isIdentifier(f.name) && !r.partial.unknownName(f.name) && !r.again(f.at, "value", path) {
			r.f.errorf(f.at, r.job, "value", "%s may only have names of letters, digits and _, not %s", r.name(path), quote(f.name))
			r.f.underline(f.name)
		}
	}
}

// stepReference reads the location of a step: a path or URL, or a map with a git or
// OCI reference, which is kept as JSON.
func (r reader) stepReference(parent, n *node) string {
	if n.kind != mapNode {
		return r.filled(parent, n, "run:step")
	}
	r.mapping(n, "run:step", "git", "oci")
	if git := n.get("git"); !absent(git) && r.mapping(git, "run:step:git", "url", "rev", "dir", "file") {
		r.filled(git, git.get("url"), "run:step:git:url")
		r.filled(git, git.get("rev"), "run:step:git:rev")
	}
	if oci := n.get("oci"); !absent(oci) && r.mapping(oci, "run:step:oci", "registry", "repository", "tag", "dir", "file") {
		for _, key := range []string{"registry", "repository", "tag"} {
			r.filled(oci, oci.get(key), "run:step:oci:"+key)
		}
	}
	text, err := json.Marshal(plainMap(n))
	if err != nil {
		return ""
	}
	return string(text)
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		if !isIdentifierByte(s[i]) {
			return false
		}
	}
	return s != "" && (s[0] < '0' || s[0] > '9')
}
