package gitlabci

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// visit is one inclusion of one file.
type visit struct {
	source  Source     // where it was found
	given   *node      // its inputs
	at      diag.Place // of the include
	who     string     // the file, as findings name it
	parents []*visit   // the inclusions around it, the root first

	component   map[string]*node // values of $[[ component.x ]]
	isComponent bool             // false for a file that a component includes
}

// file returns the content of one file with its inputs and includes resolved, or
// nil when it cannot be used.
func (l *loading) file(docs documents, blocks bool, v visit) *node {
	content := docs.content
	switch {
	case docs.header != nil:
		inputs, component, all := l.header(docs.header, &v)
		if blocks {
			x := interpolation{inputs: inputs, component: component, unread: !all, variables: l.variables, f: l.f, b: l.b}
			content = x.apply(content)
			l.incomplete = l.incomplete || x.left
		}
	case v.given != nil && len(v.given.keys) > 0:
		l.f.errorf(v.given.keys[0].at, pipeline.InputSubject(v.given.keys[0].name), "unknown-input", "%s declares no inputs", v.who)
		l.f.hint("declare them there: spec: inputs: …, a line with ---, then the jobs")
	}
	include := content.get("include")
	if include == nil {
		return content
	}
	var below *node
	list := l.inclusions(include, v.source)
	l.readAhead(list)
	for _, inc := range list {
		if part := l.include(inc, &v); part != nil {
			below = merged(below, part, l.b)
		}
		if l.count > maxIncludes || l.b.over || l.ctx.Err() != nil {
			break
		}
	}
	own := *content
	own.keys = make([]field, 0, len(content.keys))
	for _, fd := range content.keys {
		if fd.name != "include" {
			own.keys = append(own.keys, fd)
		}
	}
	own.seal()
	if below == nil {
		return &own
	}
	all := merged(below, &own, l.b)
	all.before = nil // a file does not override a file
	return all
}

// include reads one included file and everything it includes.
func (l *loading) include(inc inclusion, from *visit) *node {
	v, file := l.fetch(inc, from)
	if file == nil {
		return nil
	}
	if len(file.docs.content.keys) == 0 {
		what := "is empty"
		if file.docs.header != nil {
			what = "has a header and nothing else"
		}
		l.errorf(inc.at, "include", "%s %s", l.redact.source(inc.source).phrase(), what)
		return nil
	}
	return l.file(file.docs, file.blocks, v)
}

// fetch reads and parses a file, once for each source. It reports a failure and
// returns nil.
func (l *loading) fetch(inc inclusion, from *visit) (visit, *parsedFile) {
	v := visit{given: inc.inputs, at: inc.at, component: from.component, parents: append(from.parents[:len(from.parents):len(from.parents)], from)}
	l.count++
	if l.count > maxIncludes {
		if l.count == maxIncludes+1 {
			l.errorf(inc.at, "include", "more than %d files are included", maxIncludes)
			l.f.hint(circle(append(v.parents, &visit{source: inc.source})))
			l.incomplete = true
		}
		return v, nil
	}
	file, known := l.parsed[inc.source]
	if !known {
		file = l.parse(inc)
		l.parsed[inc.source] = file
	}
	switch {
	case file.err != nil:
		if l.ctx.Err() == nil {
			l.unreachable(inc, file.err)
		}
		return v, nil
	case !file.ok:
		l.incomplete = true
		return v, nil
	}
	v.source = file.found
	v.who = l.redact.source(inc.source).phrase()
	if inc.source.Kind == SourceComponent {
		v.component, v.isComponent = aboutComponent(inc, file.found), true
	}
	for i, p := range v.parents {
		if samePlace(p.source, v.source) && p.source.Kind == v.source.Kind && p.given == nil && v.given == nil {
			l.errorf(inc.at, "include", "includes form a cycle: %s", circle(append(v.parents[i:len(v.parents):len(v.parents)], &v)))
			l.incomplete = true
			return v, nil
		}
	}
	return v, file
}

// parse reads a source and reports mistakes in its content, once.
func (l *loading) parse(inc inclusion) *parsedFile {
	content, found, err := l.read(inc.source)
	if err != nil {
		return &parsedFile{err: err}
	}
	if want := inc.source.Integrity; want != "" {
		sum := sha256.Sum256(content)
		if got := "sha256-" + base64.StdEncoding.EncodeToString(sum[:]); got != want {
			l.errorf(inc.at, "include", "%s is not the one that integrity names: it has %s", l.redact.source(inc.source).phrase(), got)
			l.f.hint("if the change is known and good, write that checksum")
			return &parsedFile{}
		}
	}
	label := l.redact.source(inc.source)
	l.files = append(l.files, l.redact.source(found))
	file := &parsedFile{found: found, blocks: bytes.Contains(content, []byte(blockOpen))}
	file.docs, file.ok = readYAML(label.label(), content, l.f, l.b)
	return file
}

func circle(visits []*visit) string {
	names := make([]string, 0, len(visits))
	for _, v := range visits {
		if len(names) == 6 {
			names = append(names, "…")
			break
		}
		names = append(names, v.source.label())
	}
	return strings.Join(names, " → ")
}

var versionPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^v?\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$`)
})

// aboutComponent returns what a component may read of itself.
func aboutComponent(inc inclusion, found Source) map[string]*node {
	address, reference, _ := strings.Cut(inc.source.Path, "@")
	text := func(s string) *node { return (&node{kind: stringNode, text: s, at: inc.at}).seal() }
	version := found.Version
	if version == "" && versionPattern().MatchString(reference) {
		version = reference
	}
	return map[string]*node{
		"name":      text(address[strings.LastIndexByte(address, '/')+1:]),
		"sha":       text(found.Ref),
		"version":   text(version),
		"reference": text(reference),
	}
}

// header reads the header of a file and returns the values of its inputs, nil for
// an invalid one. all is false when there may be more inputs.
func (l *loading) header(header *node, v *visit) (inputs, component map[string]*node, all bool) {
	r := specReader{l.f}
	before := len(l.f.list)
	included := l.includedInputs(header.get("spec").get("include"), v)
	unread := l.f.list[before:].HasErrors()
	s := r.readSpec(l.withIncluded(header, included))
	component = make(map[string]*node, len(s.component))
	for _, name := range s.component {
		if value := v.component[name]; value != nil {
			component[name] = value
		}
	}
	s.unread = s.unread || unread
	l.unsure(s.inputs, v.given)
	if len(v.parents) == 0 {
		l.inputs = declaredInputs(s.inputs)
	}
	return resolvedInputs(s, v.given, v.at, v.who, l.f, l.b), component, !s.unread
}

// unsure marks inputs whose value is an unresolved block, which was reported.
func (l *loading) unsure(inputs []inputSpec, given *node) {
	if !l.incomplete {
		return
	}
	for i := range inputs {
		if v := given.get(inputs[i].name); v != nil && holdsBlock(v) {
			inputs[i].unread = true
		}
	}
}

// includedInputs reads the files of spec:include, which hold inputs only, and
// merges them in order. It returns nil without any.
func (l *loading) includedInputs(include *node, v *visit) *node {
	if absent(include) {
		return nil
	}
	if v.isComponent {
		l.errorf(include.at, "include", "a component may not have spec:include")
		return nil
	}
	var all *node
	r := specReader{l.f}
	for _, inc := range l.inclusions(include, v.source) {
		if k := inc.source.Kind; k == SourceTemplate || k == SourceComponent {
			l.errorf(inc.at, "include", "spec:include takes local, project and remote files, not %s", l.redact.source(inc.source).phrase())
			continue
		}
		_, file := l.fetch(inc, v)
		if file == nil {
			continue
		}
		r.onlyKeys(file.docs.content, fmt.Sprintf("%s, which may hold inputs only", l.redact.source(inc.source).phrase()), "inputs")
		inputs := file.docs.content.get("inputs")
		switch {
		case absent(inputs):
		case inputs.kind != mapNode:
			r.f.errorf(inputs.at, "", "spec", "inputs must be a map, not %s", whatIs(inputs))
		default:
			all = merged(all, inputs, l.b)
		}
	}
	return all
}

// withIncluded merges the inputs of a header over those that it includes.
func (l *loading) withIncluded(header, included *node) *node {
	spec := header.get("spec")
	own := spec.get("inputs")
	if included == nil || spec.kind != mapNode || !absent(own) && own.kind != mapNode {
		return header
	}
	if !absent(own) {
		for i := range own.keys {
			if other := included.get(own.keys[i].name); other != nil {
				l.f.warnf(own.keys[i].at, "", "spec", "the input %q is declared at %s too; this one wins", own.keys[i].name, other.at)
			}
		}
		included = merged(included, own, l.b)
	}
	body := *spec
	body.keys = slices.DeleteFunc(slices.Clone(spec.keys), func(f field) bool { return f.name == "inputs" })
	body.keys = append(body.keys, field{name: "inputs", at: spec.keyAt("inputs"), value: included})
	whole := *header
	whole.keys = slices.Clone(header.keys)
	for i := range whole.keys {
		if whole.keys[i].name == "spec" {
			whole.keys[i].value = body.seal()
		}
	}
	return whole.seal()
}
