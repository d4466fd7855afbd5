package stacktest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// knownAfterApply stands for a value that nobody knows before the change.
const knownAfterApply = "{{changeSet:KNOWN_AFTER_APPLY}}"

// absent is what AWS::NoValue evaluates to.
type absent struct{}

// scope is what an expression may look at.
type scope struct {
	template   *template
	identity   identity
	name, id   string // of the stack
	parameters map[string]string
	reference  func(resource string) string
	attribute  func(resource, attribute string) string
	export     func(name string) (string, bool)
	truths     map[string]*bool // of conditions; nil while one is being found
}

// value evaluates an expression. Scalars come out as strings.
func (sc *scope) value(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		return sc.list(v)
	case map[string]any:
		if name, arg, ok := intrinsic(v); ok {
			return sc.call(name, arg)
		}
		out := map[string]any{}
		for _, k := range sortedKeys(v) {
			got, err := sc.value(v[k])
			if err != nil {
				return nil, err
			}
			if got != (any)(absent{}) {
				out[k] = got
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

func (sc *scope) list(v []any) ([]any, error) {
	out := []any{}
	for _, item := range v {
		got, err := sc.value(item)
		if err != nil {
			return nil, err
		}
		if got != (any)(absent{}) {
			out = append(out, got)
		}
	}
	return out, nil
}

// intrinsic recognises {"Ref": …} and {"Fn::…": …}.
func intrinsic(m map[string]any) (string, any, bool) {
	if len(m) != 1 {
		return "", nil, false
	}
	for k, arg := range m {
		if k == "Ref" || strings.HasPrefix(k, "Fn::") {
			return strings.TrimPrefix(k, "Fn::"), arg, true
		}
	}
	return "", nil, false
}

func (sc *scope) call(name string, arg any) (any, error) {
	switch name {
	case "Ref":
		s, _ := arg.(string)
		return sc.ref(s), nil
	case "GetAtt":
		resource, attribute := getAtt(arg)
		return sc.attribute(resource, attribute), nil
	case "If":
		return sc.choose(arg)
	case "Sub":
		return sc.substitute(arg)
	case "FindInMap":
		return sc.find(arg)
	case "Transform":
		return map[string]any{"Fn::Transform": arg}, nil
	}
	got, err := sc.value(arg)
	if err != nil {
		return nil, err
	}
	switch name {
	case "Join":
		return join(got)
	case "Split":
		return split(got)
	case "Select":
		return choose(got)
	case "Base64":
		s := text(got)
		if strings.Contains(s, knownAfterApply) {
			return knownAfterApply, nil
		}
		return base64.StdEncoding.EncodeToString([]byte(s)), nil
	case "GetAZs":
		region := text(got)
		if region == "" {
			region = sc.identity.region
		}
		return []any{region + "a", region + "b", region + "c"}, nil
	case "ImportValue":
		return sc.importValue(text(got)), nil
	case "Length":
		items, _ := got.([]any)
		return strconv.Itoa(len(items)), nil
	case "ToJsonString":
		return jsonText(got), nil
	case "Cidr":
		return sc.cidr(got)
	default:
		return nil, invalid("Template error: unsupported function Fn::%s", name)
	}
}

func (sc *scope) ref(name string) any {
	switch name {
	case "AWS::NoValue":
		return absent{}
	case "AWS::Region":
		return sc.identity.region
	case "AWS::AccountId":
		return sc.identity.account
	case "AWS::Partition":
		return partition(sc.identity.region)
	case "AWS::StackName":
		return sc.name
	case "AWS::StackId":
		return sc.id
	case "AWS::URLSuffix":
		return "amazonaws.com"
	case "AWS::NotificationARNs":
		return []any{}
	}
	if p := sc.template.parameters[name]; p != nil {
		value := sc.parameters[name]
		if strings.HasPrefix(p.kind, "List<") || p.kind == "CommaDelimitedList" {
			out := []any{}
			for _, item := range strings.Split(value, ",") {
				out = append(out, strings.TrimSpace(item))
			}
			return out
		}
		return value
	}
	return sc.reference(name)
}

func (sc *scope) importValue(name string) string {
	if v, ok := sc.export(name); ok {
		return v
	}
	return knownAfterApply
}

func (sc *scope) choose(arg any) (any, error) {
	args, _ := arg.([]any)
	if len(args) != 3 {
		return nil, invalid("Template error: Fn::If requires a list argument with three elements")
	}
	name, _ := args[0].(string)
	yes, err := sc.condition(name)
	if err != nil {
		return nil, err
	}
	if yes {
		return sc.value(args[1])
	}
	return sc.value(args[2])
}

func (sc *scope) condition(name string) (bool, error) {
	expr, ok := sc.template.conditions[name]
	if !ok {
		return false, invalid("Template error: unresolved condition dependency %s in Fn::If", name)
	}
	if known, begun := sc.truths[name]; begun {
		if known == nil {
			return false, invalid("Circular dependency between conditions: [%s]", name)
		}
		return *known, nil
	}
	if sc.truths == nil {
		sc.truths = map[string]*bool{}
	}
	sc.truths[name] = nil
	yes, err := sc.truth(expr)
	if err == nil {
		sc.truths[name] = &yes
	}
	return yes, err
}

func (sc *scope) truth(expr any) (bool, error) {
	m, _ := expr.(map[string]any)
	if name, ok := m["Condition"].(string); ok {
		return sc.condition(name)
	}
	name, arg, ok := intrinsic(m)
	args, _ := arg.([]any)
	if !ok || len(args) == 0 {
		return false, invalid("Template format error: Every Conditions member must be a condition function")
	}
	if name == "Equals" {
		got, err := sc.list(args)
		if err != nil || len(got) != 2 {
			return false, err
		}
		return jsonText(got[0]) == jsonText(got[1]), nil
	}
	for _, a := range args {
		yes, err := sc.truth(a)
		switch {
		case err != nil:
			return false, err
		case name == "Not":
			return !yes, nil
		case name == "And" && !yes:
			return false, nil
		case name == "Or" && yes:
			return true, nil
		}
	}
	return name == "And", nil
}

func (sc *scope) substitute(arg any) (any, error) {
	format, _ := arg.(string)
	local := map[string]any{}
	if args, ok := arg.([]any); ok && len(args) == 2 {
		format, _ = args[0].(string)
		local, _ = args[1].(map[string]any)
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(format, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, invalid("Template error: String: value must match ${...} in Fn::Sub")
		}
		format = after
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			out.WriteString("${" + literal + "}")
			continue
		}
		got, err := sc.variable(strings.TrimSpace(name), local)
		if err != nil {
			return nil, err
		}
		out.WriteString(text(got))
	}
}

func (sc *scope) variable(name string, local map[string]any) (any, error) {
	if expr, ok := local[name]; ok {
		return sc.value(expr)
	}
	if resource, attribute, ok := strings.Cut(name, "."); ok {
		return sc.attribute(resource, attribute), nil
	}
	return sc.ref(name), nil
}

func (sc *scope) find(arg any) (any, error) {
	args, _ := arg.([]any)
	if len(args) < 3 {
		return nil, invalid("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
	}
	keys, err := sc.list(args[:3])
	if err != nil {
		return nil, err
	}
	var at any = sc.template.mappings
	for _, key := range keys {
		m, _ := at.(map[string]any)
		at = m[text(key)]
	}
	if at != nil {
		return at, nil
	}
	if len(args) == 4 {
		if m, ok := args[3].(map[string]any); ok && m["DefaultValue"] != nil {
			return sc.value(m["DefaultValue"])
		}
	}
	return nil, invalid("Template error: Unable to get mapping for %s::%s::%s", text(keys[0]), text(keys[1]), text(keys[2]))
}

// cidr cuts subnets of 2^bits addresses out of an IPv4 block.
func (sc *scope) cidr(arg any) (any, error) {
	args, _ := arg.([]any)
	if len(args) < 2 {
		return nil, invalid("Template error: Fn::Cidr requires at least two arguments")
	}
	var a, b, c, d, prefix int
	if _, err := fmt.Sscanf(text(args[0]), "%d.%d.%d.%d/%d", &a, &b, &c, &d, &prefix); err != nil {
		return []any{knownAfterApply}, nil
	}
	count, _ := strconv.Atoi(text(args[1]))
	bits := 8
	if len(args) > 2 {
		bits, _ = strconv.Atoi(text(args[2]))
	}
	base := a<<24 | b<<16 | c<<8 | d
	if count < 1 || count > 256 || bits < 1 || bits > 32 {
		return nil, invalid("Template error: Fn::Cidr takes a count from 1 to 256 and 1 to 32 bits")
	}
	out := []any{}
	for i := range count {
		at := base + i<<bits
		out = append(out, fmt.Sprintf("%d.%d.%d.%d/%d", at>>24&255, at>>16&255, at>>8&255, at&255, 32-bits))
	}
	return out, nil
}

func join(v any) (any, error) {
	args, _ := v.([]any)
	if len(args) == 2 {
		sep, isText := args[0].(string)
		items, isList := args[1].([]any)
		if isText && isList {
			parts := make([]string, 0, len(items))
			for _, item := range items {
				parts = append(parts, text(item))
			}
			return strings.Join(parts, sep), nil
		}
		if isText && args[1] == knownAfterApply {
			return knownAfterApply, nil
		}
	}
	return nil, invalid("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
}

func split(v any) (any, error) {
	args, _ := v.([]any)
	if len(args) != 2 {
		return nil, invalid("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.")
	}
	out := []any{}
	for _, part := range strings.Split(text(args[1]), text(args[0])) {
		out = append(out, part)
	}
	return out, nil
}

func choose(v any) (any, error) {
	wrong := invalid("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
	args, _ := v.([]any)
	if len(args) != 2 {
		return nil, wrong
	}
	index, err := strconv.Atoi(text(args[0]))
	items, isList := args[1].([]any)
	switch {
	case args[1] == knownAfterApply:
		return knownAfterApply, nil
	case err != nil || !isList:
		return nil, wrong
	case index < 0 || index >= len(items):
		if slices.Contains(items, any(knownAfterApply)) {
			return knownAfterApply, nil
		}
		return nil, invalid("Template error: Fn::Select cannot select nonexistent value at index %d", index)
	}
	return items[index], nil
}

func getAtt(arg any) (resource, attribute string) {
	switch arg := arg.(type) {
	case string:
		resource, attribute, _ = strings.Cut(arg, ".")
	case []any:
		if parts := stringList(arg); len(parts) > 0 {
			return parts[0], strings.Join(parts[1:], ".")
		}
	}
	return resource, attribute
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil, absent:
		return ""
	default:
		return jsonText(v)
	}
}

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
