package lint

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"refline/internal/cfn"
)

// kindTypes are the types of JSON Schema that a value has.
func kindTypes(n *cfn.Node) typeSet {
	switch n.Kind {
	case cfn.Bool:
		return tBoolean
	case cfn.Int:
		return tInteger | tNumber
	case cfn.Float:
		if f, ok := n.Number(); ok && f == float64(int64(f)) {
			return tInteger | tNumber
		}
		return tNumber
	case cfn.String:
		return tString
	case cfn.List:
		return tArray
	case cfn.Map:
		return tObject
	default:
		return tNull
	}
}

// fits reports whether a value is of one of the types, as CloudFormation sees
// it: "1" is a number, and a number a text, unless types are strict.
func fits(sc *scope, types typeSet, n *cfn.Node) bool {
	have := kindTypes(n)
	if have&types != 0 {
		return true
	}
	if sc.strict && !sc.resolved || have&(tObject|tArray|tNull) != 0 {
		return false
	}
	switch {
	case types&tString != 0:
		return true
	case have == tBoolean:
		return false
	case types&tBoolean != 0 && n.Kind == cfn.String && isBooleanText(n.Text):
		return true
	case types&tNumber != 0:
		_, err := strconv.ParseFloat(strings.TrimSpace(n.Text), 64)
		return err == nil
	case types&tInteger != 0:
		if n.Kind != cfn.String {
			return true
		}
		_, err := strconv.ParseInt(strings.TrimSpace(n.Text), 10, 64)
		return err == nil
	}
	return false
}

func isBooleanText(s string) bool {
	switch s {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return true
	}
	return false
}

// length checks how many characters a value has.
func (e *engine) length(sc *scope, at place, s *schema, n *cfn.Node, length int, out *problems) {
	switch {
	case length < s.minLength:
		e.report(sc, at, s, n, "minLength", "at least "+counted(s.minLength, "character")+", found "+strconv.Itoa(length), out)
	case s.maxLength >= 0 && length > s.maxLength:
		e.report(sc, at, s, n, "maxLength", "at most "+counted(s.maxLength, "character")+", found "+strconv.Itoa(length), out)
	case s.maxLength > 0 && near(length, s.maxLength):
		e.nearLimit(sc, at, "maxLength", counted(length, "character")+", near the "+strconv.Itoa(s.maxLength)+" that are allowed here", out)
	}
}

// written is how many characters a value has as JSON without spaces, which is
// how a policy is measured. Functions count as nothing but what Fn::Sub says.
func written(n *cfn.Node) int {
	const quotes, around = 2, 2
	switch n.Kind {
	case cfn.Map:
		if bit, arg := anyFunction(n); bit == fnSub {
			if arg.Kind == cfn.List && len(arg.Items) > 0 {
				arg = arg.Items[0]
			}
			length := quotes + utf8.RuneCountInString(arg.Text)
			for _, v := range cfn.Variables(arg.Text) {
				length -= v.End - v.Begin
			}
			return length
		} else if bit != 0 {
			return quotes
		}
		length := around + max(len(n.Fields)-1, 0)
		for _, f := range n.Fields {
			length += quotes + utf8.RuneCountInString(f.Name) + len(":") + written(f.Value)
		}
		return length
	case cfn.List:
		length := around + max(len(n.Items)-1, 0)
		for _, item := range n.Items {
			length += written(item)
		}
		return length
	case cfn.String:
		return quotes + utf8.RuneCountInString(n.Text)
	}
	return len(n.Text)
}

func (e *engine) scalar(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	if n.Kind == cfn.Null {
		return
	}
	if s.pattern != nil && !s.pattern.match(n.Text) && !e.patternExempt(n) {
		e.report(sc, at, s, n, "pattern", show(n)+" does not match "+s.pattern.text, out)
	}
	if s.format != "" {
		e.format(sc, at, s, n, out)
	}
	if n.Kind == cfn.String && (s.minLength > 0 || s.maxLength >= 0) {
		e.length(sc, at, s, n, utf8.RuneCountInString(n.Text), out)
	}
	if s.minimum == nil && s.maximum == nil && s.above == nil && s.below == nil && s.multipleOf == nil || n.Kind == cfn.Bool {
		return
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(n.Text), 64)
	if err != nil {
		return
	}
	for _, b := range []struct {
		keyword string
		bound   *float64
		bad     bool
		words   string
	}{
		{"minimum", s.minimum, s.minimum != nil && f < *s.minimum, "at least"},
		{"maximum", s.maximum, s.maximum != nil && f > *s.maximum, "at most"},
		{"exclusiveMinimum", s.above, s.above != nil && f <= *s.above, "more than"},
		{"exclusiveMaximum", s.below, s.below != nil && f >= *s.below, "less than"},
		{"multipleOf", s.multipleOf, s.multipleOf != nil && *s.multipleOf != 0 && f/(*s.multipleOf) != float64(int64(f/(*s.multipleOf))), "a multiple of"},
	} {
		if b.bad {
			e.report(sc, at, s, n, b.keyword, show(n)+" must be "+b.words+" "+strconv.FormatFloat(*b.bound, 'f', -1, 64), out)
		}
	}
}

// values checks the keywords that name values.
func (e *engine) values(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	if sc.silent && s.enumFold == nil {
		return // they have been looked at
	}
	if s.enum != nil && !oneOfNodes(n, s.enum, false) {
		e.report(sc, at, s, n, "enum", show(n)+" is not one of "+listed(s.enum, n), out)
	}
	if s.enumFold != nil && !oneOfNodes(n, s.enumFold, true) {
		e.report(sc, at, s, n, "enumCaseInsensitive", show(n)+" is not one of "+listed(s.enumFold, n), out)
	}
	if s.constant != nil && !same(n, s.constant) {
		e.report(sc, at, s, n, "const", show(n)+" must be "+show(s.constant), out)
	}
}
