package mask

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// claim is what one form of one secret explains of a run of masked bytes.
type claim struct {
	name  string
	form  Form
	order int // of its first pattern: earlier forms are simpler
	bytes []bool
}

func (c *claim) mark(start, end int) {
	for i := start; i < end; i++ {
		c.bytes[i] = true
	}
}

func (c *claim) add(other *claim) {
	for i, b := range other.bytes {
		c.bytes[i] = c.bytes[i] || b
	}
}

func (c *claim) count() (n int) {
	for _, b := range c.bytes {
		if b {
			n++
		}
	}
	return n
}

// identify returns the secrets in a run: the form that explains most of it,
// then those that explain most of what is left.
func (m *matcher) identify(run []byte) []Match {
	claims := m.claims(run)
	var found []Match
	for len(claims) > 0 {
		best := slices.MinFunc(claims, func(a, b *claim) int {
			return cmp.Or(cmp.Compare(b.count(), a.count()), cmp.Compare(a.order, b.order))
		})
		first := slices.Index(best.bytes, true)
		if first < 0 {
			break
		}
		found = append(found, Match{Offset: int64(first), Length: int64(best.count()), Name: best.name, Form: best.form})
		for _, c := range claims {
			for i, taken := range best.bytes {
				if taken && c != best {
					c.bytes[i] = false
				}
			}
		}
		clear(best.bytes)
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(a.Offset, b.Offset) })
	return found
}

// claims collects what each form of each secret explains. Forms that differ
// from another only here and there have patterns for the differences alone,
// so they claim what the other does.
func (m *matcher) claims(run []byte) []*claim {
	type key struct {
		name string
		form Form
	}
	byKey := make(map[key]*claim)
	mark := func(pattern, start, end int) {
		k := key{m.patterns[pattern].name, m.patterns[pattern].form}
		c := byKey[k]
		if c == nil {
			c = &claim{name: k.name, form: k.form, order: pattern, bytes: make([]bool, len(run))}
			byKey[k] = c
		}
		c.order = min(c.order, pattern)
		c.mark(start, end)
	}
	if m.pieces != nil {
		for _, p := range m.pieces.parts {
			p.each(run, mark)
		}
	}
	if m.exact != nil {
		m.exact.each(run, mark)
	}
	var claims []*claim
	for k, c := range byKey {
		base := Raw
		switch k.form {
		case Base64URL:
			base = Base64
		case Base64, Hex, Raw:
			base = k.form
		}
		if b := byKey[key{k.name, base}]; b != nil && b != c {
			c.add(b)
		}
		claims = append(claims, c)
	}
	return claims
}

// each reports what every pattern shares with b at every place.
func (x *part) each(b []byte, do func(pattern, start, end int)) {
	for p := 0; p+gramSize <= len(b); p++ {
		gram := lastGram(b, p)
		for _, at := range x.candidates(gram * multiplier) {
			if gramAt(x.arena, int(at)) != gram {
				continue
			}
			if start, end, ok := x.extend(b, p, at); ok {
				do(x.id[x.owner(at)], start, end)
			}
		}
	}
}

// each reports every place of every pattern in b.
func (x *exactMatcher) each(b []byte, do func(pattern, start, end int)) {
	for p := 0; p+groupSize <= len(b); p++ {
		group := binary.LittleEndian.Uint32(b[p:])
		for _, w := range x.places[group] {
			if start := p - int(w.offset); w.offset == 0 && x.standsAt(b, start, w.text) {
				do(x.id[w.text], start, start+len(x.text[w.text]))
			}
		}
	}
}
