package mask

// headSize is the longest beginning of a piece that heads knows; longer ones
// hold a gram.
const headSize = gramSize - 1

// addHead notes the first bytes of the piece that starts at arena[at], if one
// may start there.
func (x *pieces) addHead(at uint32, k int) {
	s, e := int(x.starts[k]), int(x.starts[k+1])
	n, mayStart := x.softBefore(int(at), s)
	if !mayStart || int(at)-n+minPiece > e {
		return
	}
	x.first[x.arena[at]] = true
	for size := 2; size <= headSize; size++ {
		h := headHash(x.arena[at : int(at)+size])
		x.heads[h>>6%uint64(len(x.heads))] |= 1 << (h & 63)
	}
}

func headHash(head []byte) uint64 {
	h := uint64(len(head))
	for _, c := range head {
		h = h<<8 | uint64(c)
	}
	h *= multiplier
	return h ^ h>>32
}

func (x *pieces) isHead(head []byte) bool {
	h := headHash(head)
	return x.heads[h>>6%uint64(len(x.heads))]&(1<<(h&63)) != 0
}

// hold returns how many bytes at the end of b may be the beginning of a piece.
func (x *pieces) hold(b []byte) int {
	n := len(b)
	if n >= gramSize {
		if gram := lastGram(b, n-gramSize); x.passes(gram * multiplier) {
			held := 0
			for _, at := range x.candidates(gram * multiplier) {
				if gramAt(x.arena, int(at)) == gram {
					held = max(held, x.holdFor(b, at))
				}
			}
			if held > 0 {
				return held
			}
		}
	}
	// A beginning of five bytes is asked for only when all shorter beginnings
	// of it exist too, which makes a false hold by hash collision rare.
	for size := min(headSize, n); size > 0; size-- {
		head, ok := b[n-size:], true
		for i := 1; i <= size && ok; i++ {
			ok = i == 1 && x.first[head[0]] || i > 1 && x.isHead(head[:i])
		}
		if ok {
			return size
		}
	}
	return 0
}

// holdFor is hold for the pattern around arena[at], whose gram ends b.
func (x *pieces) holdFor(b []byte, at uint32) int {
	s, e := x.bounds(at)
	a, p := int(at), len(b)-gramSize
	left := 0
	for left < reach && a-left > s && p-left > 0 && b[p-left-1] == x.arena[a-left-1] {
		left++
	}
	for ; left >= 0; left-- {
		n, mayStart := x.softBefore(a-left, s)
		end := min(e, a-left+minPiece) // of the longest piece that starts here
		if mayStart && end > a+gramSize && end >= a-left-n+minPiece {
			return left + gramSize
		}
	}
	return 0
}
