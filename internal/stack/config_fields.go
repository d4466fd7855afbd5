package stack

import "refline/internal/cfn"

// field is one key of the configuration: how its value is read. The tables
// below are the whole language; schema.json says the same for editors, and a
// test compares them.
type field struct {
	name string
	read func(n *cfn.Node, at cfn.Path)
}

func (r *configReader) topFields(c *Config) []field {
	return []field{
		{"stacks", func(n *cfn.Node, at cfn.Path) { r.stacks(c, n, at) }},
		{"environments", func(n *cfn.Node, at cfn.Path) { r.environments(c, n, at) }},
		{"stateful", r.texts(&c.Stateful)},
		{"rules", r.text(&c.Rules)},
		{"$schema", func(*cfn.Node, cfn.Path) {}},
	}
}

func (r *configReader) stackFields(d *Definition) []field {
	return append([]field{
		{"template", r.text(&d.Template)},
		{"libraries", r.texts(&d.Libraries)},
		{"variables", r.bindings(&d.External)},
		{"arguments", r.bindings(&d.Arguments)},
		{"stack_name", r.text(&d.StackName)},
		{"environments", r.texts(&d.Environments)},
		{"depends_on", r.texts(&d.DependsOn)},
	}, r.settingFields(&d.settings)...)
}

// settingFields are the keys of a stack that an environment may override.
func (r *configReader) settingFields(s *settings) []field {
	return []field{
		{"parameters", r.values(&s.Parameters, true)},
		{"tags", r.values(&s.Tags, false)},
		{"capabilities", r.oneOf(&s.Capabilities, capabilities...)},
		{"role", r.text(&s.Role)},
		{"notifications", r.texts(&s.Notifications)},
		{"stack_policy", r.text(&s.StackPolicy)},
		{"on_failure", r.choice(&s.OnFailure, "rollback", "keep", "delete")},
		{"retain_except_on_create", r.truth(func(b bool) { s.RetainExceptOnCreate = &b })},
		{"termination_protection", r.truth(func(b bool) { s.TerminationProtection = &b })},
	}
}

var capabilities = []string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}

func (r *configReader) environmentFields(e *Environment) []field {
	return []field{
		{"refs", func(n *cfn.Node, at cfn.Path) { r.refs(e, n, at) }},
		{"account", r.text(&e.Account)},
		{"region", r.text(&e.Region)},
		{"profile", r.text(&e.Profile)},
		{"role", r.text(&e.Role)},
		{"external_id", r.text(&e.ExternalID)},
		{"bucket", r.text(&e.Bucket)},
		{"prefix", r.text(&e.Prefix)},
		{"kms_key", r.text(&e.KMSKey)},
		{"protected", r.truth(func(b bool) { e.Protected = b })},
		{"plan_commit", func(n *cfn.Node, at cfn.Path) {
			var s string
			r.choice(&s, string(CommitSame), string(CommitAncestor))(n, at)
			e.PlanCommit = CommitRule(s)
		}},
		{"parameters", r.values(&e.Parameters, true)},
		{"tags", r.values(&e.Tags, false)},
		{"stacks", func(n *cfn.Node, at cfn.Path) { r.overrides(e, n, at) }},
	}
}

func (r *configReader) refFields(rule *RefRule) []field {
	return []field{
		{"branch", r.text(&rule.Branch)},
		{"tag", r.text(&rule.Tag)},
		{"does", func(n *cfn.Node, at cfn.Path) {
			var s string
			r.choice(&s, string(ModeLint), string(ModePlan), string(ModeDeploy))(n, at)
			rule.Mode = Mode(s)
		}},
	}
}

func (r *configReader) valueFields(v *Value, parameter bool) []field {
	fields := []field{
		{"output", func(n *cfn.Node, at cfn.Path) { r.output(&v.Output, n, at) }},
		{"env", r.text(&v.Env)},
		{"secret", r.truth(func(b bool) { v.Public = !b })},
	}
	if parameter {
		fields = append(fields, field{"previous", func(n *cfn.Node, at cfn.Path) {
			r.truth(func(b bool) { v.Previous = b })(n, at)
			if n.Kind == cfn.Bool && !v.Previous {
				r.errorf(at, "give the parameter its value, or leave it out", "previous is either true or absent")
			}
		}})
	}
	return fields
}
