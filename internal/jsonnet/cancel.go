package jsonnet

import (
	"cmp"
	"slices"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"
	"github.com/google/go-jsonnet/toolutils"

	"refline/internal/diag"
)

// goOn is the file that every function imports before its body: the machine
// has no way to be stopped, but it asks its importer, which can refuse.
const goOn = "<go on>"

// prepare loads what in evaluates and all that it imports, refuses what would
// overflow the stack, and puts the question to the importer before each
// function's body. It changes neither the result nor the stack of an error.
func prepare(vm *gojsonnet.VM, imp *importer, in Input) error {
	imp.files[goOn] = entry{gojsonnet.MakeContents("true"), true}
	l := loader{vm: vm, imp: imp, files: map[string]bool{}, done: map[ast.Node]bool{}}
	for _, b := range slices.Concat(in.External, in.Arguments) {
		if b.Code {
			l.snippet(b.Name, b.Value)
		}
	}
	if in.File == "" {
		l.snippet(in.Name, in.Snippet)
		return l.err
	}
	if _, _, err := imp.Import("", in.File); err != nil {
		return err
	}
	l.load("", in.File)
	return l.err
}

type loader struct {
	vm    *gojsonnet.VM
	imp   *importer
	files map[string]bool
	done  map[ast.Node]bool
	err   error // a source that must not be parsed
}

// snippet walks code that the machine will parse for itself.
func (l *loader) snippet(name, code string) {
	if l.err = cmp.Or(l.err, tooDeep(name, code)); l.err != nil {
		return
	}
	if node, err := gojsonnet.SnippetToAST(name, code); err == nil {
		l.walk("", node)
	}
}

// load reads and parses an import. One that fails is an error only if the
// program comes to it, so it is passed over here.
func (l *loader) load(from, name string) {
	contents, at, err := l.imp.Import(from, name)
	if l.err != nil || err != nil || l.files[at] {
		return
	}
	l.files[at] = true
	if l.err = tooDeep(at, contents.String()); l.err != nil {
		return
	}
	if node, _, err := l.vm.ImportAST(from, name); err == nil {
		l.walk(at, node)
	}
}

func (l *loader) walk(at string, node ast.Node) {
	if node == nil || l.done[node] {
		return
	}
	l.done[node] = true
	switch n := node.(type) {
	case *ast.Import:
		l.load(at, n.File.Value)
		return
	case *ast.Function:
		body := n.Body
		l.walk(at, body)
		base := ast.NewNodeBase(*body.Loc(), nil, body.FreeVariables())
		base.Ctx = body.Context()
		ask := &ast.Import{File: &ast.LiteralString{Value: goOn}}
		ask.LocRange, ask.Ctx = base.LocRange, base.Ctx
		n.Body = &ast.Conditional{NodeBase: base, Cond: ask, BranchTrue: body, BranchFalse: body}
		for _, p := range n.Parameters {
			l.walk(at, p.DefaultArg)
		}
		return
	}
	for _, c := range toolutils.Children(node) {
		l.walk(at, c)
	}
}

// heaviest is how deep a source may nest, in words and signs. The parser
// recurses, and a stack that overflows ends the whole program; it does so at
// several times this.
const heaviest = 100_000

// tooDeep refuses a source that could overflow the stack. It adds up, over the
// brackets that are open, the words and signs since the last comma, without
// regard for strings and comments: an upper bound of the nesting.
func tooDeep(name, src string) error {
	const bracket = 10
	open, sum, line, word := []int{0}, 0, 1, false
	for i := range len(src) {
		c, weight := src[i], 0
		inWord := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
		switch {
		case c == '\n':
			line++
		case c == '(' || c == '[' || c == '{':
			open = append(open, 0)
			weight = bracket
		case c == ')' || c == ']' || c == '}':
			sum -= open[len(open)-1]
			open = open[:len(open)-1]
			if len(open) == 0 {
				open = append(open, 0)
			}
			weight = 1
		case c == ',':
			sum -= open[len(open)-1]
			open[len(open)-1] = 0
		case inWord && !word, !inWord && c > ' ':
			weight = 1
		}
		word = inWord
		open[len(open)-1] += weight
		if sum += weight; sum > heaviest {
			return diag.List{{Place: diag.Place{File: name, Line: line}, Level: diag.Error,
				Message: "too much is nested in each other here"}}.Err()
		}
	}
	return nil
}
