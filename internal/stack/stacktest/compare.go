package stacktest

import (
	"fmt"
	"slices"
	"strings"
)

// change is one resource of a change set.
type change struct {
	action, logical, physical, kind string
	replacement, policy             string
	scope                           []string
	details                         []detail
	before, after                   any
	nested                          *changeSet
	plainOnly                       bool // is reported without property values
	drifted                         bool // the actual state is not the deployed one
}

type detail struct {
	attribute, name, path, kind, recreation string // kind: Add, Remove, Modify
	evaluation, source, cause               string
	before, after                           string
	plainOnly, valuesOnly                   bool
}

// comparison computes what a target changes in a stack.
type comparison struct {
	s        *Server
	st       *stack
	to       target
	sc       *scope
	nested   *changeSet // whose children are to be made, or nil
	changes  []*change
	replaced map[string]bool
	modified map[string]bool
	revert   bool // compare with the actual state, drift and all
	warnings []string
	// conflicts are resources to be made that exist already.
	conflicts []EarlyValidation
}

func (s *Server) compare(st *stack, to target, nested *changeSet, revert bool) (*comparison, error) {
	c := &comparison{s: s, st: st, to: to, nested: nested, revert: revert, replaced: map[string]bool{}, modified: map[string]bool{}}
	c.sc = s.scope(st, to)
	known, attribute, export := c.sc.reference, c.sc.attribute, c.sc.export
	c.sc.reference = func(name string) string {
		if c.replaced[name] {
			return knownAfterApply
		}
		return known(name)
	}
	c.sc.attribute = func(name, a string) string {
		if c.replaced[name] {
			return knownAfterApply
		}
		return attribute(name, a)
	}
	var missing string
	c.sc.export = func(name string) (string, bool) {
		v, ok := export(name)
		if !ok {
			missing = name
		}
		return v, ok
	}
	names, err := c.sc.active()
	if err != nil {
		return nil, err
	}
	for _, wave := range to.template.waves(names) {
		for _, name := range wave {
			missing = ""
			if err := c.resource(to.template.resources[name]); err != nil {
				return nil, err
			}
			if missing != "" {
				c.warnings = append(c.warnings, fmt.Sprintf("ChangeSet creation failed for resource [%s] because: No export named %s", name, missing))
			}
		}
	}
	for _, name := range sortedKeys(st.resources) {
		if !slices.Contains(names, name) {
			c.remove(st.resources[name])
		}
	}
	slices.SortFunc(c.changes, func(a, b *change) int { return strings.Compare(a.logical, b.logical) })
	return c, nil
}

func (c *comparison) resource(d *declaration) error {
	properties, err := c.sc.properties(d)
	if err != nil {
		return err
	}
	metadata, err := c.sc.value(d.metadata)
	if err != nil {
		return err
	}
	for _, hidden := range c.s.orders.unknown {
		if p, ok := strings.CutPrefix(hidden, d.name+"."); ok && properties[p] != nil {
			properties[p] = knownAfterApply
		}
	}
	after := circumstances(properties, metadata, d.deletion, d.replacing)
	old := c.st.resources[d.name]
	if old != nil && old.kind != d.kind {
		return invalid("Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s]", d.name)
	}
	if old == nil {
		c.conflict(d, properties)
		ch := &change{action: "Add", logical: d.name, kind: d.kind, after: after}
		if physical, ok := c.to.imports[d.name]; ok {
			ch.action, ch.physical = "Import", physical
		}
		c.changes = append(c.changes, ch)
		return c.child(ch, d, properties)
	}
	drifted := c.revert && len(old.drifted) > 0
	if drifted {
		actual := *old
		actual.properties = old.actual()
		old = &actual
	}
	ch := &change{action: "Modify", logical: d.name, kind: d.kind, physical: old.physical, drifted: drifted,
		before: circumstances(old.properties, old.metadata, old.deletion, old.replacing), after: after}
	ch.details = append(c.properties(d, old, properties), c.others(d, old, metadata)...)
	if err := c.child(ch, d, properties); err != nil {
		return err
	}
	if len(ch.details) == 0 {
		return nil
	}
	ch.finish(d)
	ch.plainOnly = !slices.ContainsFunc(ch.details, func(dt detail) bool { return !dt.plainOnly })
	if !ch.plainOnly || d.kind != stackKind {
		c.modified[d.name] = true
	}
	c.replaced[d.name] = ch.replacement == "True" && !ch.plainOnly
	c.changes = append(c.changes, ch)
	return nil
}

// circumstances is the content of BeforeContext and AfterContext.
func circumstances(properties map[string]any, metadata any, deletion, replacing string) map[string]any {
	if properties == nil {
		properties = map[string]any{}
	}
	out := map[string]any{"Properties": properties}
	if metadata != nil {
		out["Metadata"] = metadata
	}
	if deletion != "" {
		out["DeletionPolicy"] = deletion
	}
	if replacing != "" {
		out["UpdateReplacePolicy"] = replacing
	}
	return out
}

// properties lists the changes of properties, with what causes them.
func (c *comparison) properties(d *declaration, old *resource, now map[string]any) []detail {
	k := kindOf(d.kind)
	names := sortedKeys(now)
	for name := range old.properties {
		if _, ok := now[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []detail
	for _, name := range names {
		parts := differences("/Properties/"+name, old.properties[name], now[name])
		for i, part := range parts {
			part.attribute, part.name, part.recreation = "Properties", name, k.recreation(name)
			out = append(out, c.explain(part, d.properties[name], i > 0)...)
		}
		if len(parts) == 0 {
			out = append(out, c.dynamic(d, name, k)...)
		}
	}
	return out
}

// explain turns one difference into details: one when the text itself changed,
// more when a parameter or another resource changed it. Answers without values
// report each once for each property.
func (c *comparison) explain(part detail, expr any, again bool) []detail {
	with := func(source, evaluation, cause string) detail {
		dt := part
		dt.source, dt.evaluation, dt.cause, dt.valuesOnly = source, evaluation, cause, again
		return dt
	}
	m := c.deepMentions(expr)
	var causes []detail
	byParameter := false
	for _, name := range m.refs {
		switch {
		case c.to.template.parameters[name] != nil && c.to.parameters[name] != c.st.parameters[name]:
			byParameter = true
			causes = append(causes, with("ParameterReference", "Static", name))
		case c.replaced[name]:
			causes = append(causes, with("ResourceReference", "Static", name))
		}
	}
	for _, att := range m.attributes {
		if name, _, _ := strings.Cut(att, "."); c.replaced[name] {
			causes = append(causes, with("ResourceAttribute", "Static", att))
		}
	}
	if len(causes) == 0 && part.after == knownAfterApply {
		cause := "Unknown.Value"
		if len(m.attributes) > 0 {
			cause = m.attributes[0]
		}
		causes = append(causes, with("ResourceAttribute", "Static", cause))
	}
	if len(causes) == 0 {
		return []detail{with("DirectModification", "Static", "")}
	}
	direct := with("DirectModification", "Dynamic", "")
	direct.valuesOnly = direct.valuesOnly || !byParameter
	return append([]detail{direct}, causes...)
}

// deepMentions follows conditions, too.
func (c *comparison) deepMentions(expr any) mention {
	m := mentions(expr)
	for i := 0; i < len(m.conditions) && i < 100; i++ {
		m.walk(c.to.template.conditions[m.conditions[i]])
	}
	m.refs = unique(m.refs)
	m.attributes = unique(m.attributes)
	return m
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// dynamic describes a property that takes an attribute of a resource that is
// changed in place: answers without values cannot say whether it changes.
func (c *comparison) dynamic(d *declaration, name string, k kind) []detail {
	var out []detail
	for _, att := range mentions(d.properties[name]).attributes {
		if resource, _, _ := strings.Cut(att, "."); c.modified[resource] {
			out = append(out, detail{attribute: "Properties", name: name, recreation: k.recreation(name),
				evaluation: "Dynamic", source: "ResourceAttribute", cause: att, plainOnly: true})
		}
	}
	return out
}

// others lists changes that are not of properties.
func (c *comparison) others(d *declaration, old *resource, metadata any) []detail {
	var out []detail
	add := func(attribute, before, after string, expr any) {
		if before == after {
			return
		}
		out = append(out, c.explain(detail{attribute: attribute, path: "/" + attribute, kind: kindOfChange(before, after),
			recreation: "Never", before: before, after: after}, expr, false)...)
	}
	show := func(v any) string {
		if v == nil {
			return ""
		}
		return jsonText(v)
	}
	add("Metadata", show(old.metadata), show(metadata), d.metadata)
	add("DeletionPolicy", old.deletion, d.deletion, nil)
	add("UpdateReplacePolicy", old.replacing, d.replacing, nil)
	if !kindOf(d.kind).untagged && d.kind != stackKind && !slices.Equal(c.st.tags, c.to.tags) {
		add("Tags", tagText(c.st.tags), tagText(c.to.tags), nil)
	}
	return out
}

func tagText(tags []pair) string {
	list := []map[string]string{}
	for _, t := range tags {
		list = append(list, map[string]string{"Key": t.key, "Value": t.value})
	}
	return jsonText(list)
}

func kindOfChange(before, after string) string {
	switch {
	case before == "":
		return "Add"
	case after == "":
		return "Remove"
	default:
		return "Modify"
	}
}

// differences walks two values down to where they differ.
func differences(path string, before, after any) []detail {
	switch {
	case jsonText(before) == jsonText(after):
		return nil
	case before == nil:
		return []detail{{path: path, kind: "Add", after: text(after)}}
	case after == nil:
		return []detail{{path: path, kind: "Remove", before: text(before)}}
	}
	var out []detail
	b, bothMaps := before.(map[string]any)
	if a, ok := after.(map[string]any); ok && bothMaps {
		keys := unique(append(sortedKeys(a), sortedKeys(b)...))
		for _, key := range keys {
			out = append(out, differences(path+"/"+key, b[key], a[key])...)
		}
		return out
	}
	bl, bothLists := before.([]any)
	if al, ok := after.([]any); ok && bothLists {
		at := func(l []any, i int) any {
			if i < len(l) {
				return l[i]
			}
			return nil
		}
		for i := range max(len(al), len(bl)) {
			out = append(out, differences(fmt.Sprintf("%s/%d", path, i), at(bl, i), at(al, i))...)
		}
		return out
	}
	return []detail{{path: path, kind: "Modify", before: text(before), after: text(after)}}
}

// finish draws the conclusions of the details.
func (ch *change) finish(d *declaration) {
	ch.replacement = "False"
	for _, dt := range ch.details {
		if !slices.Contains(ch.scope, dt.attribute) {
			ch.scope = append(ch.scope, dt.attribute)
		}
		switch {
		case dt.recreation == "Always" && dt.evaluation == "Static":
			ch.replacement = "True"
		case dt.recreation != "Never" && ch.replacement == "False":
			ch.replacement = "Conditional"
		}
	}
	slices.Sort(ch.scope)
	if ch.replacement == "True" {
		ch.policy = "ReplaceAnd" + policy(d.replacing)
	}
}

func policy(declared string) string {
	switch declared {
	case "Retain", "RetainExceptOnCreate":
		return "Retain"
	case "Snapshot":
		return "Snapshot"
	default:
		return "Delete"
	}
}

func (c *comparison) remove(r *resource) {
	ch := &change{action: "Remove", logical: r.logical, physical: r.physical, kind: r.kind, policy: policy(r.deletion),
		before: circumstances(r.properties, r.metadata, r.deletion, r.replacing)}
	c.changes = append(c.changes, ch)
	if r.nested != nil && c.nested != nil {
		ch.nested = c.s.childRemoval(c.nested, r.nested)
	}
}

// child looks into a nested stack. Without IncludeNestedStacks the service
// says of each existing one that it may change.
func (c *comparison) child(ch *change, d *declaration, properties map[string]any) error {
	if d.kind != stackKind {
		return nil
	}
	automatic := detail{attribute: "Properties", recreation: "Never", evaluation: "Dynamic", source: "Automatic"}
	if c.nested == nil {
		if ch.action == "Modify" && len(ch.details) == 0 {
			ch.details = append(ch.details, automatic)
		}
		return nil
	}
	var old *stack
	if r := c.st.resources[d.name]; r != nil {
		old = r.nested
	}
	kid, err := c.s.childChangeSet(c.nested, c.st, old, d, properties)
	if err != nil {
		return err
	}
	if kid.status != "FAILED" && kid.empty() {
		c.s.discard(kid)
		return nil
	}
	ch.nested = kid
	if ch.action == "Modify" && len(ch.details) == 0 {
		ch.details = append(ch.details, automatic)
	}
	return nil
}
