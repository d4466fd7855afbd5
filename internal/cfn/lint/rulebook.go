package lint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"refline/internal/cfn"

	"refline/internal/errs"
)

// binding is a rule and how it is checked where the engine comes by.
type binding struct {
	id       string
	title    string
	schema   string // archive entry of a rule that is a schema
	regional bool
	all      bool // every problem is told; else the best one, as the title says
	check    checkFunc
}

// checkFunc checks the value at a path that a rule is registered for.
type checkFunc func(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems)

// ruleRow is a line of rules.json.
type ruleRow struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	At       []string `json:"at"`
	Schema   bool     `json:"schema"`
	Regional bool     `json:"regional"`
	All      bool     `json:"all"`
}

// rulebook is all that does not depend on the template. It is made once and
// fills as types and rules are needed.
type rulebook struct {
	archive *archive
	rows    []ruleRow
	paths   *trie
	byName  map[string][]*binding // names without a path, as cfnParameter

	mu      sync.Mutex
	schemas map[string]*schema
	types   map[string]*resourceType
	byArea  map[string]map[string]*schema
	actions map[string][]string
	worksOn map[string]serviceTargets
	holding map[string]bool
	lives   map[string]runtimeLife
}

var openRulebook = sync.OnceValues(func() (*rulebook, error) {
	a, err := openArchive()
	if err != nil {
		return nil, err
	}
	b := &rulebook{archive: a, paths: &trie{}, byName: map[string][]*binding{},
		schemas: map[string]*schema{}, types: map[string]*resourceType{}, byArea: map[string]map[string]*schema{}}
	if err := json.Unmarshal(rulesJSON, &b.rows); err != nil {
		return nil, errs.E(errs.Internal, "rules.json: %w", err)
	}
	hand := handWritten()
	for _, row := range b.rows {
		check, ok := hand[row.ID]
		if !ok {
			if !row.Schema && !row.Regional {
				continue
			}
			check = (*engine).schemaRule
		}
		if check == nil {
			continue
		}
		bind := &binding{id: row.ID, title: row.Title, regional: row.Regional, all: row.All, check: check}
		if row.Schema || row.Regional {
			bind.schema = "rule/" + row.ID
		}
		for _, at := range slices.Concat(row.At, pathsOf(row.ID)) {
			// A name is a path when it begins with a part of the template.
			if part, _, _ := strings.Cut(at, "/"); slices.Contains(parts(), part) {
				b.paths.add(at, bind)
			}
			b.byName[at] = append(b.byName[at], bind)
		}
	}
	return b, nil
})

// parts are the keys of a template.
func parts() []string {
	return []string{"Parameters", "Conditions", "Mappings", "Outputs", "Metadata", "Rules", "Transform", "Description", "Globals", "Resources"}
}

// other is one of the small schemas of the template itself.
func (b *rulebook) other(name string) *schema { return b.schema("other/" + name) }

var permissive = &schema{any: true, maxItems: -1, maxLength: -1, maxProperties: -1}

// schema unpacks and compiles an entry of the archive. One that cannot be read
// allows everything: [Lint] has checked the archive before.
func (b *rulebook) schema(name string) *schema {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, ok := b.schemas[name]; ok {
		return s
	}
	s := permissive
	var raw any
	if err := b.archive.load(name, &raw); err == nil {
		c := &compiler{root: raw, done: map[string]*schema{}, docs: b.documents(name)}
		s = c.at("#")
	}
	b.schemas[name] = s
	return s
}

// documents are those that a schema may refer to by name.
func (b *rulebook) documents(name string) map[string]any {
	folder, ok := strings.CutPrefix(name, "other/iam/")
	if !ok || folder == "policy" {
		return nil
	}
	var raw any
	if err := b.archive.load("other/iam/policy", &raw); err != nil {
		return nil
	}
	return map[string]any{"policy": raw}
}

// regional gives the schema of a rule for a region.
func (b *rulebook) regional(rule, region string) *schema {
	b.mu.Lock()
	defer b.mu.Unlock()
	areas, ok := b.byArea[rule]
	if !ok {
		areas = map[string]*schema{}
		b.byArea[rule] = areas
		var raw struct {
			Distinct []any          `json:"distinct"`
			Regions  map[string]int `json:"regions"`
		}
		if err := b.archive.load("rule/"+rule, &raw); err == nil {
			made := make([]*schema, len(raw.Distinct))
			for name, i := range raw.Regions {
				if made[i] == nil {
					made[i] = compile(raw.Distinct[i])
				}
				areas[name] = made[i]
			}
		}
	}
	if s := areas[region]; s != nil {
		return s
	}
	return permissive
}

// resourceType is what is known of a type of resource.
type resourceType struct {
	name       string
	schema     *schema
	raw        map[string]any
	attributes []attribute
	refFormats []string
	readOnly   map[string]bool // generic paths: Arn, Endpoint/Address
	primary    []string
}

// attribute is what Fn::GetAtt may ask for: a name or, with a star, a pattern.
type attribute struct {
	name    string
	pattern *pattern // nil when the name says it all
	pointer string
}

// typeNamed returns a type, nil when there is none of this name.
func (b *rulebook) typeNamed(name string) *resourceType {
	switch {
	case strings.HasPrefix(name, "Custom::"):
		name = "AWS::CloudFormation::CustomResource"
	case strings.HasSuffix(name, "::MODULE"):
		name = "Module"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t, ok := b.types[name]; ok {
		return t
	}
	t := b.readType(name)
	b.types[name] = t
	return t
}

func (b *rulebook) readType(name string) *resourceType {
	if e, ok := b.archive.entries[name]; !ok || e.regions == 0 {
		return nil
	}
	var raw map[string]any
	if err := b.archive.load(name, &raw); err != nil {
		return nil
	}
	t := &resourceType{name: name, raw: raw, schema: compile(raw), readOnly: map[string]bool{}, primary: stringsOf(raw["primaryIdentifier"])}
	for _, p := range stringsOf(raw["readOnlyProperties"]) {
		t.readOnly[strings.TrimPrefix(p, "/properties/")] = true
	}
	for _, name := range stringsOf(raw["attributes"]) {
		a := attribute{name: name, pointer: "/properties/" + strings.ReplaceAll(name, ".", "/")}
		if strings.Contains(name, "*") {
			a.pattern = newPattern("^(?:" + name + ")$")
			a.pointer = ""
		}
		t.attributes = append(t.attributes, a)
	}
	ref, _ := raw["ref"].(map[string]any)
	t.refFormats = formatsOf(ref)
	return t
}

// formatsOf are the formats that a schema's values may have.
func formatsOf(m map[string]any) []string {
	var out []string
	if f, ok := m["format"].(string); ok {
		out = append(out, f)
	}
	list, _ := m["anyOf"].([]any)
	for _, x := range list {
		sub, _ := x.(map[string]any)
		if f, ok := sub["format"].(string); ok {
			out = append(out, f)
		}
	}
	return out
}

// attribute finds what Fn::GetAtt names; ok is false when there is no such.
func (t *resourceType) attribute(name string) (attribute, bool) {
	i := slices.IndexFunc(t.attributes, func(a attribute) bool { return a.name == name })
	if i < 0 {
		i = slices.IndexFunc(t.attributes, func(a attribute) bool { return a.pattern != nil && a.pattern.match(name) })
	}
	if i < 0 {
		return attribute{}, false
	}
	return t.attributes[i], true
}

// property is the schema at a pointer like /properties/Endpoint/Address, as it
// is written, with $ref followed; nil when the pointer leads nowhere.
func (t *resourceType) property(pointer string) map[string]any {
	var at any = t.raw
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/properties/"), "/") {
		m := t.follow(at)
		if m == nil {
			return nil
		}
		props, _ := m["properties"].(map[string]any)
		next, ok := props[step]
		if !ok && step == "*" {
			next, ok = m["items"]
		}
		if !ok {
			return nil
		}
		at = next
	}
	return t.follow(at)
}

func (t *resourceType) follow(v any) map[string]any {
	m, _ := v.(map[string]any)
	for range 20 {
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		v, _ := lookup(t.raw, strings.TrimPrefix(ref, "#"))
		m, _ = v.(map[string]any)
	}
	return m
}

func decode(text string) (any, bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err == nil
}

// Version returns where the data of the rules comes from.
func Version() (string, error) {
	a, err := openArchive()
	if err != nil {
		return "", fmt.Errorf("lint: %w", err)
	}
	return a.version, nil
}
