package stacktest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// template is a template as the service reads it: scalars are strings, short
// tags are written out.
type template struct {
	body        string
	processed   string // after the transforms
	description string
	metadata    string
	parameters  map[string]*parameter
	mappings    map[string]any
	conditions  map[string]any
	resources   map[string]*declaration
	outputs     map[string]map[string]any
	transforms  []string
}

// declaration is a resource as a template declares it.
type declaration struct {
	name, kind, condition string
	dependsOn             []string
	properties            map[string]any
	metadata              any
	deletion, replacing   string // policies, "" is Delete
}

const (
	maxInline = 51200 // bytes of a template in a request
	maxDepth  = 200   // of a template
	maxNodes  = 100000
)

func parseTemplate(body string) (*template, error) { return parseWith(body, nil) }

// parseWith reads a template whose loops go over the values of parameters, else
// over their defaults.
func parseWith(body string, parameters map[string]string) (*template, error) {
	root, err := decode(body)
	if err != nil {
		return nil, err
	}
	doc, ok := root.(map[string]any)
	if !ok {
		return nil, invalid("Template format error: unsupported structure.")
	}
	if where := findNull(doc, ""); where != "" {
		return nil, invalid("[%s] 'null' values are not allowed in templates", where)
	}
	t := &template{body: body, parameters: map[string]*parameter{}, resources: map[string]*declaration{},
		outputs: map[string]map[string]any{}}
	switch names := doc["Transform"].(type) {
	case string:
		t.transforms = []string{names}
	case []any:
		t.transforms = stringList(names)
	}
	if slices.Contains(t.transforms, languageExtensions) {
		if err := t.readParameters(doc); err != nil {
			return nil, err
		}
		values := map[string]string{}
		for name, p := range t.parameters {
			if p.hasDefault {
				values[name] = p.standard
			}
		}
		maps.Copy(values, parameters)
		if doc, err = expand(doc, values); err != nil {
			return nil, err
		}
		t.processed = jsonText(doc)
	}
	t.description, _ = doc["Description"].(string)
	if m, ok := doc["Metadata"]; ok {
		t.metadata = jsonText(m)
	}
	t.mappings, _ = doc["Mappings"].(map[string]any)
	t.conditions, _ = doc["Conditions"].(map[string]any)
	for block, most := range map[string]int{"Parameters": 200, "Mappings": 200, "Outputs": 200, "Resources": 500} {
		if m, _ := doc[block].(map[string]any); len(m) > most {
			return nil, invalid("Template format error: Number of %s, %d, is greater than maximum allowed, %d", strings.ToLower(block), len(m), most)
		}
	}
	for _, read := range []func(map[string]any) error{t.readParameters, t.readResources, t.readOutputs, t.check} {
		if err := read(doc); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *template) readResources(doc map[string]any) error {
	declared, ok := doc["Resources"].(map[string]any)
	if !ok || len(declared) == 0 {
		return invalid("Template format error: At least one Resources member must be defined.")
	}
	for _, name := range sortedKeys(declared) {
		if strings.HasPrefix(name, "Fn::") && !strings.HasPrefix(name, "Fn::ForEach::") {
			continue
		}
		if !alphanumeric(name) {
			return invalid("Template format error: Resource name %s is non alphanumeric.", name)
		}
		d, ok := declared[name].(map[string]any)
		if !ok {
			return invalid("Template format error: Any Resources member must be an object.")
		}
		r, err := readResource(name, d)
		if err != nil {
			return err
		}
		t.resources[name] = r
	}
	return nil
}

func readResource(name string, d map[string]any) (*declaration, error) {
	for _, key := range sortedKeys(d) {
		switch key {
		case "Type", "Properties", "Condition", "DependsOn", "Metadata", "DeletionPolicy", "UpdateReplacePolicy",
			"CreationPolicy", "UpdatePolicy", "Description", "Version":
		default:
			return nil, invalid("Invalid template resource property '%s'", key)
		}
	}
	r := &declaration{name: name, metadata: d["Metadata"], properties: map[string]any{}}
	r.kind, _ = d["Type"].(string)
	if r.kind == "" {
		return nil, invalid("Template format error: [/Resources/%s] Every Resources object must contain a Type member.", name)
	}
	r.condition, _ = d["Condition"].(string)
	r.deletion, _ = d["DeletionPolicy"].(string)
	r.replacing, _ = d["UpdateReplacePolicy"].(string)
	if p, ok := d["Properties"].(map[string]any); ok {
		r.properties = p
	}
	switch on := d["DependsOn"].(type) {
	case string:
		r.dependsOn = []string{on}
	case []any:
		r.dependsOn = stringList(on)
	}
	return r, nil
}

func (t *template) readOutputs(doc map[string]any) error {
	declared, _ := doc["Outputs"].(map[string]any)
	for name, v := range declared {
		d, ok := v.(map[string]any)
		if !ok || d["Value"] == nil {
			return invalid("Template format error: Every Outputs member must contain a Value object")
		}
		t.outputs[name] = d
	}
	return nil
}

// check follows what the template names.
func (t *template) check(map[string]any) error {
	for _, name := range sortedKeys(t.resources) {
		r := t.resources[name]
		if r.condition != "" && t.conditions[r.condition] == nil {
			return invalid("Template format error: Unresolved condition dependency %s in the Resources block of the template", r.condition)
		}
		if err := t.checkNames(mentions(r.properties), "Resources"); err != nil {
			return err
		}
		for _, on := range r.dependsOn {
			if t.resources[on] == nil {
				return invalid("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", on)
			}
		}
	}
	for _, name := range sortedKeys(t.outputs) {
		if err := t.checkNames(mentions(t.outputs[name]), "Outputs"); err != nil {
			return err
		}
	}
	if circle := t.circle(); circle != nil {
		return invalid("Circular dependency between resources: [%s]", strings.Join(circle, ", "))
	}
	return nil
}

func (t *template) checkNames(m mention, block string) error {
	for _, name := range m.conditions {
		if t.conditions[name] == nil {
			return invalid("Template error: unresolved condition dependency %s in Fn::If", name)
		}
	}
	for _, name := range m.refs {
		if t.resources[name] == nil && t.parameters[name] == nil && !strings.HasPrefix(name, "AWS::") {
			return invalid("Template format error: Unresolved resource dependencies [%s] in the %s block of the template", name, block)
		}
	}
	for _, att := range m.attributes {
		name, attribute, _ := strings.Cut(att, ".")
		if name == "" || attribute == "" {
			return invalid("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
		}
		if t.resources[name] == nil {
			return invalid("Template error: instance of Fn::GetAtt references undefined resource %s", name)
		}
	}
	return nil
}

// needs lists the resources that must be there before one.
func (t *template) needs(name string) []string {
	r := t.resources[name]
	m := mentions(r.properties)
	out := append(slices.Clone(r.dependsOn), m.refs...)
	for _, att := range m.attributes {
		resource, _, _ := strings.Cut(att, ".")
		out = append(out, resource)
	}
	out = slices.DeleteFunc(out, func(n string) bool { return t.resources[n] == nil })
	slices.Sort(out)
	return slices.Compact(out)
}

// waves sorts names so that each wave needs only those before it.
func (t *template) waves(names []string) [][]string {
	left := slices.Clone(names)
	slices.Sort(left)
	var out [][]string
	for len(left) > 0 {
		var wave, later []string
		for _, name := range left {
			if slices.ContainsFunc(t.needs(name), func(n string) bool { return slices.Contains(left, n) }) {
				later = append(later, name)
			} else {
				wave = append(wave, name)
			}
		}
		if len(wave) == 0 {
			return append(out, later)
		}
		out, left = append(out, wave), later
	}
	return out
}

func (t *template) circle() []string {
	waves := t.waves(sortedKeys(t.resources))
	if len(waves) == 0 {
		return nil
	}
	last := waves[len(waves)-1]
	for _, name := range last {
		for _, on := range t.needs(name) {
			if slices.Contains(last, on) {
				return last
			}
		}
	}
	return nil
}

func alphanumeric(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func stringList(v []any) []string {
	out := []string{}
	for _, item := range v {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// jsonText is JSON without the escapes that are for browsers.
func jsonText(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}
