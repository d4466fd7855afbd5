package lint

import (
	"strings"

	"refline/internal/cfn"
)

// typeSet is a set of JSON Schema's types.
type typeSet uint8

const (
	tArray typeSet = 1 << iota
	tBoolean
	tInteger
	tNumber
	tObject
	tString
	tNull
	tDate

	tAll    = tArray | tBoolean | tInteger | tNumber | tObject | tString
	tSingle = tBoolean | tInteger | tNumber | tString
)

var typeNames = [...]string{"array", "boolean", "integer", "number", "object", "string", "null", "date"}

func (t typeSet) String() string {
	var names []string
	for i, name := range typeNames {
		if t>>i&1 == 1 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// schema is a JSON Schema with the additions of cfn-lint's, compiled. A field
// that is nil or zero is a keyword that is not there.
type schema struct {
	never bool // the schema false
	// any is the schema true, or one without keywords.
	any bool

	ref   *schema
	types typeSet

	properties        map[string]*schema
	patternProperties []patternSchema
	additional        *schema
	propertyNames     *schema
	required          []string
	requiredOr        []string
	requiredXor       []string
	dependentRequired map[string][]string
	dependentExcluded map[string][]string
	dependencies      map[string]*schema
	minProperties     int
	maxProperties     int

	items          *schema
	prefixItems    []*schema
	contains       *schema
	minItems       int
	maxItems       int // -1 for none
	maxUniqueItems int
	uniqueItems    *bool
	uniqueKeys     []string

	enum       []*cfn.Node
	enumFold   []*cfn.Node
	constant   *cfn.Node
	pattern    *pattern
	format     string
	minLength  int
	maxLength  int // -1 for none
	minimum    *float64
	maximum    *float64
	above      *float64 // exclusiveMinimum
	below      *float64
	multipleOf *float64

	allOf, anyOf, oneOf []*schema
	not                 *schema
	cond, then, other   *schema // if, then, else

	named      []string // cfnLint: rules by the names they are registered under
	message    map[string]string
	context    *contextSchema
	dynamic    *dynamicSchema
	gather     *gatherSchema
	unresolved bool

	constrains bool // has a keyword that says something of a resolved value
	grouped    bool // has a keyword that counts what conditions leave
	// plain is the schema without those, nil when it has none.
	plain *schema
}

// withoutCounting is the schema for the inside of a function: its counting
// keywords were checked at the function.
func (s *schema) withoutCounting() *schema {
	if s.plain != nil {
		return s.plain
	}
	return s
}

type patternSchema struct {
	pattern *pattern
	schema  *schema
}

// contextSchema is cfnContext: other functions are allowed inside.
type contextSchema struct {
	functions    fnSet
	hasFunctions bool
	pseudo       []string
	noResources  bool
	schema       *schema
}

// dynamicSchema is dynamicValidation.
type dynamicSchema struct{ context, transform, path string }

// gatherSchema is cfnGather: values of this and of other resources together.
type gatherSchema struct {
	entries []gatherEntry
	raw     any // compiled once its $data are known
}

type gatherEntry struct {
	name       string
	reference  []string
	filterType string
	properties []gatherProperty
}

type gatherProperty struct {
	name, path string
	isType     bool
	fallback   *cfn.Node
}

func (c *compiler) schema(v any, base string) *schema {
	s := &schema{maxItems: -1, maxLength: -1, maxProperties: -1}
	c.fill(s, v, base)
	return s
}
