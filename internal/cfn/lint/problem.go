package lint

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// step is one step of the path to a value, with the place where it is written.
type step struct {
	parent *step
	name   string
	pos    cfn.Pos
	key    cfn.Pos // of the nearest key at or above the step
	exact  cfn.Pos // of the value, when pos is not at it
	depth  int
}

func (s *step) path() cfn.Path {
	if s == nil {
		return nil
	}
	out := make(cfn.Path, s.depth)
	for ; s != nil; s = s.parent {
		out[s.depth-1] = s.name
	}
	return out
}

func (s *step) len() int {
	if s == nil {
		return 0
	}
	return s.depth
}

// up returns the ancestor (or s itself) at a depth.
func (s *step) up(depth int) *step {
	for s != nil && s.depth > depth {
		s = s.parent
	}
	return s
}

// first returns the name at position i of the path, "" beyond it.
func (s *step) first(i int) string {
	if s == nil || s.depth <= i {
		return ""
	}
	return s.up(i + 1).name
}

// last is the name of the last step, "" of the root.
func (s *step) last() string {
	if s == nil {
		return ""
	}
	return s.name
}

// before orders two paths of one parent by their last step, as schemas do.
func (s *step) before(other *step) bool {
	return s != nil && other != nil && s.parent == other.parent && s.name < other.name
}

// has reports whether a name is among the steps.
func (s *step) has(name string) bool {
	for ; s != nil; s = s.parent {
		if s.name == name {
			return true
		}
	}
	return false
}

// place is where the engine is: the path in the template, and the generic
// path that rules are registered under, where a resource's name is its type and
// a list's index a star.
type place struct {
	path *step
	kind *step
	rule *trie
	// frozen keeps the path: below it are values that a function resolved to,
	// which the template does not have.
	frozen bool
}

func (p place) key(f cfn.Field) place {
	p = p.down(f.Name, f.Pos)
	if f.Pos.Line == 0 && f.Value != nil && !p.frozen {
		p.path.exact = f.Value.Pos
	}
	return p
}

func (p place) item(i int, n *cfn.Node) place {
	if p.frozen {
		return p
	}
	key := n.Pos
	if p.path != nil {
		key = p.path.key
	}
	s := &step{parent: p.path, name: strconv.Itoa(i), pos: n.Pos, key: key, depth: p.path.len() + 1}
	switch n.Kind {
	case cfn.String, cfn.List, cfn.Map:
		if s.pos.Line == 0 {
			s.pos = key
		}
	default:
		s.pos, s.exact = key, n.Pos // as cfn-lint has it
	}
	p.path = s
	return p
}

// down goes to a key. One without a place of its own has that of the key above.
func (p place) down(name string, pos cfn.Pos) place {
	if p.frozen {
		return p
	}
	if pos.Line == 0 && p.path != nil {
		pos = p.path.key
	}
	p.path = &step{parent: p.path, name: name, pos: pos, key: pos, depth: p.path.len() + 1}
	return p
}

// as moves along the generic path.
func (p place) as(name string) place {
	p.kind = &step{parent: p.kind, name: name, depth: p.kind.len() + 1}
	p.rule = p.rule.next(name)
	return p
}

// problem is something found, before it becomes a finding.
type problem struct {
	path    *step
	keyword string // of the schema, or of a function: fn_join, ref
	rule    string
	fixed   bool // the rule stays, whoever reports the problem
	message string
	hint    string
	unknown bool
	typed   bool // the value has the type that the schema asks for
	// origin replaces path when the value comes from elsewhere: the default of
	// a parameter.
	origin *step
	under  []problem // of the branches of anyOf and oneOf
}

type problems struct{ list []problem }

func (ps *problems) add(p problem) { ps.list = append(ps.list, p) }

func (ps *problems) unknown() bool {
	return slices.ContainsFunc(ps.list, func(p problem) bool { return p.unknown })
}

// known drops what could not be decided.
func (ps *problems) known() []problem {
	return slices.DeleteFunc(ps.list, func(p problem) bool { return p.unknown })
}

// best picks the most specific problem: the one nearest the root, and not one
// that only says that no branch fits; of such a one, the deepest of its
// branches. It follows best_match of Python's jsonschema.
func best(list []problem) (problem, bool) {
	if len(list) == 0 {
		return problem{}, false
	}
	top := list[0]
	for _, p := range list[1:] {
		if r := relevance(p, top); r > 0 || r == 0 && p.keyword == top.keyword && p.path.before(top.path) {
			top = p
		}
	}
	for len(top.under) > 0 {
		sorted := slices.Clone(top.under)
		slices.SortStableFunc(sorted, relevance)
		if len(sorted) > 1 && relevance(sorted[0], sorted[1]) == 0 {
			return top, true
		}
		top = sorted[0]
	}
	return top, true
}

func relevance(a, b problem) int {
	return cmp.Or(
		cmp.Compare(b.path.len(), a.path.len()),
		boolCompare(!weak(a), !weak(b)),
		boolCompare(!a.typed, !b.typed),
	)
}

func weak(p problem) bool { return p.keyword == "anyOf" || p.keyword == "oneOf" }

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// ruleset maps a schema's keyword to the rule that reports it.
type ruleset struct {
	id   string
	of   map[string]string
	near map[string]string // of the notes that a limit is near
}

func (r *ruleset) rule(keyword string) string {
	if r == nil {
		return "E1001"
	}
	if id, ok := r.of[keyword]; ok {
		return id
	}
	return r.id
}

// trie finds the rules of a generic path while the engine goes down it.
type trie struct {
	rules []*binding
	below map[string]*trie
}

func (t *trie) next(name string) *trie {
	if t == nil {
		return nil
	}
	return t.below[name]
}

func (t *trie) add(path string, b *binding) {
	for name := range strings.SplitSeq(path, "/") {
		if t.below == nil {
			t.below = map[string]*trie{}
		}
		if t.below[name] == nil {
			t.below[name] = &trie{}
		}
		t = t.below[name]
	}
	t.rules = append(t.rules, b)
}
