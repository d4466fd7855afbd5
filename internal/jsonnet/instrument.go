package jsonnet

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"
	"github.com/google/go-jsonnet/formatter"
	"github.com/google/go-jsonnet/toolutils"
)

// tell is the hidden field in which an object tells where its fields were
// written: name → [place, places of the elements…]; "" is the object itself.
const tell = "__refline_where__"

// instrument adds the field to every object literal and comprehension of a
// source. What cannot be rewritten is returned as it is.
func instrument(name string, src []byte) []byte {
	if !slices.ContainsFunc([]string{".jsonnet", ".libsonnet", ".json", ">"}, func(ext string) bool { return strings.HasSuffix(name, ext) }) {
		return src
	}
	root, _, err := formatter.SnippetToRawAST(name, string(src))
	if err != nil {
		return src
	}
	w := &writer{name: name, src: string(src), lines: lineStarts(string(src)), seen: map[ast.Node]bool{}, braced: map[ast.Node]bool{}}
	w.walk(root)
	out := w.apply()
	if _, err := gojsonnet.SnippetToAST(name, out); err != nil {
		return src
	}
	return []byte(out)
}

type insertion struct {
	at   int
	text string
}

type writer struct {
	name   string
	src    string
	lines  []int // the offset of each line
	edits  []insertion
	seen   map[ast.Node]bool
	braced map[ast.Node]bool // objects that follow an expression: f { … }
}

func lineStarts(src string) []int {
	starts := []int{0}
	for i := range len(src) {
		if src[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (w *writer) offset(l ast.Location) int { return w.lines[l.Line-1] + l.Column - 1 }

func (w *writer) text(l *ast.LocationRange) string { return w.src[w.offset(l.Begin):w.offset(l.End)] }

// place is "file:line:column", the column in characters.
func (w *writer) place(l ast.Location) string {
	line := w.src[w.lines[l.Line-1]:]
	column := utf8.RuneCountInString(line[:min(max(l.Column-1, 0), len(line))]) + 1
	return w.name + ":" + strconv.Itoa(l.Line) + ":" + strconv.Itoa(column)
}

func (w *writer) apply() string {
	slices.SortStableFunc(w.edits, func(a, b insertion) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	last := 0
	for _, e := range w.edits {
		b.WriteString(w.src[last:e.at])
		b.WriteString(e.text)
		last = e.at
	}
	b.WriteString(w.src[last:])
	return b.String()
}

func (w *writer) walk(n ast.Node) {
	if n == nil || w.seen[n] {
		return
	}
	w.seen[n] = true
	switch o := n.(type) {
	case *ast.Object:
		fields := w.fields(o.Fields, "["+quote(tell)+"]: "+quote([]string{w.place(o.Loc().Begin)})+", ")
		w.edits = append(w.edits, insertion{w.offset(o.Loc().Begin) + 1, " " + tell + "+:: { " + fields + "}, "})
	case *ast.ObjectComp:
		w.comprehension(o)
	case *ast.Index:
		if std, ok := carries(o); ok {
			w.edits = append(w.edits, insertion{w.offset(std.Loc().Begin), "("}, insertion{w.offset(std.Loc().End), " + import " + quote(carrier) + ")"})
		}
	case *ast.ImportStr:
		w.importText(o)
	case *ast.ApplyBrace:
		w.braced[o.Right] = true
		if left, ok := o.Left.(*ast.ObjectComp); ok {
			w.braced[left] = true
		}
	}
	for _, c := range children(n) {
		w.walk(c)
	}
}

// importText marks an importstr as one for the text as it is.
func (w *writer) importText(o *ast.ImportStr) {
	quoted := o.File.Loc()
	begin := w.offset(quoted.Begin)
	switch text := w.text(quoted); {
	case strings.HasPrefix(text, "@"):
		begin += len("@'")
	case strings.HasPrefix(text, "'"), strings.HasPrefix(text, `"`):
		begin += len("'")
	default:
		return
	}
	w.edits = append(w.edits, insertion{begin, textPrefix})
}

// comprehension turns { [k]: v for … } into ({ … } + { tell+:: { [k]: place for … } }).
// One that follows an expression must stay a pair of braces and is left out.
func (w *writer) comprehension(o *ast.ObjectComp) {
	fields := strings.TrimSuffix(w.fields(o.Fields, ""), ", ")
	if fields == "" || w.braced[o] {
		return
	}
	last := o.Fields[len(o.Fields)-1]
	spec := strings.TrimLeft(w.src[w.offset(last.LocRange.End):w.offset(o.Loc().End)], ", \t\r\n")
	w.edits = append(w.edits, insertion{w.offset(o.Loc().Begin), "("},
		insertion{w.offset(o.Loc().End), " + { " + tell + "+:: { " + fields + " " + spec + " })"})
}

func (w *writer) fields(fields ast.ObjectFields, first string) string {
	var b strings.Builder
	b.WriteString(first)
	locals := map[ast.Identifier]bool{}
	for _, f := range fields {
		if f.Kind == ast.ObjectLocal && f.Id != nil {
			locals[*f.Id] = true
		}
	}
	for _, f := range fields {
		if f.Hide == ast.ObjectFieldHidden || f.LocRange.Begin.Line == 0 || f.Method != nil {
			continue
		}
		name := ""
		switch f.Kind {
		case ast.ObjectFieldID:
			name = quote(string(*f.Id))
		case ast.ObjectFieldStr, ast.ObjectFieldExpr:
			if movable(f.Expr1, locals) {
				name = w.text(f.Expr1.Loc())
			}
		}
		if name != "" {
			b.WriteString("[" + name + "]: " + quote(w.places(f)) + ", ")
		}
	}
	return b.String()
}

// places gives where a field and, of a literal array, its elements are.
func (w *writer) places(f ast.ObjectField) []string {
	begin := f.LocRange.Begin
	if f.Expr1 != nil && f.Kind == ast.ObjectFieldStr {
		begin = f.Expr1.Loc().Begin
	}
	out := []string{w.place(begin)}
	list, ok := f.Expr2.(*ast.Array)
	if !ok || f.SuperSugar {
		return out
	}
	for _, e := range list.Elements {
		out = append(out, w.place(e.Expr.Loc().Begin))
	}
	return out
}

// movable reports whether the expression of a field's name means the same
// inside another object: self and the object's locals would not.
func movable(n ast.Node, locals map[ast.Identifier]bool) bool {
	switch v := n.(type) {
	case nil:
		return true
	case *ast.Self, *ast.SuperIndex, *ast.InSuper:
		return false
	case *ast.Var:
		return !locals[v.Id]
	}
	return !slices.ContainsFunc(children(n), func(c ast.Node) bool { return !movable(c, locals) })
}

// children are those of a node before desugaring; the library's own list leaves
// out what stands before a dot.
func children(n ast.Node) []ast.Node {
	if dot, ok := n.(*ast.Index); ok && dot.Id != nil {
		return []ast.Node{dot.Target}
	}
	return toolutils.Children(n)
}

func quote(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return `""`
	}
	return string(out)
}
