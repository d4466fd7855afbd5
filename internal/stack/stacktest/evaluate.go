package stacktest

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// knownAfterApply stands in for a value that is unknown before the change.
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
		return sc.either(arg)
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
		return pick(got)
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
