package mask

import (
	"encoding/binary"
	"math/bits"
	"runtime"
	"slices"
	"sort"
	"sync"
)

// How pieces are found. A piece has at least minPiece-maxSoft bytes, so one of
// its grams starts at a multiple of sampleStep, wherever the piece lies. Only
// those grams of the text are looked up, in a Bloom filter of the grams of all
// patterns; the few that pass are compared with the patterns around them.
const (
	minPiece   = 16
	gramSize   = 6
	sampleStep = minPiece - maxSoft - gramSize + 1

	// maxSoft is how many soft bytes at the start of a piece are not needed to
	// recognise it. Prompts and lines end with soft bytes: without this rule a
	// secret that holds ": " would hold back the end of every prompt, and a key
	// with many lines the end of nearly every line.
	maxSoft = 2

	// reach is how far a piece can stretch to either side of one of its grams.
	reach = minPiece - gramSize

	gramMask   = 1<<(8*gramSize) - 1
	padding    = 8 // bytes after the last pattern, so that grams load as words
	multiplier = 0x9E3779B97F4A7C15
)

// soft reports whether text[i] ends prompts, or a line together with the line
// break after it, but begins nothing worth hiding.
func soft[T string | []byte](text T, i int) bool {
	switch text[i] {
	case ' ', '\t', '\r', '\n', ':', '>', '?', ']', ')', '$', '#', '%', '.', ',', ';':
		return true
	}
	return i+1 < len(text) && text[i+1] == '\n'
}

// pieceMatcher finds all pieces of its patterns in a text. It does not change: [grown]
// makes another one that shares most of it.
type pieceMatcher struct {
	filter []uint64             // Bloom filter of all grams, two bits of one word each
	shift  uint8                // hash >> shift is the word of filter
	heads  []uint64             // bits of the hashed first 3 to 5 bytes of pieces
	second [1 << 16 / 64]uint64 // bits of the first 2 bytes
	first  [256]bool
	grams  int     // different ones for which filter and heads are large enough
	parts  []*part // the larger ones first
}

// part holds the places of the grams of some of the patterns.
type part struct {
	arena  []byte   // the patterns, one after the other, then padding
	starts []uint32 // of the patterns in arena, and the end of the last one
	id     []int    // of each pattern in the matcher
	bucket []uint32 // hash >> bshift → first of its places in place
	bshift uint8
	place  []uint32              // places in arena of all grams, by bucket
	grams  int                   // before places that say the same were dropped
	heaps  [1 << heapBits]uint32 // how many grams each heap has
	sample []uint64              // the different hashes of one gram in sampleRate
}

// sampleRate is how many grams there are for each one that is counted.
const sampleRate = 64

// different returns about how many grams of the parts differ. Of dumps in hex
// there are many and few that differ.
func different(parts []*part) int {
	var all []uint64
	for _, p := range parts {
		all = append(all, p.sample...)
	}
	slices.Sort(all)
	return sampleRate * len(slices.Compact(all))
}

// grown returns a matcher with the patterns of ids too; x may be nil. The cost is
// that of the new patterns: they become a part of their own, and each pattern
// is sorted again only when the part it is in has become half as large as the
// one before.
func (x *pieceMatcher) grown(patterns []pattern, ids []int) *pieceMatcher {
	out := &pieceMatcher{}
	if x != nil {
		*out = *x
		out.parts = slices.Clone(x.parts)
	}
	added := layOut(patterns, ids)
	if grams := different(append(out.parts, added)); x == nil || bits.Len(uint(grams)) > bits.Len(uint(x.grams)) {
		out.allocate(grams)
		for _, p := range out.parts {
			out.note(p)
		}
	} else {
		out.filter, out.heads = slices.Clone(x.filter), slices.Clone(x.heads)
	}
	added.fill(out)
	out.noteHeads(added)
	for n := len(out.parts); n > 0 && out.parts[n-1].grams < 2*added.grams; n-- {
		added = layOut(patterns, slices.Concat(out.parts[n-1].id, added.id))
		added.fill(nil)
		out.parts = out.parts[:n-1]
	}
	out.parts = append(out.parts, added)
	return out
}

// allocate makes filter and heads for so many different grams: 16 to 32 bits for
// each, half of it where more would not fit into a cache.
func (x *pieceMatcher) allocate(grams int) {
	const cached = 17 // a filter of 1 MiB
	log := bits.Len(uint(grams))
	words := max(10, min(log-2, cached), log-3)
	x.grams, x.shift = grams, uint8(64-words)
	x.filter, x.heads = make([]uint64, 1<<words), make([]uint64, 1<<max(10, log-2))
}

// eachOf calls do with 0 to n-1, at the same time.
func eachOf(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// note puts the grams and the beginnings of a part into filter and heads.
func (x *pieceMatcher) note(p *part) {
	p.eachGram(func(_ uint32, hash uint64) { x.filter[hash>>x.shift] |= filterBits(hash) })
	x.noteHeads(p)
}

// layOut returns a part that is not filled yet.
func layOut(patterns []pattern, ids []int) *part {
	x := &part{id: ids}
	size := padding
	for _, i := range ids {
		size += len(patterns[i].text)
		x.grams += len(patterns[i].text) - gramSize + 1
	}
	x.arena = make([]byte, 0, size)
	x.starts = make([]uint32, 0, len(ids)+1)
	for _, i := range ids {
		x.starts = append(x.starts, uint32(len(x.arena)))
		x.arena = append(x.arena, patterns[i].text...)
	}
	x.starts = append(x.starts, uint32(len(x.arena)))
	x.arena = append(x.arena, make([]byte, padding)...)
	x.eachGram(func(_ uint32, hash uint64) {
		x.heaps[hash>>(64-heapBits)]++
		if hash>>46%sampleRate == 0 {
			x.sample = append(x.sample, hash)
		}
	})
	slices.Sort(x.sample)
	x.sample = slices.Clone(slices.Compact(x.sample))
	return x
}

// heapBits is how many bits of the hash say to which heap a gram belongs. The
// tables for one heap fit into the fastest cache while they are filled.
const heapBits = 8

// heaped is a gram in its heap: its place, and the bits of its hash that follow
// those of the heap.
type heaped struct{ at, hash uint32 }

// fill sorts the places of all grams into buckets, heap by heap, on several
// processors, and notes the grams in the filter of m, which may be nil.
func (x *part) fill(m *pieceMatcher) {
	log := max(heapBits, bits.Len(uint(different([]*part{x}))))
	x.bshift = uint8(64 - log)
	x.bucket = make([]uint32, 1<<log+1)
	x.place = make([]uint32, x.grams)
	var ends [1 << heapBits]uint32
	var sum uint32
	for i, n := range x.heaps {
		ends[i] = sum
		sum += n
	}
	all := make([]heaped, x.grams)
	x.eachGram(func(at uint32, hash uint64) {
		end := &ends[hash>>(64-heapBits)]
		all[*end] = heaped{at, uint32(hash >> (32 - heapBits))}
		*end++
	})
	workers := 1
	if x.grams > 1<<20 {
		workers = min(runtime.GOMAXPROCS(0), 4)
	}
	eachOf(workers, func(worker int) {
		for i := worker; i < len(ends); i += workers {
			x.fillHeap(i, ends[i]-x.heaps[i], all[ends[i]-x.heaps[i]:ends[i]], m)
		}
	})
	x.bucket[len(x.bucket)-1] = sum
	x.dedupe()
}

// fillHeap fills the buckets of one heap, whose places begin at from.
func (x *part) fillHeap(heap int, from uint32, grams []heaped, m *pieceMatcher) {
	top := uint64(heap) << (64 - heapBits)
	bucket := x.bucket[top>>x.bshift:]
	bucket = bucket[:1<<(64-heapBits-x.bshift)]
	shift := (x.bshift - (32 - heapBits)) & 31
	mask := uint32(len(bucket) - 1)
	for _, g := range grams {
		bucket[g.hash>>shift&mask]++
	}
	for i, n := range bucket {
		from += n
		bucket[i] = from
	}
	for _, g := range grams {
		b := &bucket[g.hash>>shift&mask]
		*b--
		x.place[*b] = g.at
	}
	if m == nil {
		return
	}
	for _, g := range grams {
		hash := top | uint64(g.hash)<<(32-heapBits)
		m.filter[hash>>m.shift] |= filterBits(hash)
	}
}

func (x *part) eachGram(do func(at uint32, hash uint64)) {
	for k := len(x.starts) - 2; k >= 0; k-- { // backwards, so that the first pattern comes first in a bucket
		for at := int(x.starts[k+1]) - gramSize; at >= int(x.starts[k]); at-- {
			do(uint32(at), gramAt(x.arena, at)*multiplier)
		}
	}
}

// gramAt returns the gram at b[i:]; b must go on for 8 bytes.
func gramAt(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) & gramMask }

// lastGram returns the gram at b[i:] near the end of b.
func lastGram(b []byte, i int) uint64 {
	return uint64(binary.LittleEndian.Uint32(b[i:])) | uint64(binary.LittleEndian.Uint16(b[i+4:]))<<32
}

// filterBits takes middle bits of the hash: the low ones know little of the
// gram, the high ones choose the word.
func filterBits(hash uint64) uint64 { return 1<<(hash>>34&63) | 1<<(hash>>40&63) }

// crowded is from how many places on a bucket slows lookups.
const crowded = 512

// dedupe drops places whose surroundings are the same as those of another
// place in the bucket. Without it a pattern such as a long run of one byte,
// or many secrets with the same beginning, would make lookups slow.
func (x *part) dedupe() {
	out := x.place[:0]
	from := x.bucket[0]
	for b := range len(x.bucket) - 1 {
		to := x.bucket[b+1]
		places := x.place[from:to]
		x.bucket[b] = uint32(len(out))
		switch {
		case len(places) >= crowded && x.alike(places):
			seen := make(map[surroundings]bool, len(places))
			for _, at := range places {
				if key := x.around(at); !seen[key] {
					seen[key] = true
					out = append(out, at)
				}
			}
		case len(out) == int(from): // nothing was dropped before
			out = x.place[:to]
		default:
			out = append(out, places...)
		}
		from = to
	}
	x.bucket[len(x.bucket)-1] = uint32(len(out))
	x.place = out
}

// alike reports whether many of the places have the same surroundings, as far
// as some of them show.
func (x *part) alike(places []uint32) bool {
	const probes = 64
	seen := make(map[surroundings]bool, probes)
	for i := range probes {
		seen[x.around(places[i*len(places)/probes])] = true
	}
	return len(seen) <= probes*3/4
}

// around returns the surroundings of a place.
func (x *part) around(at uint32) surroundings {
	s, e := x.bounds(at)
	left, right := max(s, int(at)-reach-maxSoft), min(e, int(at)+minPiece)
	out := surroundings{before: byte(int(at) - left), after: byte(right - int(at))}
	copy(out.text[:], x.arena[left:right])
	return out
}

// surroundings is what a lookup compares around a place.
type surroundings struct {
	text          [reach + maxSoft + minPiece]byte
	before, after byte
}

// owner returns the index in starts of the pattern that arena[at] belongs to.
func (x *part) owner(at uint32) int {
	return sort.Search(len(x.starts), func(k int) bool { return x.starts[k] > at }) - 1
}

// bounds returns the pattern around arena[at].
func (x *part) bounds(at uint32) (start, end int) {
	k := x.owner(at)
	return int(x.starts[k]), int(x.starts[k+1])
}

// softBefore counts the soft bytes just before arena[at] that a piece starting
// there leaves out. A piece may start at at when arena[at] is hard or all
// maxSoft bytes before it are soft; it then needs minPiece minus the count.
func (x *part) softBefore(at, start int) (n int, mayStart bool) {
	for n < maxSoft && at-n > start && soft(x.arena, at-n-1) {
		n++
	}
	return n, n == maxSoft || !soft(x.arena, at)
}

// candidates returns the places that may hold gram; some hold others.
func (x *part) candidates(hash uint64) []uint32 {
	b := hash >> x.bshift
	return x.place[x.bucket[b]:x.bucket[b+1]]
}

// passes reports whether a gram with this hash may be in a pattern.
func (x *pieceMatcher) passes(hash uint64) bool {
	want := filterBits(hash)
	return x.filter[hash>>x.shift]&want == want
}

// find appends to spans the pieces in b.
func (x *pieceMatcher) find(b []byte, spans []span) []span {
	for p := x.sample(b, 0); p >= 0; p = x.sample(b, p+sampleStep) {
		if x.neighbour(b, p) {
			spans = x.around(b, p, spans)
		}
	}
	return spans
}

// sample returns the first of the places p, p+sampleStep… in b whose gram may
// be in a pattern; -1 when there is none. Nearly all time is spent here, so
// the loop is written to keep its state in registers.
func (x *pieceMatcher) sample(b []byte, p int) int {
	if p > len(b) {
		return -1
	}
	rest, filter, shift := b[p:], x.filter, x.shift&63
	for len(rest) >= sampleStep {
		hash := (binary.LittleEndian.Uint64(rest) & gramMask) * multiplier
		want := filterBits(hash)
		if filter[hash>>shift]&want == want {
			return len(b) - len(rest)
		}
		rest = rest[sampleStep:]
	}
	if len(rest) >= gramSize && x.passes(lastGram(rest, 0)*multiplier) {
		return len(b) - len(rest)
	}
	return -1
}

// neighbour reports whether the gram that starts half of a piece's remaining
// bytes before or after the one at b[p:] may be in a pattern too. One of the
// two must be in any piece that holds the gram at b[p:].
func (x *pieceMatcher) neighbour(b []byte, p int) bool {
	const distance = (minPiece - maxSoft - gramSize) / 2
	return p >= distance && x.passes(lastGram(b, p-distance)*multiplier) ||
		p+distance+gramSize <= len(b) && x.passes(lastGram(b, p+distance)*multiplier)
}

// around appends the union of the pieces around the gram at b[p:].
func (x *pieceMatcher) around(b []byte, p int, spans []span) []span {
	gram := lastGram(b, p)
	union := span{start: p, end: p}
	for _, part := range x.parts {
		for _, at := range part.candidates(gram * multiplier) {
			if gramAt(part.arena, int(at)) != gram {
				continue
			}
			if start, end, ok := part.extend(b, p, at); ok {
				union.start, union.end = min(union.start, start), max(union.end, end)
			}
		}
	}
	if union.end > p {
		spans = append(spans, union)
	}
	return spans
}

// extend compares b around p with the pattern around arena[at], where their
// grams are equal, and returns the union of the pieces that both share.
func (x *part) extend(b []byte, p int, at uint32) (start, end int, ok bool) {
	a := int(at)
	left, right := 0, gramSize
	for left < min(reach, a, p) && b[p-left-1] == x.arena[a-left-1] {
		left++
	}
	for right < minPiece && a+right < len(x.arena) && p+right < len(b) && b[p+right] == x.arena[a+right] {
		right++
	}
	if left+right < minPiece-maxSoft {
		return 0, 0, false
	}
	s, e := x.bounds(at)
	left, right = min(left, a-s), min(right, e-a)
	for ; left >= 0; left-- {
		n, mayStart := x.softBefore(a-left, s)
		if mayStart {
			return p - left, p + right, left+right+n >= minPiece
		}
	}
	return 0, 0, false
}
