package mask

import "math/bits"

// headSize is the longest beginning of a piece that heads knows; longer ones
// hold a gram.
const headSize = gramSize - 1

// noteHeads puts the beginnings of pieces into heads. Hex and its like have few
// different ones: those seen lately are passed over.
func (x *pieceMatcher) noteHeads(p *part) {
	lately := make([]uint64, 1<<min(16, max(8, bits.Len(uint(p.grams)))))
	shift := 64 - bits.Len(uint(len(lately)-1))
	for k := range len(p.starts) - 1 {
		start, end := int(p.starts[k]), int(p.starts[k+1])
		for at := start; at+minPiece-maxSoft <= end; at++ {
			word := gramAt(p.arena, at)
			head := word&(1<<(8*headSize)-1) | 1<<63
			slot := &lately[head*multiplier>>shift]
			if *slot == head {
				continue
			}
			if n, mayStart := p.softBefore(at, start); !mayStart || at-n+minPiece > end {
				continue
			}
			*slot = head
			x.first[p.arena[at]] = true
			x.second[word>>6&(1<<10-1)] |= 1 << (word & 63)
			line := x.headLine(word)
			for size := 3; size <= headSize; size++ {
				w, bit := headBit(word, size)
				line[w] |= bit
			}
		}
	}
}

// headLine returns where in heads the bits of word are: one line of the cache
// has those of all beginnings with the same three bytes.
func (x *pieceMatcher) headLine(word uint64) *[8]uint64 {
	h := word & (1<<24 - 1) * multiplier >> 38
	return (*[8]uint64)(x.heads[h&uint64(len(x.heads)/8-1)*8:])
}

// headBit returns the bit of the size first bytes of word in its line.
func headBit(word uint64, size int) (index, bit uint64) {
	h := (word&(1<<(8*size)-1) | uint64(size)<<56) * multiplier
	return h >> 61, 1 << (h >> 55 & 63)
}

// hold returns how many bytes at the end of b may be the beginning of a piece.
func (x *pieceMatcher) hold(b []byte) int {
	n := len(b)
	if n >= gramSize {
		if gram := lastGram(b, n-gramSize); x.passes(gram * multiplier) {
			held := 0
			for _, part := range x.parts {
				for _, at := range part.candidates(gram * multiplier) {
					if gramAt(part.arena, int(at)) == gram {
						held = max(held, part.holdFor(b, at))
					}
				}
			}
			if held > 0 {
				return held
			}
		}
	}
	// A beginning of five bytes is asked for only when all shorter beginnings
	// of it exist too, which makes a false hold by hash collision rare.
	var word uint64
	for i, c := range b[max(0, n-headSize):] {
		word |= uint64(c) << (8 * i)
	}
	for size := min(headSize, n); size > 0; size, word = size-1, word>>8 {
		ok := x.first[word&0xff] && (size < 2 || x.second[word>>6&(1<<10-1)]&(1<<(word&63)) != 0)
		if ok && size >= 3 {
			line := x.headLine(word)
			for i := 3; i <= size && ok; i++ {
				w, bit := headBit(word, i)
				ok = line[w]&bit != 0
			}
		}
		if ok {
			return size
		}
	}
	return 0
}

// holdFor is hold for the pattern around arena[at], whose gram ends b.
func (x *part) holdFor(b []byte, at uint32) int {
	s, e := x.bounds(at)
	a, p := int(at), len(b)-gramSize
	left := 0
	for left < reach && a-left > s && p-left > 0 && b[p-left-1] == x.arena[a-left-1] {
		left++
	}
	for ; left >= 0; left-- {
		n, mayStart := x.softBefore(a-left, s)
		end := min(e, a-left+minPiece) // of the longest piece that starts here
		if soft(x.arena, a-left) {
			end = min(e, a-left-n+minPiece) // such a start has left out as much as it may
		}
		if mayStart && end > a+gramSize && end >= a-left-n+minPiece {
			return left + gramSize
		}
	}
	return 0
}
