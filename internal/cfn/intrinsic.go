package cfn

import "strings"

// Function returns the name and the argument of an intrinsic function: a map
// with one key, which is Ref, Condition or begins with Fn::.
func (n *Node) Function() (name string, arg *Node, ok bool) {
	if n == nil || n.Kind != Map || len(n.Fields) != 1 {
		return "", nil, false
	}
	f := n.Fields[0]
	if f.Name == "Ref" || f.Name == "Condition" || strings.HasPrefix(f.Name, "Fn::") {
		return f.Name, f.Value, true
	}
	return "", nil, false
}

// IsNoValue reports whether n is {Ref: AWS::NoValue}.
func (n *Node) IsNoValue() bool {
	name, arg, ok := n.Function()
	return ok && name == "Ref" && arg.IsString() && arg.Text == "AWS::NoValue"
}

// Variable is a ${name} of Fn::Sub.
type Variable struct {
	Name       string // without the braces and the space in them
	Begin, End int    // the offsets of ${ and of what follows }
}

// Variables finds the variables of a text of Fn::Sub. ${!literal} is none.
func Variables(text string) []Variable {
	var out []Variable
	for at := 0; ; {
		i := strings.Index(text[at:], "${")
		if i < 0 {
			return out
		}
		begin := at + i
		j := strings.IndexByte(text[begin:], '}')
		if j < 0 {
			return out
		}
		end := begin + j + 1
		name := strings.TrimSpace(text[begin+2 : end-1])
		at = end
		if name != "" && name[0] != '!' {
			out = append(out, Variable{name, begin, end})
		}
	}
}

// HasTransform reports whether the template names a transform.
func (t *Template) HasTransform(name string) bool {
	n := t.Root.Get("Transform")
	if n == nil {
		return false
	}
	for _, x := range append([]*Node{n}, n.Items...) {
		if x.IsString() && x.Text == name || x.Get("Name").IsString() && x.Get("Name").Text == name {
			return true
		}
	}
	return false
}

// The transforms that this package's users ask for.
const (
	LanguageExtensions = "AWS::LanguageExtensions"
	Serverless         = "AWS::Serverless-2016-10-31"
)
