package gitlabci

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/gitlabci/expr"
	"refline/internal/pipeline"
)

// maxComparisons is how many pairs of pattern and path GitLab compares. With more
// the condition is true.
const maxComparisons = 50_000

// evaluator decides the conditions of rules, those of jobs, workflow and includes.
type evaluator struct {
	ctx     context.Context
	in      *Input
	outside environment
	named   map[string]environment // outside, for jobs of an environment
	exprs   map[string]parsed
	trees   map[Source][]string
}

type parsed struct {
	expr *expr.Expr
	err  error
}

func newEvaluator(ctx context.Context, in *Input) *evaluator {
	return &evaluator{
		ctx: ctx, in: in, outside: newEnvironment(in), named: make(map[string]environment),
		exprs: make(map[string]parsed), trees: make(map[Source][]string),
	}
}

// outsideOf returns the variables of one job that do not come from the files. Some
// may be for its environment only.
func (c *evaluator) outsideOf(job *pipeline.Job) environment {
	if c.in.ProjectFor == nil || job.Environment == nil {
		return c.outside
	}
	name := job.Environment.Name
	e, ok := c.named[name]
	if !ok {
		e = environment{below: c.outside.below, above: aboveFiles(c.in, c.in.ProjectFor(name))}
		c.named[name] = e
	}
	return e
}

// parse compiles an expression once.
func (c *evaluator) parse(text string) (*expr.Expr, error) {
	p, ok := c.exprs[text]
	if !ok {
		p.expr, p.err = expr.Parse(text)
		c.exprs[text] = p
	}
	return p.expr, p.err
}

var _ includeRules = (*evaluator)(nil)

// If evaluates an expression of include:rules. It does not see YAML variables.
func (c *evaluator) If(text string, _ diag.Place) (bool, error) {
	e, err := c.parse(text)
	if err != nil {
		return false, err
	}
	return e.True(expr.Scope{Variable: c.includeScope().lookup}), nil
}

// Exists decides rules:exists of an include in a file.
func (c *evaluator) Exists(clause *node, in Source) (bool, error) {
	f, err := readClause(clause, "exists", "paths", "project", "ref", "regexp")
	if f == nil || err != nil {
		return false, err
	}
	yes, _, err := c.existsIn(c.includeScope(), *f, in)
	return yes, err
}

// Changes decides rules:changes of an include.
func (c *evaluator) Changes(clause *node, _ Source) (bool, error) {
	f, err := readClause(clause, "changes", "paths", "compare_to", "regexp")
	if f == nil || err != nil {
		return false, err
	}
	yes, _, err := c.changes(c.includeScope(), *f)
	return yes, err
}

// readClause decodes a clause outside of a job and returns its first error.
func readClause(n *node, path string, keys ...string) (*fileCondition, error) {
	r := reader{f: &findings{}}
	f := r.readFiles(n, path, keys...)
	for _, d := range r.f.list {
		if d.Level == diag.Error {
			return nil, errs.E(errs.Invalid, "%s", d.Message)
		}
	}
	return f, nil
}

func (c *evaluator) includeScope() *scope { return &scope{outside: c.outside} }

// fileCondition is changes or exists of a rule.
type fileCondition struct {
	patterns  []string
	regexp    string // instead of patterns
	compareTo string // changes only
	project   string // exists only
	ref       string
}

// text returns the condition as written.
func (f fileCondition) text() string {
	s := strings.Join(f.patterns, ", ")
	if f.regexp != "" {
		s = f.regexp
	}
	if f.project != "" {
		s += " in " + f.project
		if f.ref != "" {
			s += "@" + f.ref
		}
	}
	if f.compareTo != "" {
		s += " compared to " + f.compareTo
	}
	return s
}

// changes reports whether a changed file matches, and which one, or why not.
func (c *evaluator) changes(s *scope, f fileCondition) (yes bool, because string, err error) {
	if load := c.in.Changed.Load; load != nil {
		if c.in.Changed.Files, c.in.Changed.Known, err = load(); err != nil {
			return false, "", err
		}
		c.in.Changed.Load = nil
	}
	files := c.in.Changed.Files
	switch {
	case f.compareTo != "" && c.in.Changed.CompareTo != nil:
		ref := s.expand(f.compareTo)
		if files, err = c.in.Changed.CompareTo(ref); err != nil {
			return false, "", err
		}
	case !c.in.Changed.Known:
		return true, "there is no diff to compare with", nil
	}
	if len(files) == 0 {
		return false, "nothing changed", nil
	}
	return matchPaths(s, f, files, len(files))
}

// exists reports whether a file is in the repository, and which one.
func (c *evaluator) exists(s *scope, f fileCondition) (yes bool, because string, err error) {
	return c.existsIn(s, f, c.in.Root)
}

// existsIn is exists for a file of another project than the root's.
func (c *evaluator) existsIn(s *scope, f fileCondition, in Source) (yes bool, because string, err error) {
	src := Source{Kind: SourceLocal, Project: in.Project, Ref: in.Ref}
	if f.project != "" {
		src = Source{Kind: SourceLocal, Project: s.expand(f.project), Ref: s.expand(f.ref)}
	}
	paths, err := c.tree(src)
	if err != nil {
		return false, "", err
	}
	var patterns []string
	topLevel := true
	for _, written := range f.patterns {
		p := s.expand(written)
		topLevel = topLevel && !strings.Contains(p, "/") && !strings.Contains(p, "**")
		if end, ok := strings.CutPrefix(p, "**/*"); ok && isExtension(end) { // GitLab does not count these
			i := slices.IndexFunc(paths, func(path string) bool { return strings.HasSuffix(path, end) })
			if i >= 0 {
				return true, paths[i] + " matches " + written, nil
			}
			continue
		}
		if !exact(p) {
			patterns = append(patterns, written)
			continue
		}
		i := sort.SearchStrings(paths, p)
		if i < len(paths) && (paths[i] == p || strings.HasSuffix(p, "/") && strings.HasPrefix(paths[i], p)) {
			return true, written + " is there", nil
		}
	}
	count := len(paths)
	if topLevel {
		count = 0
		for _, p := range paths {
			if !strings.Contains(p, "/") {
				count++
			}
		}
	}
	f.patterns = patterns
	if len(patterns) == 0 && f.regexp == "" {
		return false, "not there", nil
	}
	return matchPaths(s, f, paths, count)
}

// isExtension reports whether end is a file extension such as .js or .tar.gz.
func isExtension(end string) bool {
	return strings.HasPrefix(end, ".") && !strings.Contains(end, "/") && exact(end)
}

// matchPaths finds the first path that matches. count is how many paths GitLab
// would compare.
func matchPaths(s *scope, f fileCondition, paths []string, count int) (yes bool, because string, err error) {
	if f.regexp != "" {
		return matchRegexp(s.expand(f.regexp), paths)
	}
	// The answer shows a pattern as written: its variables may be secret.
	var patterns, written []string
	for _, w := range f.patterns {
		if p := s.expand(w); !slices.Contains(patterns, p) {
			patterns, written = append(patterns, p), append(written, w)
		}
	}
	if count*len(patterns) > maxComparisons {
		return true, "there are too many files to compare", nil
	}
	for k, p := range patterns {
		g := compileGlob(p)
		if i := slices.IndexFunc(paths, g.match); i >= 0 {
			return true, paths[i] + " matches " + written[k], nil
		}
	}
	return false, "no file matches", nil
}

// matchRegexp finds the first path that an expression matches. Its variables are
// already replaced.
func matchRegexp(text string, paths []string) (yes bool, because string, err error) {
	re, err := compilePathRegexp(text)
	if err != nil {
		return false, "", err
	}
	if len(paths) > maxComparisons {
		return true, "there are too many files to compare", nil
	}
	path, err := re.find(paths)
	if path == "" {
		return false, "no file matches", err
	}
	return true, path + " matches", nil
}

// tree lists the files of a project, sorted. It asks the loader once.
func (c *evaluator) tree(src Source) ([]string, error) {
	if c.in.Loader == nil {
		return nil, nil
	}
	if paths, ok := c.trees[src]; ok {
		return paths, nil
	}
	paths, err := c.in.Loader.List(c.ctx, src)
	if err != nil {
		return nil, err
	}
	if !slices.IsSorted(paths) {
		paths = slices.Sorted(slices.Values(paths))
	}
	c.trees[src] = paths
	return paths, nil
}

// syntaxError extracts the syntax error from an error of parse.
func syntaxError(err error) *expr.SyntaxError {
	var e *expr.SyntaxError
	if errors.As(err, &e) {
		return e
	}
	return &expr.SyntaxError{Message: err.Error(), Column: 1, Width: 1}
}

// evalIf evaluates an expression and shows it with values.
func evalIf(e *expr.Expr, s *scope) (yes bool, values string) {
	return e.True(expr.Scope{Variable: s.lookup}), e.Show(s.show)
}
