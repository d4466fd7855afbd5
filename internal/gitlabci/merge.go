package gitlabci

import "refline/internal/diag"

// maxBefore bounds how many overridden places a value remembers.
const maxBefore = 16

// merged merges upper over lower like GitLab's deep merge: maps key by key; any
// other value (list, null, !reference) replaces the old one.
func merged(lower, upper *node, b *budget) *node {
	if lower == nil || lower == upper {
		return upper
	}
	if lower.kind != mapNode || upper.kind != mapNode {
		return overriding(upper, lower)
	}
	if !b.take(upper.at, len(lower.keys)+len(upper.keys)) {
		return upper
	}
	set := newFields(len(lower.keys) + len(upper.keys))
	for _, fd := range lower.keys {
		set.put(fd)
	}
	for _, fd := range upper.keys {
		if old := set.find(fd.name); old != nil {
			fd.value = merged(old.value, fd.value, b)
		}
		set.put(fd)
	}
	n := overriding(upper, lower)
	n.keys = set.list
	return n.seal()
}

// overriding returns upper with the places of the values it replaces.
func overriding(upper, lower *node) *node {
	n := *upper
	before := make([]diag.Place, 0, len(lower.before)+1+len(upper.before))
	before = append(append(append(before, lower.before...), lower.at), upper.before...)
	n.before = before[:min(len(before), maxBefore)]
	return &n
}

// fields builds the keys of a map. A repeated key keeps its position.
type fields struct {
	list  []field
	index map[string]int // only for large maps
}

// indexFrom is the size from which an index is faster.
const indexFrom = 16

func newFields(capacity int) *fields {
	return &fields{list: make([]field, 0, capacity)}
}

func (s *fields) position(name string) int {
	if s.index != nil {
		if i, ok := s.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range s.list {
		if s.list[i].name == name {
			return i
		}
	}
	return -1
}

// find returns the field with this name, or nil. It is valid until the next put.
func (s *fields) find(name string) *field {
	if i := s.position(name); i >= 0 {
		return &s.list[i]
	}
	return nil
}

func (s *fields) put(fd field) {
	if i := s.position(fd.name); i >= 0 {
		s.list[i] = fd
		return
	}
	s.list = append(s.list, fd)
	switch {
	case s.index != nil:
		s.index[fd.name] = len(s.list) - 1
	case len(s.list) >= indexFrom:
		s.index = make(map[string]int, 2*cap(s.list))
		for i := range s.list {
			s.index[s.list[i].name] = i
		}
	}
}
