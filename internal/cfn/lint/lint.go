// Package lint finds what is wrong with a CloudFormation template without
// asking a cloud.
//
// Its rules have the numbers of cfn-lint, whose resource schemas and tables it
// uses as generated data (MIT-0). It knows the intrinsic functions and answers
// yes, no or unknown: what cannot be known is no finding. Every finding is at
// the line of the source that wrote the value. It does not know how a
// template is deployed.
package lint

import (
	"context"
	"slices"
	"strings"
	"time"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/errs"
)

// Options choose what is looked at. The zero value is every error and warning
// in us-east-1.
type Options struct {
	// Regions are those the template is for; a property or type must exist in
	// each. Empty is what the template's Metadata says, else us-east-1.
	Regions []string
	// Ignore drops findings by rule: E3012, or the beginning of many, W2.
	Ignore []string
	// Include turns on rules that are off by default: those of level info, and E3040.
	Include []string
	// Parameters are the values that the stack will be given. With them the rules
	// look at these instead of defaults, and E2900 checks that they are all there
	// and allowed. nil is a template alone. A value of a NoEcho parameter is
	// checked, but shown in no finding.
	Parameters map[string]string
	// Unknown are parameters that the stack will be given a value that is not
	// known here. With Parameters they count as given.
	Unknown []string
	// Today decides which runtimes have ended; zero is now.
	Today time.Time
}

// Lint checks a template. The findings are sorted; their Subject is the path in
// the template. Rules that the template's or a resource's Metadata (cfn-lint,
// config, ignore_checks) names are left out.
func Lint(ctx context.Context, t *cfn.Template, o Options) (diag.List, error) {
	book, err := openRulebook()
	if err != nil {
		return nil, err
	}
	set := settingsOf(t, o)
	for _, r := range set.regions {
		if !slices.Contains(book.archive.regions, r) {
			if near := diag.Nearest(r, book.archive.regions); near != "" {
				return nil, errs.E(errs.Invalid, "region %q is not known; did you mean %q?", r, near)
			}
			return nil, errs.E(errs.Invalid, "region %q is not one of %s", r, strings.Join(book.archive.regions, ", "))
		}
	}
	root, expanded := expand(t, o.Parameters, o.Unknown)
	e := newEngine(book, t, root, set.regions)
	if expanded.made > 0 {
		e.params[loopValue] = &parameter{kind: "String"}
	}
	e.nested = nestedReader(ctx, t)
	e.now, e.filled, e.open, e.strict = o.Today, expanded.filled, expanded.open, set.strict
	e.found.list = append(e.found.list, expanded.problems...)
	if o.Parameters != nil {
		e.given(o.Parameters, o.Unknown)
	}
	if e.root.Kind == cfn.Map {
		e.wholeTemplate()
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	e.sections()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return e.findings(set), nil
}

// settings are the options and what the template itself says.
type settings struct {
	regions []string
	ignore  []string
	include []string
	strict  bool // types must be exact: E3012 with strict
}

func settingsOf(t *cfn.Template, o Options) settings {
	config := t.Root.Get("Metadata").Get("cfn-lint").Get("config")
	s := settings{regions: o.Regions,
		ignore:  append(slices.Clone(o.Ignore), textsOf(config.Get("ignore_checks"))...),
		include: append(slices.Clone(o.Include), textsOf(config.Get("include_checks"))...)}
	if strict := config.Get("configure_rules").Get("E3012").Get("strict"); strict != nil {
		s.strict, _ = booleanOf(strict)
	}
	if len(s.regions) == 0 {
		s.regions = textsOf(config.Get("regions"))
	}
	if len(s.regions) == 0 {
		s.regions = []string{"us-east-1"}
	}
	return s
}

func textsOf(n *cfn.Node) []string {
	if n == nil {
		return nil
	}
	var out []string
	for _, item := range n.Items {
		out = append(out, item.Text)
	}
	return out
}

func begins(rule string, list []string) bool {
	return slices.ContainsFunc(list, func(prefix string) bool { return prefix != "" && strings.HasPrefix(rule, prefix) })
}

// findings turns what was found into findings, without what is to be ignored.
func (e *engine) findings(set settings) diag.List {
	ignored := map[string][]string{}
	for name, r := range e.resources {
		if checks := textsOf(r.node.Get("Metadata").Get("cfn-lint").Get("config").Get("ignore_checks")); checks != nil {
			ignored[name] = checks
		}
	}
	var out diag.List
	var add func(p problem)
	add = func(p problem) {
		for _, u := range p.under {
			add(u)
		}
		if p.unknown || p.rule == "" {
			return
		}
		at := p.path
		if p.origin != nil {
			at = p.origin
		}
		if optional(p.rule) && !begins(p.rule, set.include) || begins(p.rule, set.ignore) || begins(p.rule, ignored[at.resource()]) {
			return
		}
		f := diag.Finding{Place: e.placeOf(at), Level: levelOf(p.rule), Rule: p.rule, Subject: at.path().String(), Message: p.message, Hint: p.hint}
		if at != nil && at.exact.Line > 0 && at.exact.Line != f.Line && !e.template.Located() {
			f.Related = []diag.Related{{Place: diag.Place{File: f.File, Line: at.exact.Line, Column: at.exact.Column}, Message: "the value"}}
		}
		out = append(out, f)
	}
	for _, p := range e.found.list {
		add(p)
	}
	slices.SortStableFunc(out, func(a, b diag.Finding) int {
		return strings.Compare(a.Rule+"\x00"+a.Subject+"\x00"+a.Message, b.Rule+"\x00"+b.Subject+"\x00"+b.Message)
	})
	out = slices.CompactFunc(out, func(a, b diag.Finding) bool {
		return a.Place == b.Place && a.Rule == b.Rule && a.Message == b.Message && a.Subject == b.Subject
	})
	if e.template.Located() {
		out = e.grouped(out)
	}
	return out.Sort()
}

// resource is the name of the resource that a path is in, else "".
func (s *step) resource() string {
	if s.first(0) != "Resources" {
		return ""
	}
	return s.first(1)
}

// optional reports whether a rule is off unless it is asked for. The service
// ignores a value of a read-only property (E3040), and cfn-lint has the rule
// but never reports it.
func optional(rule string) bool { return rule[0] == 'I' || rule == "E3040" }

func levelOf(rule string) diag.Level {
	switch rule[0] {
	case 'E':
		return diag.Error
	case 'W':
		return diag.Warning
	}
	return diag.Info
}

// placeOf is where a step was written. The places of Jsonnet are found by path.
func (e *engine) placeOf(s *step) diag.Place {
	if e.template.Located() {
		return e.template.Place(s.path())
	}
	pos := e.root.Pos
	if s != nil {
		pos = s.pos
	}
	return diag.Place{File: e.template.File, Line: pos.Line, Column: pos.Column}
}

func newEngine(book *rulebook, t *cfn.Template, root *cfn.Node, regions []string) *engine {
	e := &engine{lint: book, template: t, root: root, regions: regions, resources: map[string]*resource{}, params: map[string]*parameter{}}
	e.languages = t.HasTransform(cfn.LanguageExtensions)
	e.sam = t.HasTransform(cfn.Serverless)
	e.mappings = root.Get("Mappings")
	e.conds = newConditions(root.Get("Conditions"), root.Get("Parameters"))
	if params := root.Get("Parameters"); params != nil {
		for _, f := range params.Fields {
			if p := newParameter(f); p != nil {
				e.params[f.Name] = p
			}
		}
	}
	if resources := root.Get("Resources"); resources != nil {
		for _, f := range resources.Fields {
			e.addResource(f)
		}
	}
	if e.sam {
		e.implied()
	}
	for name, r := range e.resources {
		e.cdk = e.cdk || r.kind == "AWS::CDK::Metadata" || name == "CDKMetadata" || r.node.Get("Metadata").Has("aws:cdk:path")
	}
	return e
}

// sections checks the template from the root down.
func (e *engine) sections() {
	sc := &scope{functions: fnTransform, rules: &ruleset{id: "E1001"}, regions: e.regions, strict: true, keywords: true, dynamic: true}
	at := place{rule: e.lint.paths}
	e.check(sc, at, e.lint.other("template/configuration"), e.root, &e.found)
}

func (e *engine) today() time.Time {
	if e.now.IsZero() {
		return time.Now()
	}
	return e.now
}
