package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/jsonnet"
)

// Check finds what is wrong between the configuration of a target and its
// template. It asks no cloud.
func (c *Config) Check(ctx context.Context, t *Target, tmpl *Template, read jsonnet.Read) (diag.List, error) {
	found := Undeclared(t, tmpl)
	found = append(found, t.openSecrets(tmpl)...)
	found = append(found, c.tooLarge(t, tmpl)...)
	found = append(found, c.missingCapabilities(t, tmpl)...)
	missing, err := c.missingOutputs(ctx, t, read)
	return append(found, missing...), err
}

// openSecrets are the parameters that get a secret and lack NoEcho: the service
// shows their values to everybody who may describe the stack.
func (t *Target) openSecrets(tmpl *Template) diag.List {
	var found diag.List
	declared, _ := tmpl.parameters()
	for _, v := range slices.Concat(t.Parameters, t.Common) {
		if v.secret() && slices.Contains(declared, v.Key) && !tmpl.noEcho(v.Key) {
			found = append(found, diag.Finding{Place: v.Place, Level: diag.Warning, Rule: "secret", Subject: v.Key,
				Message: fmt.Sprintf("parameter %s gets a secret from the environment variable %s, but is not NoEcho in %s: AWS shows its value", v.Key, v.Env, tmpl.File),
				Hint:    "add NoEcho: true to the parameter; or, if it is not a secret, write {env: " + v.Env + ", secret: false}"})
		}
	}
	return found
}

// tooLarge is a template that CloudFormation takes only through a bucket, or not
// at all.
func (c *Config) tooLarge(t *Target, tmpl *Template) diag.List {
	if err := tmpl.checkSize(tmpl.sent(nil), t.Env.Bucket); err != nil {
		return diag.List{{Place: c.place(t.Env.Place, "environments", t.Env.Name), Level: diag.Error, Rule: "size", Subject: t.Name, Message: err.Error()}}
	}
	return nil
}

// missingCapabilities are resources of IAM, in nested templates too, that the
// service makes only for a stack with the capability.
func (c *Config) missingCapabilities(t *Target, tmpl *Template) diag.List {
	const some, named = "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"
	if slices.Contains(t.Capabilities, named) {
		return nil
	}
	var found diag.List
	tmpl.eachResource(func(of *Template, at cfn.Path, r *cfn.Node) {
		need := capabilityOf(r)
		if need == "" || need == some && slices.Contains(t.Capabilities, some) {
			return
		}
		found = append(found, diag.Finding{Place: of.where(at), Level: diag.Error, Rule: "capability", Subject: at.String(),
			Message: fmt.Sprintf("%s (%s) needs %s, which stack %s does not have", at[len(at)-1], r.Get("Type").Text, need, t.Name),
			Hint:    "add capabilities: [" + need + "] to the stack in " + c.File})
	})
	return found
}

// capabilityOf is the capability that a resource needs, or "".
func capabilityOf(r *cfn.Node) string {
	kind := r.Get("Type")
	if !kind.IsString() {
		return ""
	}
	name, is := map[string]string{"AWS::IAM::AccessKey": "", "AWS::IAM::Policy": "", "AWS::IAM::UserToGroupAddition": "",
		"AWS::IAM::Group": "GroupName", "AWS::IAM::InstanceProfile": "InstanceProfileName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
		"AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName"}[kind.Text]
	switch {
	case !is:
		return ""
	case name != "" && r.Get("Properties").Has(name):
		return "CAPABILITY_NAMED_IAM"
	default:
		return "CAPABILITY_IAM"
	}
}

// eachResource visits the resources, those in loops and in nested templates too.
func (t *Template) eachResource(visit func(of *Template, at cfn.Path, r *cfn.Node)) {
	var walk func(m *cfn.Node, at cfn.Path)
	walk = func(m *cfn.Node, at cfn.Path) {
		for _, f := range m.Fields {
			in := step(at, f.Name)
			if strings.HasPrefix(f.Name, "Fn::ForEach::") {
				if f.Value.Kind == cfn.List && len(f.Value.Items) == 3 {
					walk(f.Value.Items[2], step(in, "2"))
				}
				continue
			}
			visit(t, in, f.Value)
			if child := t.Nested[f.Name]; child != nil {
				child.eachResource(visit)
			}
		}
	}
	if r := t.tree.Root.Get("Resources"); r != nil {
		walk(r, cfn.Path{"Resources"})
	}
}

// missingOutputs are outputs that a value is taken from and that the other
// stack's template does not have.
func (c *Config) missingOutputs(ctx context.Context, t *Target, read jsonnet.Read) (diag.List, error) {
	var found diag.List
	templates := map[string]*Template{}
	for _, v := range slices.Concat(t.Parameters, t.Tags) {
		d, ok := c.Stack(v.Output.Stack)
		if v.Output.Stack == "" || !ok || !d.in(t.Env) {
			continue
		}
		other := templates[d.Name]
		if other == nil {
			var err error
			if other, err = c.Render(ctx, c.Target(d, t.Env), read); err != nil {
				if ctx.Err() != nil {
					return nil, err
				}
				continue // what is wrong with that stack is for its own check to say
			}
			templates[d.Name] = other
		}
		if f, missing := other.missingOutput(v, nil); missing {
			f.Message = fmt.Sprintf("%s, the template of stack %s, has no output %q", other.File, d.Name, v.Output.Key)
			found = append(found, f)
		}
	}
	return found, nil
}

// missingOutput is the finding for an output that the template does not have.
// more are names that the stack has beside those of the template.
func (t *Template) missingOutput(v Value, more []string) (diag.Finding, bool) {
	if t.tree.Root.Has("Transform") || t.tree.At(cfn.Path{"Outputs", v.Output.Key}) != nil {
		return diag.Finding{}, false // a transform may make more
	}
	names := slices.Clone(more)
	if outputs := t.tree.At(cfn.Path{"Outputs"}); outputs != nil {
		for _, f := range outputs.Fields {
			if strings.HasPrefix(f.Name, "Fn::") {
				return diag.Finding{}, false
			}
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	hint := "it has none"
	if len(names) > 0 {
		hint = "it has " + strings.Join(names, ", ")
	}
	if near := diag.Nearest(v.Output.Key, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return diag.Finding{Place: v.Place, Level: diag.Error, Rule: "output", Subject: v.Key, Hint: hint}, true
}

// Unset finds the values that come from an environment variable which is not
// set, so that this is known before anything is waited for.
func (c *Config) Unset(targets []*Target, getenv func(string) string) diag.List {
	var found diag.List
	for _, t := range targets {
		for _, v := range slices.Concat(t.Parameters, t.Tags) {
			if v.Env != "" && getenv(v.Env) == "" {
				found = append(found, unset(v))
			}
		}
	}
	return found.Sort()
}

func unset(v Value) diag.Finding {
	return diag.Finding{Place: v.Place, Level: diag.Error, Rule: "stacks",
		Message: fmt.Sprintf("%s takes its value from the environment variable %s, which is not set", v.Key, v.Env)}
}

// place is where the configuration has something, else fallback.
func (c *Config) place(fallback diag.Place, path ...string) diag.Place {
	if c.source == nil || c.source.At(cfn.Path(path)) == nil {
		return fallback
	}
	return c.source.Place(cfn.Path(path))
}

// settingPlace is where the configuration has a setting of a target: the
// environment's override, else the stack's.
func (c *Config) settingPlace(t *Target, path ...string) diag.Place {
	stack := c.place(t.Place, append([]string{"stacks", t.Name}, path...)...)
	return c.place(stack, append([]string{"environments", t.Env.Name, "stacks", t.Name}, path...)...)
}

// Given are the parameter values of a target that its template declares, and
// the names of those whose values are known at the deployment only.
func (t *Target) Given(tmpl *Template) (values map[string]string, unknown []string) {
	declared, _ := tmpl.parameters()
	values = map[string]string{}
	for _, v := range slices.Concat(t.Common, t.Parameters) { // the later one wins
		if !slices.Contains(declared, v.Key) {
			continue
		}
		delete(values, v.Key)
		if v.Env != "" || v.Output.Stack != "" || v.Previous {
			unknown = append(unknown, v.Key)
		} else {
			values[v.Key] = v.Text
			unknown = slices.DeleteFunc(unknown, func(k string) bool { return k == v.Key })
		}
	}
	return values, unknown
}

// ValuePlace is where the configuration has the value of the parameter at a
// path of the template: Parameters/Size.
func (t *Target) ValuePlace(path string) (diag.Place, bool) {
	key, ok := strings.CutPrefix(path, "Parameters/")
	for _, v := range slices.Concat(t.Parameters, t.Common) {
		if ok && v.Key == key {
			return v.Place, true
		}
	}
	return diag.Place{}, false
}
