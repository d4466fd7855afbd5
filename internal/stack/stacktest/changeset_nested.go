package stacktest

import (
	"fmt"
	"slices"
	"strings"
)

// childChangeSet makes the change set of a nested stack.
func (s *Server) childChangeSet(parent *changeSet, owner, old *stack, d *declaration, properties map[string]any) (*changeSet, error) {
	to, err := s.childTarget(owner, parent.target, properties)
	if err != nil {
		return nil, err
	}
	kid := &changeSet{name: parent.name + "-" + d.name + "-" + s.suffix(), kind: "UPDATE", target: to, includeNested: true,
		parent: parent, root: parent, mode: parent.mode, children: map[string]*changeSet{}}
	if parent.root != nil {
		kid.root = parent.root
	}
	st := old
	if st == nil {
		kid.kind, kid.ownStack = "CREATE", true
		st = s.childStack(owner, d.name)
		s.enter(st, "REVIEW_IN_PROGRESS", "User Initiated", "")
	}
	if err := s.fill(kid, st); err != nil {
		kid.verdict, kid.verdictReason = "FAILED", strings.TrimPrefix(err.Error(), "ValidationError: ")
		st.changeSets = append(st.changeSets, kid)
	}
	parent.children[d.name] = kid
	return kid, nil
}

func (s *Server) childStack(owner *stack, logical string) *stack {
	st := s.newStack(owner.identity, owner.name+"-"+logical+"-"+s.suffix())
	st.parent, st.root = owner, owner.top()
	return st
}

// childTarget reads what a nested stack shall become.
func (s *Server) childTarget(owner *stack, from target, properties map[string]any) (target, error) {
	to := target{tags: from.tags, capabilities: from.capabilities, imports: map[string]string{}, importExisting: from.importExisting}
	body, err := s.fetch(text(properties["TemplateURL"]))
	if err != nil {
		return to, err
	}
	if to.template, err = parseTemplate(body); err != nil {
		return to, err
	}
	var list []given
	values, _ := properties["Parameters"].(map[string]any)
	for _, name := range sortedKeys(values) {
		list = append(list, given{name: name, value: text(values[name])})
	}
	if to.parameters, err = to.template.bind(list, nil); err != nil {
		return to, err
	}
	if err := to.transform(); err != nil {
		return to, err
	}
	return to, checkCapabilities(to)
}

// childRemoval is the change set of a nested stack that goes away.
func (s *Server) childRemoval(parent *changeSet, st *stack) *changeSet {
	to := st.target
	kid := &changeSet{name: parent.name + "-" + s.suffix(), kind: "UPDATE", target: to, parent: parent, root: parent, st: st,
		verdict: "CREATE_COMPLETE", left: 2, status: "CREATE_PENDING", execution: "UNAVAILABLE", created: s.tick()}
	kid.arn = fmt.Sprintf("arn:%s:cloudformation:%s:%s:changeSet/%s/%s", partition(st.identity.region), st.identity.region, st.identity.account, kid.name, s.uuid())
	c := &comparison{s: s, st: st, to: to}
	for _, name := range sortedKeys(st.resources) {
		c.remove(st.resources[name])
	}
	kid.changes = c.changes
	st.changeSets = append(st.changeSets, kid)
	parent.children["-"+st.name] = kid
	return kid
}

// discard forgets a change set, and the stack that was made for it.
func (s *Server) discard(cs *changeSet) {
	s.discardChildren(cs)
	cs.st.changeSets = slices.DeleteFunc(cs.st.changeSets, func(o *changeSet) bool { return o == cs })
	if cs.parent != nil {
		for name, kid := range cs.parent.children {
			if kid == cs {
				delete(cs.parent.children, name)
			}
		}
	}
	if cs.ownStack && cs.st.status == "REVIEW_IN_PROGRESS" {
		s.stacks = slices.DeleteFunc(s.stacks, func(o *stack) bool { return o == cs.st })
	}
}

func (s *Server) discardChildren(cs *changeSet) {
	for _, name := range sortedKeys(cs.children) {
		s.discard(cs.children[name])
	}
}
