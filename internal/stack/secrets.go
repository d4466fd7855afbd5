package stack

import (
	"slices"
	"strings"

	"refline/internal/cfn"
	"refline/internal/stack/planfile"
)

// hidden is what is shown instead of a secret, as AWS shows NoEcho values.
const hidden = "****"

// secrets are the values of a target that nothing we write may show: those that
// come from the environment, unless the configuration says that they are not
// secret. NoEcho has AWS hide a parameter; this holds for every artefact of ours.
type secrets struct {
	parameters, tags map[string]bool // by key
	values           []string        // longest first
	mask             func(string) string
}

// secretsOf collects the secrets of a target. The values that the stack has now
// are among them: a plan shows them as what was before.
func (s *Session) secretsOf(t *Target, now current) *secrets {
	x := &secrets{parameters: map[string]bool{}, tags: map[string]bool{}}
	collect := func(keys map[string]bool, values []Value, deployed []Pair) {
		for _, v := range values {
			if !v.secret() {
				continue
			}
			keys[v.Key] = true
			x.values = append(x.values, s.Getenv(v.Env))
			for _, p := range deployed {
				if p.Key == v.Key {
					x.values = append(x.values, p.Value)
				}
			}
		}
	}
	collect(x.parameters, slices.Concat(t.Parameters, t.Common), now.Parameters)
	collect(x.tags, t.Tags, now.Tags)
	x.values = slices.DeleteFunc(x.values, func(v string) bool { return v == "" || v == hidden })
	slices.SortFunc(x.values, func(a, b string) int { return len(b) - len(a) })
	x.values = slices.Compact(x.values)
	if s.Mask != nil && len(x.values) > 0 {
		x.mask = s.Mask(x.values)
	}
	return x
}

// secretsOfPlan collects the secrets that the plan's stack is configured with.
func (s *Session) secretsOfPlan(p *planfile.Plan) *secrets {
	d, ok := s.Config.Stack(p.Stack)
	if !ok {
		return &secrets{}
	}
	return s.secretsOf(s.Config.Target(d, s.Env), current{})
}

// emit hides the secrets in the reasons of events.
func (x *secrets) emit(emit func(Progress)) func(Progress) {
	if emit == nil {
		return nil
	}
	return func(p Progress) {
		p.Reason = x.text(p.Reason)
		emit(p)
	}
}

// deployment hides the secrets in what a deployment reports.
func (x *secrets) deployment(d *Deployment) *Deployment {
	d.Reason = x.text(d.Reason)
	for i := range d.Causes {
		d.Causes[i].Reason = x.text(d.Causes[i].Reason)
	}
	for i := range d.Resources {
		d.Resources[i].Reason = x.text(d.Resources[i].Reason)
	}
	d.Outputs = slices.Clone(d.Outputs)
	for i := range d.Outputs {
		d.Outputs[i].Value = x.text(d.Outputs[i].Value)
	}
	return d
}

// secret reports whether a value came from where secrets are.
func (v Value) secret() bool { return v.Env != "" && !v.Public }

// leastInside is how long a secret must be to be looked for inside of other
// texts: a shorter one is a piece of many words.
const leastInside = 6

// text hides the secrets in a text.
func (x *secrets) text(s string) string {
	for _, v := range x.values {
		if s == v {
			return hidden
		}
		if len(v) >= leastInside {
			s = strings.ReplaceAll(s, v, hidden)
		}
	}
	if x.mask != nil {
		s = x.mask(s)
	}
	return s
}

func (x *secrets) pairs(list []planfile.Pair, keys map[string]bool) []planfile.Pair {
	list = slices.Clone(list)
	for i, p := range list {
		list[i].Value = x.text(p.Value)
		if keys[p.Key] {
			list[i].Value = hidden
		}
	}
	return list
}

// shown is the value of a pair as it may be shown.
func (x *secrets) shown(p planfile.Pair, keys map[string]bool) *string {
	text := x.text(p.Value)
	if keys[p.Key] {
		text = hidden
	}
	return &text
}

// plan hides the secrets in all that a plan shows.
func (x *secrets) plan(p *planfile.Plan, tmpl *Template) {
	if len(x.parameters) == 0 && len(x.values) == 0 {
		return
	}
	p.Parameters, p.Tags = x.pairs(p.Parameters, x.parameters), x.pairs(p.Tags, x.tags)
	for i := range p.Changes {
		c := &p.Changes[i]
		c.PhysicalID = x.text(c.PhysicalID)
		for j := range c.Properties {
			pc := &c.Properties[j]
			whole := x.parameters[strings.TrimPrefix(pc.Cause, "parameter ")] || x.usedAt(tmpl, *c, *pc)
			for _, side := range []**string{&pc.Before, &pc.After} {
				if *side == nil {
					continue
				}
				text := x.text(**side)
				if whole && text != "" {
					text = hidden
				}
				*side = &text
			}
		}
	}
	for i := range p.Notes {
		p.Notes[i] = x.text(p.Notes[i])
	}
	for i := range p.Refusals {
		p.Refusals[i].Message = x.text(p.Refusals[i].Message)
	}
}

// usedAt reports whether the template makes a property from a secret parameter.
// Of a nested stack it does not know the names: there the values are looked for.
func (x *secrets) usedAt(tmpl *Template, c planfile.Change, pc planfile.PropertyChange) bool {
	if len(c.Path) > 0 {
		return false
	}
	at := tmpl.pathOf(c.LogicalID)
	if at == nil {
		return false
	}
	n := tmpl.tree.At(at)
	for _, name := range strings.Split(pc.Path, "/") {
		next := tmpl.tree.At(append(slices.Clone(at), name))
		if next == nil {
			break // the value is made by a function further up
		}
		n, at = next, append(at, name)
	}
	return x.mentioned(n)
}

// mentioned reports whether a value refers to a secret parameter.
func (x *secrets) mentioned(n *cfn.Node) bool {
	if n == nil {
		return false
	}
	if ref := n.Get("Ref"); ref.IsString() && x.parameters[ref.Text] {
		return true
	}
	if sub := n.Get("Fn::Sub"); sub != nil {
		text := sub
		if sub.Kind == cfn.List && len(sub.Items) > 0 {
			text = sub.Items[0]
		}
		for key := range x.parameters {
			if strings.Contains(text.Text, "${"+key+"}") {
				return true
			}
		}
	}
	return slices.ContainsFunc(n.Fields, func(f cfn.Field) bool { return x.mentioned(f.Value) }) || slices.ContainsFunc(n.Items, x.mentioned)
}
