package gitlabci

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"refline/internal/diag"
)

// GitLab's limits for one file, and our limit for what aliases expand it to.
const (
	maxFileBytes = 2 << 20
	maxDepth     = 100
	maxFileNodes = 500_000
)

// documents is what one file holds.
type documents struct {
	header  *node // the map with spec:, nil without one
	content *node // never nil; an empty map for an empty file
}

// notUTF8 finds the first byte that is not UTF-8, or a byte order mark of another
// encoding.
func notUTF8(file string, content []byte) (diag.Place, bool) {
	if bytes.HasPrefix(content, []byte{0xff, 0xfe}) || bytes.HasPrefix(content, []byte{0xfe, 0xff}) {
		return diag.Place{File: file, Line: 1, Column: 1}, true
	}
	if utf8.Valid(content) {
		return diag.Place{}, false
	}
	for i := 0; i < len(content); {
		r, size := utf8.DecodeRune(content[i:])
		if r == utf8.RuneError && size == 1 {
			before := content[:i]
			line := bytes.Count(before, []byte{'\n'}) + 1
			column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
			return diag.Place{File: file, Line: line, Column: column}, true
		}
		i += size
	}
	return diag.Place{}, false
}

// readYAML parses one file. It reports mistakes to f and returns false when the
// file is unusable.
func readYAML(file string, content []byte, f *findings, b *budget) (documents, bool) {
	start := diag.Place{File: file, Line: 1, Column: 1}
	if len(content) > maxFileBytes {
		f.errorf(start, "", "file-size", "the file has %d bytes; GitLab reads at most %d", len(content), maxFileBytes)
		f.hint("move a part of it to a file of its own and include that")
		return documents{}, false
	}
	if at, bad := notUTF8(file, content); bad {
		f.errorf(at, "", "encoding", "the file is not UTF-8 text here")
		f.hint("save it as UTF-8")
		return documents{}, false
	}
	roots, ok := parseDocuments(file, content, f)
	if !ok {
		return documents{}, false
	}
	r := yamlReader{file: file, f: f, b: b, anchors: map[*yaml.Node]*node{}}
	before := len(f.list)
	var nodes []*node
	for _, root := range roots {
		if n := r.value(root, 0, ""); n.kind != nullNode && !(n.kind == mapNode && len(n.keys) == 0) {
			nodes = append(nodes, n)
		}
		if r.stopped {
			return documents{}, false
		}
	}
	for _, n := range nodes {
		if n.kind != mapNode {
			f.errorf(n.at, "", "not-a-map", "the file holds %s; a configuration is a map of keywords and jobs", whatIs(n))
			if n.kind == stringNode && IsPipelineFile(n.text) {
				f.hint("if it is a symbolic link to " + n.text + ": GitLab reads the link itself, so write include: with that file instead")
			}
		}
	}
	if slices.ContainsFunc(f.list[before:], func(x diag.Finding) bool { return isError(x) && x.Rule != "reference" }) {
		return documents{}, false
	}
	return split(nodes, start, f)
}

// split separates header and content as GitLab does: if the first document has
// spec:, the last one is the content, otherwise the first.
func split(nodes []*node, start diag.Place, f *findings) (documents, bool) {
	switch {
	case len(nodes) == 0:
		return documents{content: &node{kind: mapNode, at: start}}, true
	case nodes[0].get("spec") == nil:
		if len(nodes) > 1 {
			f.warnf(nodes[1].at, "", "extra-document", "this second document is not read: the first one has no spec:")
			f.hint("merge the two documents")
		}
		return documents{content: nodes[0]}, true
	case len(nodes) == 1:
		if len(nodes[0].keys) > 1 {
			f.errorf(nodes[0].keyAt("spec"), "", "header", "spec: and the jobs are in one document")
			f.hint("put a line with --- after the spec: block")
			return documents{}, false
		}
		return documents{header: nodes[0], content: &node{kind: mapNode, at: start}}, true
	}
	if len(nodes) > 2 {
		f.warnf(nodes[1].at, "", "extra-document", "this document is not read: after a header, the last document is the content")
		f.hint("merge the documents after the header")
	}
	return documents{header: nodes[0], content: nodes[len(nodes)-1]}, true
}

// parseDocuments returns the documents that GitLab reads: two, or three when the
// file does not start with ---.
func parseDocuments(file string, content []byte, f *findings) ([]*yaml.Node, bool) {
	loader, err := yaml.NewLoader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))))
	if err != nil {
		f.errorf(diag.Place{File: file}, "", "yaml", "not readable as YAML: %v", err)
		return nil, false
	}
	limit := 3
	var roots []*yaml.Node
	for len(roots) < limit {
		var doc yaml.Node
		err := loader.Load(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			reportYAML(file, content, err, f)
			return nil, false
		}
		if len(roots) == 0 && bytes.HasPrefix(lineOf(content, doc.Line), []byte("---")) {
			limit = 2
		}
		if len(doc.Content) > 0 {
			roots = append(roots, doc.Content[0])
		}
	}
	return roots, true
}

// yamlReader converts parsed YAML to nodes.
type yamlReader struct {
	file    string
	f       *findings
	b       *budget
	slab    []node
	anchors map[*yaml.Node]*node // nil while the value is being read
	stopped bool                 // the file is too large; the rest is not read
}

func (r *yamlReader) place(y *yaml.Node) diag.Place {
	return diag.Place{File: r.file, Line: y.Line, Column: y.Column}
}

func (r *yamlReader) new(k kind, at diag.Place) *node {
	if len(r.slab) == 0 {
		r.slab = make([]node, 128)
	}
	n := &r.slab[0]
	r.slab = r.slab[1:]
	n.kind, n.at, n.size = k, at, 1
	if !r.b.take(at, 1) {
		r.stopped = true
	}
	return n
}

// stop ends the reading of a file that is too large.
func (r *yamlReader) stop(at diag.Place, format string, args ...any) *node {
	if !r.stopped {
		r.f.errorf(at, "", "file-size", format, args...)
	}
	r.stopped = true
	return r.new(nullNode, at)
}

// value reads y. owner is the top-level key it is in, for findings.
func (r *yamlReader) value(y *yaml.Node, depth int, owner string) *node {
	if r.stopped || depth > maxDepth {
		return r.stop(r.place(y), "values are nested more than %d deep", maxDepth)
	}
	var n *node
	if y.Kind == yaml.AliasNode {
		if n = r.anchors[y.Alias]; n == nil {
			r.f.errorf(r.place(y), "", "yaml", "*%s is inside the value that it refers to", y.Value)
			return r.new(nullNode, r.place(y))
		}
	} else {
		if n = r.fresh(y, depth, owner); y.Anchor != "" {
			r.anchors[y] = n
		}
	}
	if depth+int(n.height) > maxDepth {
		return r.stop(r.place(y), "values are nested more than %d deep", maxDepth)
	}
	if n.size > maxFileNodes {
		return r.stop(r.place(y), "the file has more than %d values with its aliases written out", maxFileNodes)
	}
	return n
}

func (r *yamlReader) fresh(y *yaml.Node, depth int, owner string) *node {
	if y.Tag == "!reference" && y.Style&yaml.TaggedStyle != 0 {
		return r.reference(y)
	}
	r.checkTag(y)
	switch y.Kind {
	case yaml.MappingNode:
		return r.mapping(y, depth, owner)
	case yaml.SequenceNode:
		n := r.new(seqNode, r.place(y))
		n.items = make([]*node, 0, len(y.Content))
		for _, c := range y.Content {
			n.items = append(n.items, r.value(c, depth+1, owner))
		}
		return n.seal()
	default:
		return r.scalar(y)
	}
}

// checkTag refuses tags of Ruby objects, and warns of tags that Psych ignores.
func (r *yamlReader) checkTag(y *yaml.Node) {
	if y.Style&yaml.TaggedStyle == 0 {
		return
	}
	switch tag := y.Tag; {
	case strings.HasPrefix(tag, "!ruby/"), tag == "!!set":
		r.f.errorf(r.place(y), "", "yaml-tag", "the tag %s is not allowed", tag)
	case strings.HasPrefix(tag, "!!"), tag == "!str", tag == "!float", tag == "!binary":
	default:
		r.f.warnf(r.place(y), "", "yaml-tag", "the tag %s has no meaning and is ignored", tag)
		r.f.hint(r.b.suggest(tag, []string{"!reference"}))
	}
}

func (r *yamlReader) reference(y *yaml.Node) *node {
	n := r.new(referenceNode, r.place(y))
	for _, c := range y.Content {
		if y.Kind != yaml.SequenceNode || c.Kind != yaml.ScalarNode {
			n.items = nil
			break
		}
		item := r.scalar(c)
		if item.kind != stringNode {
			n.items = nil
			break
		}
		n.items = append(n.items, item)
	}
	if len(n.items) == 0 {
		r.f.errorf(n.at, "", "reference", "!reference takes a list of names")
		r.f.hint("write it as !reference [JOB, KEYWORD]")
	}
	return n.seal()
}

func (r *yamlReader) scalar(y *yaml.Node) *node {
	n := r.new(stringNode, r.place(y))
	tagged := y.Style&yaml.TaggedStyle != 0
	quoted := y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	n.text = y.Value
	switch {
	case !tagged && quoted, tagged && (y.Tag == "!!str" || y.Tag == "!str"):
		return n
	case tagged && (y.Tag == "!!binary" || y.Tag == "!binary"):
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(y.Value), ""))
		if err != nil {
			r.f.errorf(n.at, "", "yaml-tag", "!!binary takes text in base64")
		}
		n.text = string(b)
		return n
	}
	s := plainScalar(y.Value)
	if tagged && (y.Tag == "!!float" || y.Tag == "!float") && s.kind == intNode {
		s.kind, s.text = floatNode, rubyFloat(s.num)
	}
	n.kind, n.text, n.num, n.truth = s.kind, s.text, s.num, s.truth
	switch {
	case s.refused != "":
		r.f.errorf(n.at, "", "yaml-date", "%s is a %s in YAML, which GitLab does not accept", y.Value, strings.ToLower(s.refused))
		r.f.hint("put it in quotes")
	case s.symbol:
		r.f.warnf(n.at, "", "yaml-symbol", "%s is read as %q: an unquoted text that starts with a colon loses it", y.Value, s.text)
		r.f.hint("put it in quotes")
	}
	return n
}

// mapping reads a map in the order of first appearance. As in Psych, a repeated key
// wins, and << is merged in place over the keys before it.
func (r *yamlReader) mapping(y *yaml.Node, depth int, owner string) *node {
	n := r.new(mapNode, r.place(y))
	set := newFields(len(y.Content) / 2)
	var inherited map[string]bool // set by << so far
	var again repetitions
	for i := 0; i+1 < len(y.Content) && !r.stopped; i += 2 {
		name, ok := r.key(y.Content[i], depth)
		if !ok {
			continue
		}
		if depth == 0 {
			owner = name
		}
		val := r.value(y.Content[i+1], depth+1, owner)
		if isMergeKey(y.Content[i]) && mergeable(val) {
			inherited = r.mergeInto(set, val, inherited)
			continue
		}
		at := r.place(y.Content[i])
		if old := set.find(name); old != nil {
			if inherited[name] {
				val = overriding(val, old.value)
				delete(inherited, name)
			} else {
				again.note(name, old.at, at)
			}
		}
		set.put(field{name: name, at: at, value: val})
	}
	n.keys = set.list
	for _, d := range again.list {
		where, subject := fmt.Sprintf(" in %q", owner), owner
		if depth == 0 {
			where, subject = "", d.name
		}
		r.f.warnf(d.first, subject, "duplicate-key", "duplicate key %q%s; the last one (line %d) wins", d.name, where, d.last.Line)
	}
	return n.seal()
}

// mergeInto merges the maps of a << over the keys before it, and returns the names
// that << has set so far.
func (r *yamlReader) mergeInto(set *fields, val *node, inherited map[string]bool) map[string]bool {
	if inherited == nil {
		inherited = map[string]bool{}
	}
	for _, m := range mergeOrder(val) {
		if !r.b.take(val.at, len(m.keys)) {
			break
		}
		for _, fd := range m.keys {
			set.put(fd)
			inherited[fd.name] = true
		}
	}
	return inherited
}

// repetitions are the duplicate keys of one map.
type repetitions struct {
	list  []repeated
	index map[string]int
}

type repeated struct {
	name        string
	first, last diag.Place
}

func (r *repetitions) note(name string, before, at diag.Place) {
	if i, ok := r.index[name]; ok {
		r.list[i].last = at
		return
	}
	if r.index == nil {
		r.index = map[string]int{}
	}
	r.index[name] = len(r.list)
	r.list = append(r.list, repeated{name, before, at})
}

// key returns the text of a key: Ruby's to_s of a scalar. At the top level it names
// a job and must be a string.
func (r *yamlReader) key(y *yaml.Node, depth int) (string, bool) {
	target := y
	if y.Kind == yaml.AliasNode {
		target = y.Alias
	}
	if target.Kind != yaml.ScalarNode {
		r.f.errorf(r.place(y), "", "yaml-key", "a key must be a string")
		return "", false
	}
	n := r.scalar(target)
	if y.Anchor != "" {
		r.anchors[y] = n
	}
	if depth == 0 && n.kind != stringNode {
		r.f.errorf(r.place(y), "", "yaml-key", "the name of a job must be a string, not %s", whatIs(n))
		r.f.hint("put it in quotes")
	}
	return n.text, true
}

func isMergeKey(y *yaml.Node) bool {
	return y.Kind == yaml.ScalarNode && y.Value == "<<" && (y.Style&yaml.TaggedStyle == 0 || y.Tag != "!!str")
}

func mergeable(n *node) bool {
	if n.kind != seqNode {
		return n.kind == mapNode
	}
	for _, item := range n.items {
		if item.kind != mapNode {
			return false
		}
	}
	return true
}

// mergeOrder lists the maps of a << in the order of merging. In a list the first
// map has precedence, so it comes last.
func mergeOrder(n *node) []*node {
	if n.kind == mapNode {
		return []*node{n}
	}
	maps := make([]*node, 0, len(n.items))
	for i := len(n.items) - 1; i >= 0; i-- {
		maps = append(maps, n.items[i])
	}
	return maps
}
