package gitlabci

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

// maxIncludes is how many files GitLab includes into one configuration.
const maxIncludes = 150

// load reads the root file and everything it includes, and resolves inputs,
// includes, extends and !reference, in this order. Mistakes are added to l.f. The
// config is nil when the rest cannot be checked. The error is that of an ended
// context.
func (l *loading) load(in Input) (*config, error) {
	ctx, f := l.ctx, l.f
	root := in.Root
	content := in.Content
	if content == nil {
		var err error
		if content, root, err = l.read(root); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			l.unreachable(inclusion{source: in.Root}, err)
			return nil, nil
		}
	}
	l.files = append(l.files, l.redact.source(root))
	given, ok := l.rootInputs(in.Inputs, diag.Place{File: root.label()})
	docs, ok2 := readYAML(root.label(), content, f, l.b)
	if !ok || !ok2 {
		return nil, nil
	}
	if in.Positions != nil {
		reposition(docs.content, nil, in.Positions)
		reposition(docs.header, nil, in.Positions)
	}
	where := visit{source: root, given: given, at: diag.Place{File: root.label()}, who: "the pipeline"}
	tree := l.file(docs, bytes.Contains(content, []byte(blockOpen)), where)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if tree == nil || !l.b.fits(tree) {
		return nil, nil
	}
	tree = extended(tree, !l.incomplete, f, l.b)
	if !l.b.fits(tree) {
		return nil, nil
	}
	tree = dereferenced(tree, !l.incomplete, f, l.b)
	if !l.b.fits(tree) {
		return nil, nil
	}
	return &config{root: tree, files: l.files, complete: !l.incomplete}, nil
}

// loading is the state of one load.
type loading struct {
	ctx        context.Context
	loader     Loader
	rules      includeRules
	f          *findings
	b          *budget
	variables  map[string]pipeline.Variable // for the names in includes
	redact     redactor
	files      []Source
	inputs     []DeclaredInput // of the root file
	count      int             // included so far
	incomplete bool
	parsed     map[Source]*parsedFile
	listed     map[Source]listing
	ahead      map[Source]answer // see readAhead
}

// parsedFile is a file that was read. Including it again is cheap.
type parsedFile struct {
	docs   documents
	found  Source
	ok     bool
	blocks bool // holds $[[
	err    error
}

// answer is the result of the loader for a source.
type answer struct {
	content []byte
	found   Source
	err     error
}

type listing struct {
	paths []string
	err   error
}

func newLoading(ctx context.Context, in Input, rules includeRules, f *findings) *loading {
	l := &loading{
		ctx: ctx, loader: in.Loader, rules: rules, f: f, b: newBudget(f),
		variables: in.includeVariables(), parsed: map[Source]*parsedFile{}, listed: map[Source]listing{},
		ahead: map[Source]answer{},
	}
	l.redact = newRedactor(l.variables)
	return l
}

// includeVariables are the variables that includes see: none of the files.
func (in *Input) includeVariables() map[string]pipeline.Variable {
	variables := map[string]pipeline.Variable{}
	for _, scope := range [][]pipeline.Variable{in.Predefined, in.Instance, in.Group, in.Project, in.Pipeline} {
		for _, v := range scope {
			variables[v.Name] = v
		}
	}
	return variables
}

// IncludeExpander returns a function that replaces the variables in the name of
// an include. Unset ones become empty and are returned.
func (in *Input) IncludeExpander() func(name string) (expanded string, unset []string) {
	variables := in.includeVariables()
	return func(name string) (string, []string) { return expandInclude(name, variables) }
}

func (l *loading) expand(s string) (expanded string, unset []string) {
	return expandInclude(s, l.variables)
}

func expandInclude(s string, variables map[string]pipeline.Variable) (expanded string, unset []string) {
	expanded = replaceVariables(s, func(name, _ string) string {
		v, ok := variables[name]
		if !ok {
			unset = append(unset, name)
		}
		return v.Value
	})
	return expanded, unset
}

func (l *loading) read(s Source) ([]byte, Source, error) {
	if l.loader == nil {
		return nil, s, errs.E(errs.Unavailable, "no source of files is configured")
	}
	if a, ok := l.ahead[s]; ok {
		return a.content, a.found, a.err
	}
	return l.loader.Read(l.ctx, s)
}

// readAhead reads the remote files of one list concurrently, because each one is a
// round trip. They are used in the order of the list.
func (l *loading) readAhead(list []inclusion) {
	const atOnce = 8
	var remote []Source
	for _, inc := range list {
		s := inc.source
		_, asked := l.ahead[s]
		if s.Kind == SourceRemote && !asked && l.parsed[s] == nil && !slices.Contains(remote, s) {
			remote = append(remote, s)
		}
	}
	remote = remote[:min(len(remote), max(maxIncludes-l.count, 0))]
	if len(remote) < 2 || l.loader == nil {
		return
	}
	answers := make([]answer, len(remote))
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, s := range remote {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			a := &answers[i]
			a.content, a.found, a.err = l.loader.Read(l.ctx, s)
		})
	}
	all.Wait()
	for i, s := range remote {
		l.ahead[s] = answers[i]
	}
}

// paths lists the files of the project that s belongs to.
func (l *loading) paths(s Source) ([]string, error) {
	s.Path, s.Integrity, s.Version = "", "", ""
	if known, ok := l.listed[s]; ok {
		return known.paths, known.err
	}
	var got listing
	if l.loader == nil {
		got.err = errs.E(errs.Unavailable, "no source of files is configured")
	} else {
		got.paths, got.err = l.loader.List(l.ctx, s)
	}
	l.listed[s] = got
	return got.paths, got.err
}

// rootInputs converts the inputs of the root file to nodes.
func (l *loading) rootInputs(inputs map[string]any, at diag.Place) (*node, bool) {
	if len(inputs) == 0 {
		return nil, true
	}
	n, err := fromGo(inputs, at, 0)
	if err != nil {
		l.errorf(at, "input-type", "an input is not a value that YAML has: %v", err)
		return nil, false
	}
	return n, true
}

// reposition sets the places of nodes from position. The nodes must not be shared.
func reposition(n *node, path []string, position func([]string) (diag.Place, bool)) {
	if n == nil {
		return
	}
	if at, ok := position(path); ok {
		n.at = at
	}
	for i := range n.items {
		reposition(n.items[i], append(path, fmt.Sprint(i)), position)
	}
	for i := range n.keys {
		below := append(path, n.keys[i].name)
		if at, ok := position(below); ok {
			n.keys[i].at = at
		}
		reposition(n.keys[i].value, below, position)
	}
}
