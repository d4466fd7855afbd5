package stack

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/stack/planfile"

	"refline/internal/cfn"
	"refline/internal/jsonnet"
)

// Rules forbid changes that a reviewer should not even be asked about.
type Rules struct {
	File string
	List []Rule
}

// Rule forbids changes that fit all it names; what it does not name fits
// everything. Names are patterns in which * matches any characters.
type Rule struct {
	Name         string
	Forbid       []planfile.Effect
	Types        []string
	Resources    []string // logical ids, with nested stacks: Network/Vpc
	Properties   []string // paths from the resource: Properties/Tags*
	Stacks       []string
	Environments []string
	Max          int // forbid only when more than this many fit
	Message      string
}

// LoadRules reads a file of review rules: {rules: [{name: …, forbid: […], …}]}
// in YAML, JSON or Jsonnet.
func LoadRules(ctx context.Context, file string, read jsonnet.Read) (*Rules, error) {
	t, err := cfn.Load(ctx, jsonnet.Input{File: file, Read: read})
	if err != nil {
		return nil, err
	}
	r := &configReader{source: t}
	rules := &Rules{File: file}
	r.fields("", t.Root, nil, []field{{"rules", func(n *cfn.Node, at cfn.Path) { r.rules(rules, n, at) }}})
	if err := r.found.Sort().Err(); err != nil {
		return nil, err
	}
	return rules, nil
}

func (r *configReader) rules(rules *Rules, n *cfn.Node, at cfn.Path) {
	if n.Kind != cfn.List {
		r.errorf(at, "", "rules is a list, not %s", kindOf(n))
		return
	}
	for i, item := range n.Items {
		at := step(at, fmt.Sprint(i))
		rule := Rule{}
		r.fields("a rule", item, at, r.ruleFields(&rule))
		if item.Kind == cfn.Map && rule.Name == "" {
			r.errorf(at, "add name:, which refusals show", "a rule has no name")
		}
		if item.Kind == cfn.Map && !item.Has("forbid") {
			r.errorf(at, "add forbid: with some of "+effectNames(), "rule %s forbids nothing", rule.Name)
		}
		rules.List = append(rules.List, rule)
	}
}

func effectNames() string {
	var names []string
	for _, e := range planfile.Effects() {
		names = append(names, string(e))
	}
	return strings.Join(names, ", ")
}

func (r *configReader) ruleFields(rule *Rule) []field {
	return []field{
		{"name", r.text(&rule.Name)},
		{"forbid", func(n *cfn.Node, at cfn.Path) {
			var names []string
			r.oneOf(&names, strings.Split(effectNames(), ", ")...)(n, at)
			for _, name := range names {
				rule.Forbid = append(rule.Forbid, planfile.Effect(name))
			}
		}},
		{"types", r.texts(&rule.Types)},
		{"resources", r.texts(&rule.Resources)},
		{"properties", r.texts(&rule.Properties)},
		{"stacks", r.texts(&rule.Stacks)},
		{"environments", r.texts(&rule.Environments)},
		{"message", r.text(&rule.Message)},
		{"max", func(n *cfn.Node, at cfn.Path) {
			number, ok := n.Number()
			if n.Kind != cfn.Int || !ok || number < 0 || number > 1e6 {
				r.errorf(at, "", "max is a whole number, not %s", n.Text)
				return
			}
			rule.Max = int(number)
		}},
	}
}

// check returns a refusal for each change that a rule forbids.
func (r *Rules) check(p *planfile.Plan) []planfile.Refusal {
	var out []planfile.Refusal
	for _, rule := range r.List {
		if !fits(rule.Stacks, p.Stack) || !fits(rule.Environments, p.Environment) {
			continue
		}
		var hits []planfile.Change
		for _, c := range p.Changes {
			if rule.forbids(c) {
				hits = append(hits, c)
			}
		}
		if len(hits) <= rule.Max {
			continue
		}
		for _, c := range hits {
			message := rule.Message
			if message == "" {
				message = fmt.Sprintf("%s: %s of %s is forbidden", c.ID(), c.Effect, c.Type)
			} else {
				message = c.ID() + ": " + message
			}
			out = append(out, planfile.Refusal{ID: c.ID(), Rule: rule.Name, Message: message, Hint: "the rule is in " + r.File})
		}
	}
	return out
}

func (r Rule) forbids(c planfile.Change) bool {
	return slices.Contains(r.Forbid, c.Effect) && fits(r.Types, c.Type) && fits(r.Resources, c.ID()) &&
		(len(r.Properties) == 0 || slices.ContainsFunc(c.Properties, func(p planfile.PropertyChange) bool { return fits(r.Properties, p.Path) }))
}

func fits(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return like(p, name) })
}

// RulesFile is the path of the file of rules that the configuration names, or "".
func (c *Config) RulesFile() string {
	if c.Rules == "" {
		return ""
	}
	return path.Join(path.Dir(filepath.ToSlash(c.File)), filepath.ToSlash(c.Rules))
}
