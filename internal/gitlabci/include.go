package gitlabci

import (
	"cmp"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

// includeRules decides the clauses of include:rules. An error means that a clause
// is invalid.
type includeRules interface {
	// If evaluates an expression.
	If(text string, at diag.Place) (bool, error)
	// Exists and Changes decide a clause, a list or a map. in is the file with the
	// clause.
	Exists(clause *node, in Source) (bool, error)
	Changes(clause *node, in Source) (bool, error)
}

// inclusion is one file to include.
type inclusion struct {
	source Source
	at     diag.Place
	inputs *node    // may be nil
	unset  []string // variables in its name that have no value
}

// includeKinds are the keys that name a file; an include has exactly one.
func includeKinds() []string { return []string{"local", "project", "remote", "template", "component"} }

// inclusions reads the value of an include keyword in file from.
func (l *loading) inclusions(value *node, from Source) []inclusion {
	if value == nil || value.kind == nullNode {
		return nil
	}
	entries := []*node{value}
	if value.kind == seqNode {
		entries = value.items
	}
	var list []inclusion
	for _, entry := range entries {
		switch entry.kind {
		case nullNode:
		case stringNode:
			list = append(list, l.fromString(entry, from)...)
		case mapNode:
			list = append(list, l.fromMap(entry, from)...)
		case referenceNode:
			l.errorf(entry.at, "include", "include cannot be a !reference, which is resolved later")
			l.f.hint("write the includes out")
		default:
			l.errorf(entry.at, "include", "an include is a string or a map, not %s", whatIs(entry))
		}
	}
	return list
}

// fromString reads an include that is a string: a path or a URL.
func (l *loading) fromString(entry *node, from Source) []inclusion {
	text, unset := l.expand(entry.text)
	inc := inclusion{at: entry.at, unset: unset}
	if isURL(text) {
		inc.source = Source{Kind: SourceRemote, Path: text}
		return l.checked(inc)
	}
	return l.locals(inc, text, from)
}

// fromMap reads an include that is a map.
func (l *loading) fromMap(entry *node, from Source) []inclusion {
	kinds := includeKinds()
	others := []string{"file", "ref", "integrity", "inputs", "rules", "artifact", "job", "cache"}
	specReader{l.f}.onlyKeys(entry, "include", append(others, kinds...)...)
	if entry.get("artifact") != nil {
		l.errorf(entry.keyAt("artifact"), "include", "include:artifact works only inside trigger:")
		return nil
	}
	given := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool {
		n := entry.get(k)
		return n == nil || n.kind == nullNode || n.kind == stringNode && n.text == ""
	})
	if len(given) == 0 {
		l.errorf(entry.at, "include", "the include does not say what to include")
		l.f.hint("give it one of " + strings.Join(kinds, ", "))
		return nil
	}
	if len(given) > 1 {
		l.errorf(entry.keyAt(given[1]), "include", "an include has one of %s, not both %s and %s",
			strings.Join(kinds, ", "), given[0], given[1])
		return nil
	}
	if cache := entry.get("cache"); !absent(cache) {
		l.checkCache(cache, entry.keyAt("cache"), given[0])
	}
	if !l.included(entry.get("rules"), from) {
		return nil
	}
	inputs := entry.get("inputs")
	if inputs != nil && inputs.kind != mapNode {
		if inputs.kind != nullNode {
			l.errorf(inputs.at, "include", "include:inputs must be a map, not %s", whatIs(inputs))
		}
		inputs = nil
	}
	return l.named(entry, given[0], inputs, from)
}

// checkCache checks include:cache, how long GitLab may cache a remote file. Refline
// reads it once per compile.
func (l *loading) checkCache(n *node, at diag.Place, kind string) {
	if kind != "remote" {
		l.errorf(at, "include", "cache is for include:remote only")
		return
	}
	switch n.kind {
	case boolNode:
	case stringNode:
		if d, err := pipeline.ParseDuration(n.text); err != nil || d < time.Minute {
			l.errorf(n.at, "include", "include:cache must be at least 1 minute, not %s", shown(n))
		}
	default:
		l.errorf(n.at, "include", "include:cache must be true, false or a duration, not %s", whatIs(n))
	}
}

// named returns the files that an include of one kind names.
func (l *loading) named(entry *node, kind string, inputs *node, from Source) []inclusion {
	n := entry.get(kind)
	if kind == "project" && n.kind == seqNode && len(n.items) > 0 {
		n = n.items[0]
	}
	if n.kind != stringNode {
		l.errorf(n.at, "include", "include:%s must be a string, not %s", kind, whatIs(n))
		return nil
	}
	text, unset := l.expand(n.text)
	inc := inclusion{at: n.at, inputs: inputs, unset: unset}
	integrity := entry.get("integrity")
	if integrity != nil && kind != "remote" {
		l.errorf(entry.keyAt("integrity"), "include", "integrity is for include:remote only")
		return nil
	}
	switch kind {
	case "local":
		if strings.Contains(n.text, "*") && text != n.text {
			l.f.warnf(n.at, "", "include", "GitLab looks for files before it replaces variables, so this pattern matches nothing")
			return nil
		}
		return l.locals(inc, text, from)
	case "project":
		return l.project(entry, text, inc)
	case "remote":
		inc.source = Source{Kind: SourceRemote, Path: text}
		if integrity != nil {
			if inc.source.Integrity = integrity.text; !isIntegrity(integrity.text) {
				l.errorf(integrity.at, "include", "integrity must be sha256- and a checksum in base64")
				return nil
			}
		}
	default:
		inc.source = Source{Kind: SourceKind(kind), Path: text}
	}
	return l.checked(inc)
}

func isIntegrity(s string) bool {
	sum, ok := strings.CutPrefix(s, "sha256-")
	b, err := base64.StdEncoding.Strict().DecodeString(sum)
	return ok && err == nil && len(b) > 0
}

func (l *loading) project(entry *node, name string, inc inclusion) []inclusion {
	file := entry.get("file")
	if file == nil || file.kind == nullNode || file.kind == seqNode && len(file.items) == 0 {
		l.errorf(entry.keyAt("project"), "include", "include:project does not say which file to include")
		l.f.hint("add file: with a path in that project")
		return nil
	}
	ref := ""
	if n := entry.get("ref"); n != nil && n.kind != nullNode {
		if n.kind == seqNode || n.kind == mapNode || n.kind == referenceNode {
			l.errorf(n.at, "include", "include:ref must be a string, not %s", whatIs(n))
			return nil
		}
		var unset []string
		ref, unset = l.expand(n.text)
		inc.unset = append(inc.unset, unset...)
	}
	files := []*node{file}
	if file.kind == seqNode {
		files = file.items
	}
	var list []inclusion
	for _, fn := range files {
		if fn.kind != stringNode {
			l.errorf(fn.at, "include", "include:file must be a string, not %s", whatIs(fn))
			continue
		}
		path, unset := l.expand(fn.text)
		one := inc
		one.at, one.unset = fn.at, append(slices.Clip(inc.unset), unset...)
		one.source = Source{Kind: SourceLocal, Project: name, Ref: ref, Path: strings.TrimLeft(path, "/")}
		list = append(list, l.checked(one)...)
	}
	return list
}

// locals returns the files that include:local names: one, or all that match.
func (l *loading) locals(inc inclusion, text string, from Source) []inclusion {
	s, ok := from.neighbour(text)
	if !ok {
		l.errorf(inc.at, "include", "%s does not belong to a project, so it cannot include a local file", l.redact.source(from).phrase())
		l.incomplete = true
		return nil
	}
	inc.source = s
	if !strings.Contains(s.Path, "*") || l.unknown(s) {
		return l.checked(inc)
	}
	paths, err := l.paths(s)
	if err != nil {
		l.unreachable(inc, err)
		return nil
	}
	re := includeGlob(s.Path)
	var list []inclusion
	for _, p := range paths {
		one := inc
		if one.source.Path = p; re.MatchString(p) && isYAMLName(p) && !samePlace(one.source, from) {
			list = append(list, one)
		}
	}
	if len(list) == 0 {
		l.f.warnf(inc.at, "", "include", "no YAML file matches %q", s.Path)
	}
	return list
}

func samePlace(a, b Source) bool {
	return a.Project == b.Project && a.Ref == b.Ref && a.Path == b.Path
}

// includeGlob compiles a pattern of include:local: ** matches anything, * anything
// but a slash. No other character is special.
func includeGlob(pattern string) *regexp.Regexp {
	text := regexp.QuoteMeta(pattern)
	text = strings.ReplaceAll(text, `\*\*`, `.*`)
	text = strings.ReplaceAll(text, `\*`, `[^/]*`)
	return regexp.MustCompile("^" + text + "$")
}

// checked refuses names that GitLab refuses without looking for the file.
func (l *loading) checked(inc inclusion) []inclusion {
	s := l.redact.source(inc.source)
	problem, hint := "", ""
	switch {
	case l.unknown(inc.source):
		return nil
	case inc.source.Path == "":
		problem = "the include names no file"
	case inc.source.Kind == SourceComponent:
		_, version, _ := strings.Cut(s.Path, "@")
		if version == "" {
			problem, hint = s.phrase()+" has no version", "end it with @ and a tag, a branch, a commit or ~latest"
		} else if strings.Count(s.Path, "/") < 2 {
			problem, hint = s.phrase()+" is not the address of a component", "write it as HOST/PROJECT/NAME@VERSION"
		}
	case inc.source.Kind == SourceRemote && !isURL(inc.source.Path):
		problem = s.phrase() + " needs an address that starts with https://"
	case !isYAMLName(inc.source.Path):
		problem = s.phrase() + " does not end in .yml or .yaml"
	}
	if problem == "" {
		return []inclusion{inc}
	}
	l.incomplete = true
	l.errorf(inc.at, "include", "%s", problem)
	l.f.hint(cmp.Or(unsetHint(inc.unset), hint))
	return nil
}

// unknown reports whether the name of the source has an unresolved block.
func (l *loading) unknown(s Source) bool {
	return l.incomplete && strings.Contains(s.label(), blockOpen)
}

// unsetHint names the variables that an include uses and that are not set.
func unsetHint(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return "the variable " + names[0] + " is not set"
	}
	return "the variables " + strings.Join(names, ", ") + " are not set"
}

// included decides include:rules. Without rules the file is included.
func (l *loading) included(rules *node, from Source) bool {
	if rules == nil || rules.kind == nullNode {
		return true
	}
	if rules.kind != seqNode {
		l.errorf(rules.at, "include", "include:rules must be a list, not %s", whatIs(rules))
		return false
	}
	if len(rules.items) == 0 {
		l.errorf(rules.at, "include", "include:rules must not be empty")
		return false
	}
	before := len(l.f.list)
	verdict, decided := false, false
	for _, rule := range flattened(rules) {
		matched, when := l.rule(rule, from)
		if matched && !decided {
			verdict, decided = when, true
		}
	}
	return verdict && !l.f.list[before:].HasErrors()
}

// rule checks one rule. It reports whether it matches, and whether the file is
// included then.
func (l *loading) rule(rule *node, from Source) (matched, when bool) {
	if rule.kind != mapNode {
		l.errorf(rule.at, "include", "a rule of an include is a map, not %s", whatIs(rule))
		return false, false
	}
	if len(rule.keys) == 0 {
		l.errorf(rule.at, "include", "a rule of an include must not be empty")
		return false, false
	}
	specReader{l.f}.onlyKeys(rule, "a rule of an include", "if", "exists", "changes", "when")
	when = true
	if n := rule.get("when"); n != nil && n.kind != nullNode {
		if when = n.text == "always"; !when && n.text != "never" {
			l.errorf(n.at, "include", "when in include:rules is always or never, not %s", shown(n))
			return false, false
		}
	}
	matched = true
	for i := range rule.keys {
		clause, holds, err := rule.keys[i].value, true, error(nil)
		if clause.kind == nullNode || !matched {
			continue
		}
		switch rule.keys[i].name {
		case "if":
			if clause.kind != stringNode {
				err = errs.E(errs.Invalid, "must be a string, not %s", whatIs(clause))
				break
			}
			holds, err = l.rules.If(clause.text, clause.at)
		case "exists":
			holds, err = l.rules.Exists(clause, from)
		case "changes":
			holds, err = l.rules.Changes(clause, from)
		}
		if err != nil {
			l.f.unreadable(clause, "include:rules:"+rule.keys[i].name, err)
		}
		matched = matched && holds && err == nil
	}
	return matched, when
}

func (l *loading) errorf(at diag.Place, rule, format string, args ...any) {
	l.f.errorf(at, "", rule, format, args...)
}

// unreachable reports a source that could not be read, with a hint.
func (l *loading) unreachable(inc inclusion, err error) {
	l.incomplete = true
	shown := l.redact.source(inc.source)
	if !errs.Is(err, errs.NotFound) {
		// What is named once needs not be named again.
		text := strings.TrimPrefix(l.redact.text(err.Error()), inc.source.Path+": ")
		if rest, ok := strings.CutPrefix(text, inc.source.Path+" is "); ok {
			text = "it is " + rest
		}
		l.errorf(inc.at, "include", "%s cannot be reached: %s", shown.phrase(), text)
		l.f.hint(cmp.Or(unsetHint(inc.unset), inc.source.configure()))
		return
	}
	l.errorf(inc.at, "include", "%s was not found: %s", shown.phrase(), l.redact.text(err.Error()))
	l.f.hint(unsetHint(inc.unset))
	if paths, err := l.paths(inc.source); err == nil && inc.source.Kind == SourceLocal {
		names := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !isYAMLName(p) })
		if near := diag.Nearest(inc.source.Path, names); near != "" {
			l.f.hint("did you mean \"" + near + "\"?")
		}
	}
}
