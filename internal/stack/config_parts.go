package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"refline/internal/cfn"
	"refline/internal/jsonnet"
)

func (r *configReader) stacks(c *Config, n *cfn.Node, at cfn.Path) {
	r.each("stacks", n, at, func(name string, n *cfn.Node, at cfn.Path) {
		d := &Definition{Name: name, StackName: "{stack}-{environment}", Place: r.source.Place(at), Written: r.source.Place(step(at, "template"))}
		r.fields("stack "+name, n, at, r.stackFields(d))
		c.Stacks = append(c.Stacks, d)
	})
}

func (r *configReader) environments(c *Config, n *cfn.Node, at cfn.Path) {
	r.each("environments", n, at, func(name string, n *cfn.Node, at cfn.Path) {
		e := &Environment{Name: name, Prefix: "refline", PlanCommit: CommitSame, Overrides: map[string]*settings{}, Place: r.source.Place(at)}
		r.fields("environment "+name, n, at, r.environmentFields(e))
		c.Environments = append(c.Environments, e)
	})
}

func (r *configReader) overrides(e *Environment, n *cfn.Node, at cfn.Path) {
	r.each("stacks", n, at, func(name string, n *cfn.Node, at cfn.Path) {
		s := &settings{}
		r.fields("stack "+name+" in environment "+e.Name, n, at, r.settingFields(s))
		e.Overrides[name] = s
	})
}

// refs reads a list of branch names or patterns, or of maps.
func (r *configReader) refs(e *Environment, n *cfn.Node, at cfn.Path) {
	if n.Kind != cfn.List {
		r.errorf(at, "write: refs: [develop]", "refs is a list, not %s", kindOf(n))
		return
	}
	for i, item := range n.Items {
		at := step(at, fmt.Sprint(i))
		rule := RefRule{Mode: ModeDeploy}
		if scalar(item) {
			rule.Branch = item.Text
		} else {
			r.fields("a ref", item, at, r.refFields(&rule))
		}
		if (rule.Branch == "") == (rule.Tag == "") {
			r.errorf(at, "write: develop, or {branch: develop}, or {tag: v*}", "a ref has either a branch or a tag")
			continue
		}
		if err := rule.valid(); err != nil {
			r.errorf(at, "", "%v", err)
			continue
		}
		e.Refs = append(e.Refs, rule)
	}
}

// values reads parameters or tags.
func (r *configReader) values(into *[]Value, parameters bool) func(*cfn.Node, cfn.Path) {
	return func(n *cfn.Node, at cfn.Path) {
		r.each(at[len(at)-1], n, at, func(key string, n *cfn.Node, at cfn.Path) {
			v := Value{Key: key, Place: r.source.Place(at)}
			switch {
			case n.Kind == cfn.List && parameters:
				var items []string
				r.texts(&items)(n, at)
				v.Text = strings.Join(items, ",")
			case n.Kind == cfn.Map:
				r.fields(key, n, at, r.valueFields(&v, parameters))
				sources := len(n.Fields)
				if n.Has("secret") {
					sources--
				}
				if sources != 1 {
					r.errorf(at, "write {output: STACK.KEY} or {env: NAME}", "%s has one source of its value", key)
				} else if n.Has("secret") && !n.Has("env") {
					r.errorf(step(at, "secret"), "write {env: NAME, secret: false}", "secret is for values from the environment")
				}
			case scalar(n):
				v.Text = n.Text
			default:
				r.errorf(at, "write a text", "%s has no value", key)
			}
			*into = append(*into, v)
		})
	}
}

func (r *configReader) output(into *OutputRef, n *cfn.Node, at cfn.Path) {
	var s string
	r.text(&s)(n, at)
	stack, key, ok := strings.Cut(s, ".")
	if s == "" {
		return
	}
	if !ok || stack == "" || key == "" {
		r.errorf(at, "write: output: network.VpcId", "%q is not STACK.KEY", s)
		return
	}
	*into = OutputRef{Stack: stack, Key: key}
}

// bindings reads Jsonnet variables: texts as they are, everything else as the
// value it is.
func (r *configReader) bindings(into *[]jsonnet.Binding) func(*cfn.Node, cfn.Path) {
	return func(n *cfn.Node, at cfn.Path) {
		r.each(at[len(at)-1], n, at, func(name string, n *cfn.Node, _ cfn.Path) {
			if n.Kind == cfn.String {
				*into = append(*into, jsonnet.Binding{Name: name, Value: n.Text})
				return
			}
			*into = append(*into, jsonnet.Binding{Name: name, Value: code(n), Code: true})
		})
	}
}

// code writes a value as JSON on one line, which is Jsonnet too.
func code(n *cfn.Node) string {
	var b bytes.Buffer
	if err := json.Compact(&b, n.JSON()); err != nil {
		return string(n.JSON()) // what cfn writes is JSON
	}
	return b.String()
}
