package stacktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// template is a template as the service reads it: scalars are strings, short
// tags are written out.
type template struct {
	body        string
	description string
	metadata    string
	parameters  map[string]*parameter
	mappings    map[string]any
	conditions  map[string]any
	resources   map[string]*declaration
	outputs     map[string]map[string]any
	transforms  []string
}

type parameter struct {
	name, kind, standard, description, pattern string
	hasDefault, noEcho                         bool
	allowed                                    []string
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

func parseTemplate(body string) (*template, error) {
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
	t.description, _ = doc["Description"].(string)
	if m, ok := doc["Metadata"]; ok {
		t.metadata = jsonText(m)
	}
	t.mappings, _ = doc["Mappings"].(map[string]any)
	t.conditions, _ = doc["Conditions"].(map[string]any)
	switch names := doc["Transform"].(type) {
	case string:
		t.transforms = []string{names}
	case []any:
		t.transforms = stringList(names)
	}
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

// decode reads JSON when the text begins like it, else YAML.
func decode(body string) (any, error) {
	if !strings.HasPrefix(strings.TrimSpace(body), "{") {
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(body), &node); err != nil {
			return nil, invalid("Template format error: YAML not well-formed.")
		}
		return (&yamlReader{left: maxNodes}).read(&node, maxDepth), nil
	}
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		at := int64(len(body))
		if wrong := (*json.SyntaxError)(nil); errors.As(err, &wrong) {
			at = wrong.Offset
		}
		before := body[:min(max(at, 0), int64(len(body)))]
		line := 1 + strings.Count(before, "\n")
		column := len(before) - strings.LastIndex(before, "\n") // of what follows, as the service counts
		return nil, invalid("Template format error: JSON not well-formed. (line %d, column %d)", line, column)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("Template format error: JSON not well-formed.")
	}
	return plain(v), nil
}

// plain makes strings of all scalars but null.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return v
}

// yamlReader writes aliases out. It gives up, with null, at a depth and a number
// of nodes that only aliases of aliases have.
type yamlReader struct{ left int }

func (y *yamlReader) read(n *yaml.Node, depth int) any {
	if y.left--; y.left < 0 || depth == 0 {
		return nil
	}
	v := y.value(n, depth-1)
	name, short := strings.CutPrefix(n.Tag, "!")
	if !short || strings.HasPrefix(n.Tag, "!!") || name == "" {
		return v
	}
	switch name {
	case "Ref", "Condition":
	case "GetAtt":
		if s, ok := v.(string); ok {
			resource, attribute, _ := strings.Cut(s, ".")
			v = []any{resource, attribute}
		}
		name = "Fn::GetAtt"
	default:
		name = "Fn::" + name
	}
	return map[string]any{name: v}
}

func (y *yamlReader) value(n *yaml.Node, depth int) any {
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil
		}
		return y.read(n.Content[0], depth)
	case yaml.AliasNode:
		return y.read(n.Alias, depth)
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = y.read(n.Content[i+1], depth)
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, y.read(c, depth))
		}
		return out
	default:
		if n.ShortTag() == "!!null" {
			return nil
		}
		return n.Value
	}
}

func findNull(v any, at string) string {
	switch v := v.(type) {
	case nil:
		return at
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if where := findNull(v[k], at+"/"+k); where != "" {
				return where
			}
		}
	case []any:
		for _, item := range v {
			if where := findNull(item, at); where != "" {
				return where
			}
		}
	}
	return ""
}

func (t *template) readParameters(doc map[string]any) error {
	declared, _ := doc["Parameters"].(map[string]any)
	for _, name := range sortedKeys(declared) {
		if !alphanumeric(name) {
			return invalid("Template format error: Parameter name %s is non alphanumeric.", name)
		}
		d, ok := declared[name].(map[string]any)
		if !ok {
			return invalid("Template format error: Any Parameters member must be an object.")
		}
		p := &parameter{name: name}
		p.kind, _ = d["Type"].(string)
		p.description, _ = d["Description"].(string)
		p.pattern, _ = d["AllowedPattern"].(string)
		p.standard, p.hasDefault = d["Default"].(string)
		p.noEcho = d["NoEcho"] == "true"
		if allowed, ok := d["AllowedValues"].([]any); ok {
			p.allowed = stringList(allowed)
		}
		if p.kind == "" {
			return invalid("Template format error: Every Parameters object must contain a Type member.")
		}
		t.parameters[name] = p
	}
	return nil
}

func (t *template) readResources(doc map[string]any) error {
	declared, ok := doc["Resources"].(map[string]any)
	if !ok || len(declared) == 0 {
		return invalid("Template format error: At least one Resources member must be defined.")
	}
	for _, name := range sortedKeys(declared) {
		if strings.HasPrefix(name, "Fn::") {
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

// bind gives each parameter its value. previous is of the stack's last
// deployment, nil for a new stack.
func (t *template) bind(given []given, previous map[string]string) (map[string]string, error) {
	out := map[string]string{}
	var unknown []string
	for _, g := range given {
		p := t.parameters[g.name]
		if p == nil {
			unknown = append(unknown, g.name)
			continue
		}
		value := g.value
		if g.previous {
			old, ok := previous[g.name]
			if !ok {
				return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", g.name)
			}
			value = old
		}
		if err := p.accept(value); err != nil {
			return nil, err
		}
		out[g.name] = value
	}
	if unknown != nil {
		slices.Sort(unknown)
		return nil, invalid("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	}
	var missing []string
	for _, name := range sortedKeys(t.parameters) {
		if _, ok := out[name]; ok {
			continue
		}
		if p := t.parameters[name]; p.hasDefault {
			out[name] = p.standard
		} else {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, invalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return out, nil
}

type given struct {
	name, value string
	previous    bool
}

func (p *parameter) accept(value string) error {
	if len(p.allowed) > 0 && !slices.Contains(p.allowed, value) {
		return invalid("Parameter '%s' must be one of AllowedValues", p.name)
	}
	if p.pattern != "" {
		re, err := regexp.Compile("^(?:" + p.pattern + ")$")
		if err == nil && !re.MatchString(value) {
			return invalid("Parameter '%s' must match pattern %s", p.name, p.pattern)
		}
	}
	if p.kind == "Number" && strings.Trim(value, "0123456789.-+eE") != "" {
		return invalid("Parameter '%s' must be a number.", p.name)
	}
	return nil
}
