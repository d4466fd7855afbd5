package lint

import (
	"strings"

	"refline/internal/cfn"
)

// fnSet is a set of intrinsic functions.
type fnSet uint32

const (
	fnRef fnSet = 1 << iota
	fnBase64
	fnCidr
	fnFindInMap
	fnForEach
	fnGetAtt
	fnGetAZs
	fnGetStackOutput
	fnIf
	fnImportValue
	fnJoin
	fnLength
	fnSelect
	fnSplit
	fnSub
	fnToJSONString
	fnTransform
	fnContains
	fnCondition
	fnAnd
	fnOr
	fnNot
	fnEquals
	fnEachMemberEquals
	fnEachMemberIn
	fnRefAll
	fnValueOf
	fnValueOfAll

	// fnValues are those that are allowed as a value of a resource.
	fnValues = fnRef | fnBase64 | fnCidr | fnContains | fnFindInMap | fnForEach | fnGetAtt | fnGetAZs | fnGetStackOutput |
		fnIf | fnImportValue | fnJoin | fnLength | fnSelect | fnSplit | fnSub | fnToJSONString | fnTransform
	fnConditions = fnAnd | fnOr | fnNot | fnEquals
	fnRules      = fnConditions | fnContains | fnEachMemberEquals | fnEachMemberIn | fnRefAll | fnValueOf | fnValueOfAll
)

func functionBit(name string) fnSet {
	switch name {
	case "Ref":
		return fnRef
	case "Condition":
		return fnCondition
	}
	if !strings.HasPrefix(name, "Fn::") {
		return 0
	}
	switch name[4:] {
	case "Base64":
		return fnBase64
	case "Cidr":
		return fnCidr
	case "FindInMap":
		return fnFindInMap
	case "GetAtt":
		return fnGetAtt
	case "GetAZs":
		return fnGetAZs
	case "GetStackOutput":
		return fnGetStackOutput
	case "If":
		return fnIf
	case "ImportValue":
		return fnImportValue
	case "Join":
		return fnJoin
	case "Length":
		return fnLength
	case "Select":
		return fnSelect
	case "Split":
		return fnSplit
	case "Sub":
		return fnSub
	case "ToJsonString":
		return fnToJSONString
	case "Transform":
		return fnTransform
	case "Contains":
		return fnContains
	case "And":
		return fnAnd
	case "Or":
		return fnOr
	case "Not":
		return fnNot
	case "Equals":
		return fnEquals
	case "EachMemberEquals":
		return fnEachMemberEquals
	case "EachMemberIn":
		return fnEachMemberIn
	case "RefAll":
		return fnRefAll
	case "ValueOf":
		return fnValueOf
	case "ValueOfAll":
		return fnValueOfAll
	}
	if strings.HasPrefix(name, "Fn::ForEach::") {
		return fnForEach
	}
	return 0
}

// function returns n's function when it is one of those the scope allows.
func (sc *scope) function(n *cfn.Node) (fnSet, *cfn.Node) {
	if n.Kind != cfn.Map || len(n.Fields) != 1 {
		return 0, nil
	}
	bit := functionBit(n.Fields[0].Name) & sc.functions
	return bit, n.Fields[0].Value
}

// anyFunction is function, whatever the scope allows; not those of Rules.
func anyFunction(n *cfn.Node) (fnSet, *cfn.Node) {
	if n == nil || n.Kind != cfn.Map || len(n.Fields) != 1 {
		return 0, nil
	}
	bit := functionBit(n.Fields[0].Name) & (fnValues | fnConditions | fnCondition) &^ fnForEach
	return bit, n.Fields[0].Value
}

// scope is what holds at the place of the engine. It is never changed once
// shared: for another one, make a copy.
type scope struct {
	functions fnSet
	rules     *ruleset
	conds     *assumption
	refs      *reference // values that parameters have been given
	regions   []string
	origin    *step // of the value, when it comes from a parameter
	pseudo    []string

	strict        bool // types must be exact
	unknown       bool // a function cannot be decided: the value decides between branches
	keywords      bool // rules by generic path are asked
	below         bool // they are asked again one level down
	dynamic       bool // dynamic references are looked at
	silent        bool // only whether there is a problem matters, not which
	resolved      bool // the value is what a function resolved to
	fromParameter bool
	noPseudo      bool // pseudo parameters are not resolved
	noResources   bool // Ref may not name a resource

	resource *resourceType // of the properties that are checked
}

// reference is a value that a Ref has, here and below.
type reference struct {
	name  string
	value *cfn.Node
	next  *reference
}

func (r *reference) find(name string) *cfn.Node {
	for ; r != nil; r = r.next {
		if r.name == name {
			return r.value
		}
	}
	return nil
}

func (sc *scope) with(change func(*scope)) *scope {
	c := *sc
	change(&c)
	return &c
}
