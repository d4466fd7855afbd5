package lint

import (
	"slices"
	"strconv"
	"strings"
)

// compiler compiles one document; $ref stays inside it.
type compiler struct {
	root any
	done map[string]*schema
	docs map[string]any // other documents, by name
}

func compile(root any) *schema {
	c := &compiler{root: root, done: map[string]*schema{}}
	return c.at("#")
}

// at compiles what a pointer of the document names; recursion meets the schema
// that is being compiled.
func (c *compiler) at(ref string) *schema {
	if s, ok := c.done[ref]; ok {
		return s
	}
	s := &schema{maxItems: -1, maxLength: -1, maxProperties: -1}
	c.done[ref] = s
	base, pointer, _ := strings.Cut(ref, "#")
	root := c.root
	if base != "" {
		root = c.docs[base]
	}
	if v, ok := lookup(root, pointer); ok {
		c.fill(s, v, base)
	} else {
		s.any = true
	}
	return s
}

func lookup(v any, pointer string) (any, bool) {
	for step := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func (c *compiler) list(v any, base string) []*schema {
	list, _ := v.([]any)
	out := make([]*schema, 0, len(list))
	for _, x := range list {
		out = append(out, c.schema(x, base))
	}
	return out
}

func (c *compiler) named(v any, base string) map[string]*schema {
	m, _ := v.(map[string]any)
	out := make(map[string]*schema, len(m))
	for k, x := range m {
		out[k] = c.schema(x, base)
	}
	return out
}

func (c *compiler) fill(s *schema, v any, base string) {
	switch x := v.(type) {
	case bool:
		s.never, s.any = !x, x
		return
	case map[string]any:
		if len(x) == 0 {
			s.any = true
			return
		}
		for k, v := range x {
			c.keyword(s, k, v, base)
		}
		_, branches := x["if"]
		s.constrains = branches || constrains(x, s)
		s.grouped = len(s.dependencies) > 0 || s.dependentExcluded != nil || s.dependentRequired != nil || s.cond != nil ||
			s.maxItems >= 0 || s.minItems > 0 || s.maxProperties >= 0 || s.minProperties > 0 || len(s.required) > 0 ||
			len(s.requiredOr) > 0 || len(s.requiredXor) > 0 || s.uniqueItems != nil
		if s.grouped {
			p := *s
			p.grouped, p.cond, p.then, p.other, p.uniqueItems = false, nil, nil, nil, nil
			p.dependencies, p.dependentRequired, p.dependentExcluded = nil, nil, nil
			p.required, p.requiredOr, p.requiredXor = nil, nil, nil
			p.minItems, p.maxItems, p.minProperties, p.maxProperties = 0, -1, 0, -1
			p.constrains = constrains(x, &p)
			s.plain = &p
		}
	default:
		s.any = true
	}
}

// constrains reports whether a schema says anything of a value beyond its type.
func constrains(x map[string]any, s *schema) bool {
	for _, k := range []string{"$ref", "enum", "const", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
		"exclusiveMaximum", "multipleOf", "format", "allOf", "anyOf", "oneOf", "not"} {
		if _, ok := x[k]; ok {
			return true
		}
	}
	if s.items != nil && s.items.constrains || s.additional != nil && s.additional.constrains {
		return true
	}
	for _, p := range s.properties {
		if p.constrains {
			return true
		}
	}
	return slices.ContainsFunc(s.patternProperties, func(p patternSchema) bool { return p.schema.constrains })
}

func (c *compiler) keyword(s *schema, k string, v any, base string) {
	switch k {
	case "$ref":
		ref, _ := v.(string)
		if strings.HasPrefix(ref, "#") {
			ref = base + ref
		} else if name, _, ok := strings.Cut(ref, "#"); !ok || c.docs[name] == nil {
			if c.docs[ref] == nil {
				return
			}
			ref += "#"
		}
		s.ref = c.at(ref)
	case "type":
		s.types = typesOf(v)
	case "properties":
		s.properties = c.named(v, base)
	case "patternProperties":
		for p, sub := range c.named(v, base) {
			s.patternProperties = append(s.patternProperties, patternSchema{newPattern(p), sub})
		}
		slices.SortFunc(s.patternProperties, func(a, b patternSchema) int { return strings.Compare(a.pattern.text, b.pattern.text) })
	case "additionalProperties":
		s.additional = c.schema(v, base)
	case "propertyNames":
		s.propertyNames = c.schema(v, base)
	case "required":
		s.required = stringsOf(v)
	case "requiredOr":
		s.requiredOr = stringsOf(v)
	case "requiredXor":
		s.requiredXor = stringsOf(v)
	case "dependentRequired":
		s.dependentRequired = namedStrings(v)
	case "dependentExcluded":
		s.dependentExcluded = namedStrings(v)
	case "dependencies":
		m, _ := v.(map[string]any)
		for name, x := range m {
			if _, isList := x.([]any); isList {
				if s.dependentRequired == nil {
					s.dependentRequired = map[string][]string{}
				}
				s.dependentRequired[name] = append(s.dependentRequired[name], stringsOf(x)...)
				continue
			}
			if s.dependencies == nil {
				s.dependencies = map[string]*schema{}
			}
			s.dependencies[name] = c.schema(x, base)
		}
	case "items":
		if list, ok := v.([]any); ok {
			s.prefixItems = c.list(list, base)
			return
		}
		s.items = c.schema(v, base)
	case "prefixItems":
		s.prefixItems = c.list(v, base)
	case "contains":
		s.contains = c.schema(v, base)
	case "allOf":
		s.allOf = c.list(v, base)
	case "anyOf":
		s.anyOf = c.list(v, base)
	case "oneOf":
		s.oneOf = c.list(v, base)
	case "not":
		s.not = c.schema(v, base)
	case "if":
		s.cond = c.schema(v, base)
	case "then":
		s.then = c.schema(v, base)
	case "else":
		s.other = c.schema(v, base)
	default:
		c.leaf(s, k, v, base)
	}
}

func (c *compiler) leaf(s *schema, k string, v any, base string) {
	switch k {
	case "minProperties":
		s.minProperties = intOf(v)
	case "maxProperties":
		s.maxProperties = intOf(v)
	case "minItems":
		s.minItems = intOf(v)
	case "maxItems":
		s.maxItems = intOf(v)
	case "maxUniqueItems":
		s.maxUniqueItems = intOf(v)
	case "minLength":
		s.minLength = intOf(v)
	case "maxLength":
		s.maxLength = intOf(v)
	case "uniqueItems":
		b, ok := v.(bool)
		if ok {
			s.uniqueItems = &b
		}
	case "uniqueKeys":
		s.uniqueKeys = stringsOf(v)
	case "enum":
		s.enum = nodesOf(v)
	case "enumCaseInsensitive":
		s.enumFold = nodesOf(v)
	case "const":
		s.constant = nodeOf(v)
	case "pattern":
		if text, ok := v.(string); ok {
			s.pattern = newPattern(text)
		}
	case "format":
		s.format, _ = v.(string)
	case "minimum":
		s.minimum = floatOf(v)
	case "maximum":
		s.maximum = floatOf(v)
	case "exclusiveMinimum":
		s.above = floatOf(v)
	case "exclusiveMaximum":
		s.below = floatOf(v)
	case "multipleOf":
		s.multipleOf = floatOf(v)
	case "cfnLint":
		if one, ok := v.(string); ok {
			s.named = []string{one}
		} else {
			s.named = stringsOf(v)
		}
	case "message":
		m, _ := v.(map[string]any)
		s.message = make(map[string]string, len(m))
		for name, text := range m {
			s.message[name], _ = text.(string)
		}
	case "cfnContext":
		s.context = c.contextOf(v, base)
	case "dynamicValidation":
		m, _ := v.(map[string]any)
		d := &dynamicSchema{}
		d.context, _ = m["context"].(string)
		d.transform, _ = m["transformCheck"].(string)
		d.path, _ = m["pathCheck"].(string)
		s.dynamic = d
	case "cfnGather":
		s.gather = gatherOf(v)
	case "cfnUnresolved":
		s.unresolved = true
	}
}

func (c *compiler) contextOf(v any, base string) *contextSchema {
	m, _ := v.(map[string]any)
	ctx := &contextSchema{schema: c.schema(m["schema"], base), pseudo: stringsOf(m["pseudoParameters"])}
	if f, ok := m["functions"]; ok {
		ctx.hasFunctions = true
		if ref, ok := f.(map[string]any); ok {
			pointer, _ := ref["$ref"].(string)
			f, _ = lookup(c.root, strings.TrimPrefix(pointer, "#"))
		}
		for _, name := range stringsOf(f) {
			ctx.functions |= functionBit(name)
		}
	}
	if refs, ok := m["references"]; ok {
		ctx.noResources = !slices.Contains(stringsOf(refs), "Resources")
	}
	return ctx
}

func gatherOf(v any) *gatherSchema {
	m, _ := v.(map[string]any)
	g := &gatherSchema{raw: m["schema"]}
	specs, _ := m["gather"].(map[string]any)
	for name, spec := range specs {
		sm, _ := spec.(map[string]any)
		e := gatherEntry{name: name}
		if ref, ok := sm["reference"].(string); ok {
			e.reference = strings.Split(strings.Trim(ref, "/"), "/")
		}
		if f, ok := sm["filter"].(map[string]any); ok {
			e.filterType, _ = f["type"].(string)
		}
		props, _ := sm["properties"].(map[string]any)
		for key, p := range props {
			gp := gatherProperty{name: key}
			switch x := p.(type) {
			case string:
				gp.path, gp.isType = x, x == "$type"
			case map[string]any:
				gp.path, _ = x["path"].(string)
				if d, ok := x["default"]; ok {
					gp.fallback = nodeOf(d)
				}
			}
			e.properties = append(e.properties, gp)
		}
		g.entries = append(g.entries, e)
	}
	slices.SortFunc(g.entries, func(a, b gatherEntry) int { return strings.Compare(a.name, b.name) })
	return g
}
