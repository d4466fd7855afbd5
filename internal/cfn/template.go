package cfn

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
)

// Path leads from the root of a template to a value: keys, and list indexes as
// decimal numbers.
type Path []string

// String joins the steps with slashes: Resources/Bucket/Properties.
func (p Path) String() string { return strings.Join(p, "/") }

// Pointer is the path as a JSON pointer.
func (p Path) Pointer() string {
	var b strings.Builder
	for _, s := range p {
		b.WriteByte('/')
		b.WriteString(jsonnet.Escape(s))
	}
	return b.String()
}

// Template is a template that was read.
type Template struct {
	File string // as the user named it
	Root *Node
	// Size is the number of bytes that CloudFormation gets: of the file, or of
	// what Jsonnet renders.
	Size int
	// Sources are the files it was made of.
	Sources []string
	// Aliases are those of YAML, which are written out in the tree.
	Aliases []Alias

	locate func() jsonnet.Locations // nil when the places are those of the nodes
	input  jsonnet.Input            // what it was read by; Read is nil for a text alone
}

// Alias is *name in a YAML template.
type Alias struct {
	Name   string
	Pos    Pos
	Value  *Node // what it stands for; for one that is merged (<<), the map it goes into
	Merged bool
}

// Place returns where the value at a path was written: its key when it has one (the
// function of a short form has that of the value it stands for). When there is
// no such value it is the nearest parent's.
func (t *Template) Place(to Path) diag.Place {
	if t.locate != nil {
		return t.locate().At(to.Pointer())
	}
	pos, key := t.Root.Pos, t.Root.Pos
	n := t.Root
	for _, step := range to {
		if n.Kind == List {
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(n.Items) {
				break
			}
			n = n.Items[i]
			if pos = n.Pos; pos.Line == 0 {
				pos = key
			}
			continue
		}
		i := n.find(step)
		if i < 0 {
			break
		}
		if p := n.Fields[i].Pos; p.Line > 0 {
			key = p
		}
		pos, n = key, n.Fields[i].Value
	}
	return diag.Place{File: t.File, Line: pos.Line, Column: pos.Column}
}

// At returns the value at a path, nil when there is none.
func (t *Template) At(to Path) *Node {
	n := t.Root
	for _, step := range to {
		switch {
		case n == nil:
			return nil
		case n.Kind == List:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(n.Items) {
				return nil
			}
			n = n.Items[i]
		default:
			n = n.Get(step)
		}
	}
	return n
}

// Load reads the template that in names: Jsonnet by the ending of the file
// (.jsonnet, .libsonnet), else JSON or YAML. A snippet is Jsonnet. Errors are
// those of [Parse] and of jsonnet.Evaluate; a missing file is NotFound.
func Load(ctx context.Context, in jsonnet.Input) (*Template, error) {
	if in.File == "" || IsJsonnet(in.File) {
		return FromJsonnet(ctx, in)
	}
	read := in.Read
	if read == nil {
		read = os.ReadFile
	}
	src, err := read(in.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errs.E(errs.NotFound, "%s: no such file", in.File)
	} else if err != nil {
		return nil, errs.E(errs.Unavailable, "read %s: %w", in.File, err)
	}
	t, err := Parse(in.File, src)
	if err != nil {
		return nil, err
	}
	t.input = in
	t.input.Read = read
	return t, nil
}

// Beside reads the template that a relative path in t names, as of a nested
// stack; Jsonnet is evaluated with what t was. A path that is absolute or a URL is NotFound.
func (t *Template) Beside(ctx context.Context, name string) (*Template, error) {
	if t.input.Read == nil || strings.Contains(name, "://") || filepath.IsAbs(name) || strings.Contains(name, "{{") {
		return nil, errs.E(errs.NotFound, "%s is not a file beside %s", name, t.File)
	}
	file := path.Join(path.Dir(filepath.ToSlash(t.File)), name)
	in := t.input
	in.File, in.Snippet, in.Name = file, "", ""
	return Load(ctx, in)
}

// IsJsonnet reports whether a file is Jsonnet by its name.
func IsJsonnet(file string) bool {
	return slices.Contains([]string{".jsonnet", ".libsonnet"}, strings.ToLower(filepath.Ext(file)))
}

// FromJsonnet renders a template. Its places are those of the Jsonnet files;
// they are found out when the first is asked for.
func FromJsonnet(ctx context.Context, in jsonnet.Input) (*Template, error) {
	in.Output, in.NoTrailingNewline, in.DataPlaces = jsonnet.JSON, false, dataPlaces
	res, err := jsonnet.Evaluate(ctx, in)
	if err != nil {
		return nil, err
	}
	name := in.File
	if name == "" {
		name = in.Name
	}
	t, err := Parse(name, []byte(res.Text))
	if err != nil {
		return nil, err
	}
	t.Sources = res.Sources
	if t.input = in; t.input.Read == nil {
		t.input.Read = os.ReadFile
	}
	t.locate = sync.OnceValue(func() jsonnet.Locations {
		// An error means that ctx ended: the places are then just the file.
		where, _ := jsonnet.Locate(ctx, in, res) //nolint:errcheck // see above
		return where
	})
	return t, nil
}

// Parse reads JSON or YAML. The error is of kind Invalid and holds the findings
// (errors.As with *[diag.Failure]), each with rule E0000.
func Parse(file string, src []byte) (*Template, error) {
	t := &Template{File: file, Size: len(src), Sources: []string{file}}
	found := t.read(src)
	if t.Root != nil && t.Root.Kind != Map && len(found) == 0 {
		found = diag.List{syntax(file, t.Root.Pos.Line, t.Root.Pos.Column, "a template is a map, not a "+t.Root.Kind.String(), "")}
	}
	if err := found.Sort().Err(); err != nil {
		return nil, err
	}
	return t, nil
}

// read parses one document of JSON or YAML into t.
func (t *Template) read(src []byte) (found diag.List) {
	if looksLikeJSON(src) {
		t.Root, found = parseJSON(t.File, src)
		return found
	}
	return t.parseYAML(src)
}

func looksLikeJSON(src []byte) bool {
	for _, c := range src {
		switch c {
		case ' ', '\t', '\r', '\n', 0xef, 0xbb, 0xbf: // and a byte order mark
		default:
			return c == '{'
		}
	}
	return false
}

func syntax(file string, line, column int, message, hint string) diag.Finding {
	return diag.Finding{Place: diag.Place{File: file, Line: line, Column: column}, Level: diag.Error, Rule: "E0000", Message: message, Hint: hint}
}

// Located reports whether places come from elsewhere than the nodes: from the
// Jsonnet files of the template.
func (t *Template) Located() bool { return t.locate != nil }
