package cfn

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"refline/internal/diag"
)

// most is how many values a template may have once its aliases are written out.
const most = 200_000

type yamlReader struct {
	file  string
	found diag.List
	count int
	using map[*yaml.Node]bool // anchors that are being written out
	// aliases are those met; one that is merged has the map it goes into.
	aliases []Alias
}

// parseYAML reads a template into t.
// tabAt is the column of a tab in the indentation of a line, or 0.
func tabAt(src []byte, line int) int {
	n := 0
	for text := range strings.Lines(string(src)) {
		if n++; n == line {
			indentation := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
			return strings.IndexByte(indentation, '\t') + 1
		}
	}
	return 0
}

func (t *Template) parseYAML(src []byte) diag.List {
	if err := tooDeep(t.File, src); err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		f := yamlError(t.File, err)
		if column := tabAt(src, f.Line); column > 0 {
			f.Column, f.Message, f.Hint = column, "not YAML: a tab indents this line", "indent by spaces"
		}
		return diag.List{f}
	}
	r := &yamlReader{file: t.File, using: map[*yaml.Node]bool{}}
	if len(doc.Content) == 0 {
		t.Root = &Node{Kind: Map, Pos: Pos{1, 1}}
		return nil
	}
	t.Root = r.read(doc.Content[0], 0)
	t.Aliases = r.aliases
	if r.count > most {
		return diag.List{syntax(t.File, 1, 1, "the aliases of this template expand to more than 200,000 values", "")}
	}
	return r.found
}

// yamlError turns an error of the reader into a finding. Its text has the line.
func yamlError(file string, err error) diag.Finding {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var load *yaml.LoadErrors
	if errors.As(err, &load) && len(load.Errors) > 0 {
		text = load.Errors[0].Error()
	}
	line, column := 1, 0
	m := yamlWhere().FindAllStringSubmatch(text, -1)
	if len(m) > 0 {
		last := m[len(m)-1]
		line, _ = strconv.Atoi(last[1]) //nolint:errcheck // digits by the pattern
		if last[2] != "" {
			column, _ = strconv.Atoi(last[2]) //nolint:errcheck // digits by the pattern
		}
	}
	message := strings.TrimSpace(yamlWhere().ReplaceAllString(text, ""))
	message = strings.Trim(strings.NewReplacer(": :", ":", "  ", " ").Replace(message), ": ")
	return syntax(file, max(line, 1), column, "not YAML: "+message, "")
}

var yamlWhere = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:at |in )?line (\d+)(?:, column (\d+))?(?:-\d+)?[:,]?`)
})

func (r *yamlReader) read(y *yaml.Node, depth int) *Node {
	n := &Node{Pos: Pos{y.Line, y.Column}}
	if r.count++; r.count > most {
		return n
	}
	if depth > deepest {
		r.found = append(r.found, syntax(r.file, y.Line, y.Column, "values are nested more than 200 levels deep", ""))
		return n
	}
	if y.Kind == yaml.AliasNode {
		return r.alias(y, depth)
	}
	if name, ok := shortForm(y.Tag); ok {
		return r.short(y, name, depth)
	}
	switch y.Kind {
	case yaml.MappingNode:
		r.mapping(y, n, depth)
	case yaml.SequenceNode:
		n.Kind = List
		n.Items = make([]*Node, 0, len(y.Content))
		for _, c := range y.Content {
			n.Items = append(n.Items, r.read(c, depth+1))
		}
	default:
		n.Kind, n.Text = scalar(y)
	}
	return n
}

func (r *yamlReader) alias(y *yaml.Node, depth int) *Node {
	if r.using[y.Alias] {
		r.found = append(r.found, syntax(r.file, y.Line, y.Column, "the alias *"+y.Value+" is inside its own anchor", ""))
		return &Node{Pos: Pos{y.Line, y.Column}}
	}
	r.using[y.Alias] = true
	defer delete(r.using, y.Alias)
	n := r.read(y.Alias, depth+1)
	r.aliases = append(r.aliases, Alias{Name: y.Value, Pos: Pos{y.Line, y.Column}, Value: n})
	return n
}

func (r *yamlReader) mapping(y *yaml.Node, n *Node, depth int) {
	n.Kind = Map
	n.Fields = make([]Field, 0, len(y.Content)/2)
	seen := make(map[string]bool, len(y.Content)/2)
	var merged []*Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if _, tagged := shortForm(key.Tag); key.Kind != yaml.ScalarNode || tagged {
			r.found = append(r.found, syntax(r.file, key.Line, key.Column, "a key must be a string", ""))
			continue
		}
		kind, _ := scalar(key)
		if kind == Null {
			r.found = append(r.found, syntax(r.file, key.Line, key.Column, "a key must be a string, not null", "put it in quotes"))
			continue
		}
		value := r.read(y.Content[i+1], depth+1)
		if key.Tag == "!!merge" || key.Value == "<<" && key.Style == 0 {
			merged = append(merged, value)
			for i := range r.aliases {
				if r.aliases[i].Value == value {
					r.aliases[i].Value, r.aliases[i].Merged = n, true
				}
			}
			continue
		}
		f := Field{Name: key.Value, Pos: Pos{key.Line, key.Column}, Value: value, Bare: kind != String}
		if value.Short {
			value.Fields[0].Pos = f.Pos // a short form has no key of its own
		}
		if seen[f.Name] {
			r.found = append(r.found, duplicate(r.file, n, f)...)
		}
		seen[f.Name] = true
		n.Fields = append(n.Fields, f)
	}
	for _, m := range merged {
		for _, from := range append([]*Node{m}, m.Items...) {
			for _, f := range from.Fields {
				if !seen[f.Name] {
					seen[f.Name] = true
					n.Fields = append(n.Fields, f)
				}
			}
		}
	}
	n.seal()
}

// short writes out a tag: !GetAtt a.b is {Fn::GetAtt: [a, b]}.
func (r *yamlReader) short(y *yaml.Node, name string, depth int) *Node {
	bare := *y
	bare.Tag = ""
	if y.Kind == yaml.ScalarNode && y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		bare.Style = 0
	}
	value := r.read(&bare, depth+1)
	if value.Kind == Null && y.Value == "" && y.Kind == yaml.ScalarNode && y.Style&yaml.TaggedStyle != 0 {
		value.Kind = String // !GetAZs with nothing after it is the empty string
	}
	if name == "Fn::GetAtt" && value.Kind == String {
		resource, attribute, ok := strings.Cut(value.Text, ".")
		list := &Node{Kind: List, Pos: value.Pos, Items: []*Node{{Kind: String, Text: resource}}}
		if ok {
			list.Items = append(list.Items, &Node{Kind: String, Text: attribute})
		}
		value = list
	}
	return &Node{Kind: Map, Short: true, Pos: Pos{y.Line, y.Column}, Fields: []Field{{Name: name, Value: value}}}
}

// shortForm returns the function that a tag means.
func shortForm(tag string) (string, bool) {
	switch {
	case len(tag) < 2 || tag[0] != '!' || tag[1] == '!':
		return "", false
	case tag == "!Ref" || tag == "!Condition":
		return tag[1:], true
	default:
		return "Fn::" + tag[1:], true
	}
}

// scalar resolves a plain scalar by YAML 1.1, as CloudFormation does.
func scalar(y *yaml.Node) (Kind, string) {
	if y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 || y.Tag == "!!str" && y.Style&yaml.TaggedStyle != 0 {
		return String, y.Value
	}
	v := y.Value
	switch v {
	case "", "~", "null", "Null", "NULL":
		return Null, v
	case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON",
		"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF":
		return Bool, v
	}
	if c := v[0]; c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
		return String, v
	}
	switch {
	case yamlInt().MatchString(v):
		return Int, strings.ReplaceAll(v, "_", "")
	case yamlFloat().MatchString(v):
		return Float, strings.ReplaceAll(v, "_", "")
	}
	return String, v
}

var yamlInt = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$`)
})

var yamlFloat = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?)$`)
})

// tooDeep refuses flow collections that would overflow the reader's stack.
func tooDeep(file string, src []byte) diag.List {
	depth, line := 0, 1
	for _, c := range src {
		switch c {
		case '\n':
			line++
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		}
		if depth > 5000 {
			return diag.List{syntax(file, line, 0, "brackets are nested too deeply", "")}
		}
	}
	return nil
}
