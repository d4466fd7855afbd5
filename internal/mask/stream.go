package mask

// chunkSize bounds what is looked at in one step, and so the memory of a
// stream, whatever the size of writes.
const chunkSize = 64 << 10

// stream is the state of one masked stream between two writes.
type stream struct {
	set *Set
	buf []byte // the last bytes: those of a match, then those held back

	masked int  // bytes at the start of buf that were given out, as masked
	inMask bool // the last byte given out was masked
	spans  []span
}

// step is what one write gives out: text[from:to], of which spans are masked.
type step struct {
	text     []byte
	from, to int
	spans    []span // inside [from, to]
	keep     int    // what follows is needed by the next step

	continues bool // the first span goes on with the mask given out last
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
	held := 0
	if !final {
		held = m.hold(b)
	}
	keep := len(b) - held
	s.spans = m.find(b, s.spans[:0])

	out := step{text: b, from: s.masked, to: s.masked}
	used := s.spans[:0]
	for _, sp := range s.spans {
		// A match further on waits for the held bytes before it.
		if sp.start > keep || sp.end <= out.from {
			continue
		}
		sp.start = max(sp.start, out.from)
		used = append(used, sp)
		out.to = sp.end
	}
	out.to = max(out.to, keep)
	out.spans = used
	out.keep = min(keep, out.to)
	out.continues = s.inMask && len(used) > 0 && used[0].start == out.from
	return out
}

// rest ends the step: what is not given out, and masked bytes in which a
// further match may begin, are kept.
func (s *stream) rest(st step, final bool) {
	if n := len(st.spans); n > 0 {
		s.inMask = st.spans[n-1].end == st.to
	} else if st.to > st.from {
		s.inMask = false
	}
	if final {
		s.inMask = false
	}
	s.masked = st.to - st.keep
	s.buf = append(s.buf[:0], st.text[st.keep:]...)
}
