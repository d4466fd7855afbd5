package stacktest

import "strings"

// mention lists what an expression names.
type mention struct {
	refs, attributes, conditions []string // attributes as Resource.Attribute
}

func mentions(v any) mention {
	var m mention
	m.walk(v)
	return m
}

func (m *mention) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			m.walk(item)
		}
	case map[string]any:
		name, arg, ok := intrinsic(v)
		switch {
		case ok && name == "Ref":
			m.refs = append(m.refs, text(arg))
			return
		case ok && name == "GetAtt":
			resource, attribute := getAtt(arg)
			m.attributes = append(m.attributes, resource+"."+attribute)
			return
		case ok && name == "If":
			if args, ok := arg.([]any); ok && len(args) > 0 {
				m.conditions = append(m.conditions, text(args[0]))
			}
		case ok && name == "Sub":
			m.walkSub(arg)
		}
		for _, k := range sortedKeys(v) {
			m.walk(v[k])
		}
	}
}

func (m *mention) walkSub(arg any) {
	format, _ := arg.(string)
	local := map[string]any{}
	if args, ok := arg.([]any); ok && len(args) == 2 {
		format, _ = args[0].(string)
		local, _ = args[1].(map[string]any)
	}
	for {
		_, rest, found := strings.Cut(format, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return
		}
		format = after
		name = strings.TrimSpace(name)
		if _, isLocal := local[name]; isLocal || strings.HasPrefix(name, "!") {
			continue
		}
		if strings.Contains(name, ".") {
			m.attributes = append(m.attributes, name)
		} else {
			m.refs = append(m.refs, name)
		}
	}
}
