package mask

import (
	"encoding/binary"
)

// exactMatcher finds patterns of 8 to 15 bytes, each only as a whole. Of the text
// every step-th group of four bytes is looked up, so that each pattern has one
// of its first step groups among them.
type exactMatcher struct {
	step   int
	filter [1 << groupBits / 64]uint64
	begin  [1 << groupBits / 64]uint64 // the first groups of texts
	places map[uint32][]exactPlace
	text   []string
	id     []int        // of each text in the matcher
	heads  [256][]int32 // first byte → texts that begin with it
	inside [256]bool    // bytes before the last one of a text
}

type exactPlace struct{ text, offset int32 }

const (
	groupSize = 4
	groupBits = 17 // size of the filter; 16 KiB stay in the fastest cache
)

// groupHash hashes to groupBits bits.
func groupHash(group uint32) uint32 { return group * 0x9E3779B1 >> (32 - groupBits) }

func newExactMatcher(patterns []pattern, ids []int) *exactMatcher {
	x := &exactMatcher{id: ids, places: make(map[uint32][]exactPlace)}
	shortest := minPiece
	for k, i := range ids {
		text := patterns[i].text
		x.text = append(x.text, text)
		shortest = min(shortest, len(text))
		x.heads[text[0]] = append(x.heads[text[0]], int32(k))
		for _, c := range []byte(text[:len(text)-1]) {
			x.inside[c] = true
		}
		h := groupHash(binary.LittleEndian.Uint32([]byte(text[:groupSize])))
		x.begin[h>>6] |= 1 << (h & 63)
	}
	x.step = shortest - groupSize + 1
	for k, text := range x.text {
		for offset := range x.step {
			g := binary.LittleEndian.Uint32([]byte(text[offset : offset+groupSize]))
			x.places[g] = append(x.places[g], exactPlace{int32(k), int32(offset)})
			h := groupHash(g)
			x.filter[h>>6] |= 1 << (h & 63)
		}
	}
	return x
}

// find appends to spans the places of the patterns in b.
func (x *exactMatcher) find(b []byte, spans []span) []span {
	for p := x.sample(b, 0); p >= 0; p = x.sample(b, p+x.step) {
		spans = x.at(b, p, binary.LittleEndian.Uint32(b[p:]), spans)
	}
	return spans
}

// sample returns the first of the places p, p+step… in b whose group may be in
// a pattern; -1 when there is none. Nearly all time is spent here, so the loop
// is written to keep its state in registers and to need no bounds checks.
func (x *exactMatcher) sample(b []byte, p int) int {
	if p > len(b) {
		return -1
	}
	rest, step := b[p:], x.step
	for len(rest) >= minPiece {
		h := groupHash(binary.LittleEndian.Uint32(rest))
		if x.filter[h>>6]&(1<<(h&63)) != 0 {
			return len(b) - len(rest)
		}
		rest = rest[step&(minPiece-1):]
	}
	for p = len(b) - len(rest); p+groupSize <= len(b); p += step {
		h := groupHash(binary.LittleEndian.Uint32(b[p:]))
		if x.filter[h>>6]&(1<<(h&63)) != 0 {
			return p
		}
	}
	return -1
}

func (x *exactMatcher) at(b []byte, p int, group uint32, spans []span) []span {
	for _, w := range x.places[group] {
		if start := p - int(w.offset); x.standsAt(b, start, w.text) {
			spans = append(spans, span{start, start + len(x.text[w.text])})
		}
	}
	return spans
}

func (x *exactMatcher) standsAt(b []byte, start int, k int32) bool {
	text := x.text[k]
	return start >= 0 && start+len(text) <= len(b) && string(b[start:start+len(text)]) == text
}

// hold returns how many bytes at the end of b, which is not empty, may be the
// beginning of a pattern.
func (x *exactMatcher) hold(b []byte) int {
	if !x.inside[b[len(b)-1]] { // the end of most lines
		return 0
	}
	for size := min(minPiece-2, len(b)); size > 0; size-- {
		tail := b[len(b)-size:]
		if size >= groupSize {
			h := groupHash(binary.LittleEndian.Uint32(tail))
			if x.begin[h>>6]&(1<<(h&63)) == 0 {
				continue
			}
		}
		for _, k := range x.heads[tail[0]] {
			if text := x.text[k]; len(text) > size && text[:size] == string(tail) {
				return size
			}
		}
	}
	return 0
}
