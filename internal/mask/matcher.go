package mask

import "slices"

// span is a stretch of a text, start included, end not.
type span struct{ start, end int }

// matcher is a compiled set. It does not change; all writers share it.
type matcher struct {
	patterns []pattern
	pieces   *pieceMatcher // nil when no pattern is long enough
	exact    *exactMatcher // nil when all patterns are
	publics  *publics      // nil when no secret is a key with a public half
	armour   bool          // a secret is a key with armour
	pairs    [1 << 16 / 64]uint64
	first    [256]bool // bytes that begin a match
}

// grown compiles patterns. m, which may be nil, has the first ones
// already.
func (m *matcher) grown(patterns []pattern, publics []public, armour bool) *matcher {
	out := &matcher{}
	if m != nil {
		*out = *m
	}
	out.armour = armour
	if known := len(out.publics.texts()); known < len(publics) {
		out.publics = out.publics.grown(publics[known:])
	}
	known := len(out.patterns)
	out.patterns = patterns[:len(patterns):len(patterns)]
	var long, short []int
	for i, p := range out.patterns[known:] {
		if len(p.text) >= minPiece {
			long = append(long, known+i)
		} else {
			short = append(short, known+i)
		}
		for j := 1; j < len(p.text); j++ {
			pair := uint16(p.text[j-1])<<8 | uint16(p.text[j])
			out.pairs[pair>>6] |= 1 << (pair & 63)
		}
	}
	if long != nil {
		out.pieces = out.pieces.grown(out.patterns, long)
		for c, begins := range out.pieces.first {
			out.first[c] = out.first[c] || begins
		}
	}
	if short != nil {
		if out.exact != nil {
			short = slices.Concat(out.exact.id, short)
		}
		out.exact = newExactMatcher(out.patterns, short)
		for _, text := range out.exact.text {
			out.first[text[0]] = true
		}
	}
	return out
}

// find appends what is to be masked in b to spans, in order, apart from each
// other: spans that touch are one. c says what comes before b; it is brought
// forward to b[:keep], from where on the text will be looked at again.
func (m *matcher) find(b []byte, keep int, spans []span, c *context) []span {
	before := len(spans)
	spans = m.matches(b, spans)
	if m.publics != nil && (len(spans) > before || c.reading) {
		found, masked := mergeSpans(spans[before:]), -1
		if before > 0 {
			masked = spans[before-1].end
		} else if c.mask {
			masked = 0
		}
		spans = append(spans[:before], m.publics.leaveOut(b, keep, masked, found, c)...)
	}
	spans = mergeSpans(spans)
	if m.armour && (len(spans) > 0 || c.mask) {
		spans = mergeSpans(joinArmour(b, spans, c.mask))
	}
	return spans
}

// matches appends the places of all patterns in b.
func (m *matcher) matches(b []byte, spans []span) []span {
	if m.pieces != nil {
		spans = m.pieces.find(b, spans)
	}
	if m.exact != nil {
		spans = m.exact.find(b, spans)
	}
	return spans
}

// mergeSpans sorts spans and joins those that touch.
func mergeSpans(spans []span) []span {
	if len(spans) < 2 {
		return spans
	}
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	out := spans[:1]
	for _, s := range spans[1:] {
		if last := &out[len(out)-1]; s.start <= last.end {
			last.end = max(last.end, s.end)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// hold returns how many bytes at the end of b may be the beginning of a match:
// fewer than minPiece, more only after the first line of a key.
func (m *matcher) hold(b []byte) int {
	held := m.holdMatch(b)
	if m.armour {
		held = holdArmour(b, held)
	}
	return held
}

// holdMatch returns how many bytes at the end of b, fewer than minPiece, may be
// the beginning of a match.
func (m *matcher) holdMatch(b []byte) int {
	n := len(b)
	if n == 0 {
		return 0
	}
	if n > 1 {
		if pair := uint16(b[n-2])<<8 | uint16(b[n-1]); m.pairs[pair>>6]&(1<<(pair&63)) == 0 {
			n = 1
		}
	}
	if n == 1 {
		if m.first[b[len(b)-1]] {
			return 1
		}
		return 0
	}
	held := 0
	if m.pieces != nil {
		held = m.pieces.hold(b)
	}
	if m.exact != nil {
		held = max(held, m.exact.hold(b))
	}
	return held
}
