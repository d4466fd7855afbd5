package mask

// chunkSize bounds what is looked at in one step, and so the memory of a
// stream, whatever the size of writes.
const chunkSize = 64 << 10

// stream is the state of one masked stream between two writes.
type stream struct {
	set *Set

	// buf holds the last bytes of the stream: first masked bytes that were
	// given out as masked, which a further match may need; then tail bytes of
	// white space that end a masked run if it ends here; then bytes that may
	// be the beginning of a match.
	buf          []byte
	masked, tail int

	inMask bool    // the last byte given out was masked
	ctx    context // what came before buf
	spans  []span
}

// step is what one write passes on: text[from:to]; its spans are masked.
type step struct {
	text     []byte
	from, to int
	spans    []span // inside [from, to], apart from each other

	continues  bool // the first span goes on with the mask given out last
	keep, tail int  // text[keep:] stays; text[to:to+tail] is the tail
}

// next takes in p and returns what can be given out; with final, all of it.
// The step is valid until rest is called.
func (s *stream) next(p []byte, final bool) step {
	m := s.set.matcher()
	b := p
	if len(s.buf) > 0 {
		s.buf = append(s.buf, p...)
		b = s.buf
	}
	keep := len(b)
	if !final {
		keep -= m.hold(b)
	}
	out := step{text: b, from: s.masked, to: s.masked, keep: keep}
	s.spans = s.spans[:0]
	if n := s.masked + s.tail; n > 0 {
		s.spans = append(s.spans, span{0, n})
	}
	s.ctx.mask = s.inMask && s.masked+s.tail == 0
	s.spans = m.find(b, keep, s.spans, &s.ctx)
	if m.armour && !final {
		if keep = holdEnd(b, keep, s.spans, s.ctx.mask); keep < out.keep {
			out.keep = keep
		}
	}

	used := s.spans[:0]
	for _, sp := range s.spans {
		if sp.start > keep { // it waits for the held bytes before it
			break
		}
		start := max(sp.start, out.from)
		end := trimEnd(b, start, sp.end)
		if start < end {
			used = append(used, span{start, end})
		}
		out.to = sp.end
		if sp.end >= keep && !final { // the run may go on
			out.to, out.tail = end, sp.end-end
			keep = end
			break
		}
	}
	out.to = max(out.to, keep)
	out.keep = min(out.keep, out.to)
	out.spans = used
	out.continues = s.inMask && len(used) > 0 && used[0].start == out.from
	return out
}

// plain reports whether p can go on as it is: nothing of the stream is kept, p
// holds nothing to mask and its end is the beginning of nothing.
func (s *stream) plain(m *matcher, p []byte) bool {
	if len(s.buf) > 0 || len(p) == 0 || len(p) > chunkSize || m.hold(p) > 0 || m.armour && s.inMask || s.ctx.reading {
		return false
	}
	s.spans = m.matches(p, s.spans[:0])
	if len(s.spans) > 0 {
		return false
	}
	s.inMask = false
	if m.publics != nil {
		s.ctx.forward(p, len(p))
	}
	return true
}

// trimEnd leaves out white space at the end of a masked run, so that lines
// stay lines.
func trimEnd(b []byte, start, end int) int {
	for end > start && (b[end-1] == '\n' || b[end-1] == '\r' || b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	return end
}

// rest ends the step: what is not given out, and masked bytes in which a
// further match may begin, are kept.
func (s *stream) rest(st *step, final bool) {
	if n := len(st.spans); n > 0 {
		s.inMask = st.spans[n-1].end == st.to
	} else if st.to > st.from {
		s.inMask = false
	}
	if final {
		s.inMask = false
	}
	s.masked, s.tail = st.to-st.keep, st.tail
	s.ctx.forward(st.text, st.keep)
	s.buf = append(s.buf[:0], st.text[st.keep:]...)
}
