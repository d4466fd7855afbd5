package mask

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// public is the base64 of a public half: ssh-ed25519 AAAA…, a line of
// known_hosts, a PEM of a public key, a certificate. Parts of it are in the
// private key's own text too. Such a part is left alone only together with the
// digit before it, with which it is in no private text.
type public struct {
	text  string
	parts []int  // where in text such parts begin, in order
	name  string // the word before it, if such a part is at its start

	// constant is set for what keys and certificates of other people have too: it
	// is left alone wherever no masked text comes before it.
	constant bool
}

// need returns the position of the digit that must come before text[pos:]; -1
// if the name must.
func (p *public) need(pos int) int {
	i, exact := slices.BinarySearch(p.parts, pos)
	if !exact {
		i--
	}
	return p.parts[max(i, 0)] - 1
}

// windows knows all windows of minPiece digits of some texts, and takes some
// others for theirs too.
type windows [1 << 18 / 64]uint64

func windowBit(text []byte) (index, bit uint64) {
	h := (binary.LittleEndian.Uint64(text)*multiplier ^ binary.LittleEndian.Uint64(text[8:])) * multiplier
	return h >> 46 >> 6, 1 << (h >> 46 & 63)
}

func (w *windows) add(text []byte) {
	for i := 0; i+minPiece <= len(text); i++ {
		index, bit := windowBit(text[i:])
		w[index] |= bit
	}
}

// shared returns the public text of p after shift bytes of something else; ok
// is false if no private text has anything of it.
func (w *windows) shared(p []byte, shift int) (found public, ok bool) {
	text := encodeAt(p, shift)
	inside := false
	for i := 0; i+minPiece <= len(text); i++ {
		index, bit := windowBit(text[i:])
		was := inside
		if inside = w[index]&bit != 0; inside && !was {
			found.parts = append(found.parts, i)
		}
	}
	found.text = string(text)
	if len(found.parts) > 0 && found.parts[0] == 0 {
		r := sshReader{b: p}
		if found.name = string(r.field()) + " "; r.bad || shift > 0 { // where it begins cannot be seen
			found.parts = found.parts[1:]
		}
	}
	return found, len(found.parts) > 0
}

// constant returns the public text of what is the same in all keys of a kind.
func constant(p []byte, shift int) public {
	return public{text: string(encodeAt(p, shift)), parts: []int{0}, constant: true}
}

// encodeAt returns the digits that b gives in a base64 text in which it begins
// at offset, without those that hold bits of what is before or after it.
func encodeAt(b []byte, offset int) []byte {
	shift := offset % 3
	enc := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), b...))
	if (shift+len(b))%3 != 0 {
		enc = enc[:len(enc)-1]
	}
	return []byte(enc[[]int{0, 2, 3}[shift]:])
}

// unwrap drops line breaks.
func unwrap(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range text {
		if c != '\n' && c != '\r' {
			out = append(out, c)
		}
	}
	return out
}

// publicStep is how far apart the places of public texts are that are indexed.
const publicStep = 8

// publics finds public texts around what looks like a part of a private key.
type publics struct {
	list  []public
	index map[uint64][]publicPlace // 8 digits → where they are, every publicStep digits
}

type publicPlace struct{ text, pos int32 }

// grown returns publics with more texts; x may be nil.
func (x *publics) grown(more []public) *publics {
	out := &publics{index: make(map[uint64][]publicPlace)}
	if x != nil {
		more = append(x.list[:len(x.list):len(x.list)], more...)
	}
	out.list = more
	for i, p := range more {
		for pos := 0; pos+8 <= len(p.text); pos += publicStep {
			g := binary.LittleEndian.Uint64([]byte(p.text[pos:]))
			out.index[g] = append(out.index[g], publicPlace{int32(i), int32(pos)})
		}
	}
	return out
}

func (x *publics) texts() []public {
	if x == nil {
		return nil
	}
	return x.list
}

// maxGap is the longest text between two lines of a public text: a time, a
// prefix, a colour.
const maxGap = 256

// contextSize is how much a stream remembers of what it has given out, so that
// the head of a public text is seen.
const contextSize = 128

// context is what is known of the text before the one that is looked at.
type context struct {
	last []byte // the last bytes, and some before them
	mask bool   // they were masked

	// A public text that was being read: text[:pos] of it, up to offset at, which
	// is negative when it is in before.
	text, pos, at int
	reading       bool
}

// forward makes c say what comes before b[n:].
func (c *context) forward(b []byte, n int) {
	c.at -= n
	c.reading = c.reading && -c.at <= maxGap
	b = b[max(0, n-contextSize):n]
	if len(c.last)+len(b) > 8*contextSize { // rarely, so that most writes only append
		c.last = append(c.last[:0], c.before()...)
	}
	c.last = append(c.last, b...)
}

// before returns the last contextSize bytes.
func (c *context) before() []byte { return c.last[max(0, len(c.last)-contextSize):] }

// advance follows the public text that is being read through b[:to].
func (x *publics) advance(b []byte, to int, c *context) {
	if c.reading && c.at >= 0 && c.at < to {
		c.at, c.pos = follow(x.list[c.text].text, c.pos, b, c.at, to)
	}
}

// leaveOut takes public texts out of spans. c says what came before b and is
// brought forward to b[:keep].
//
// A span that goes on with masked text is not a public one: masked is where in b
// such text ends, -1 if there is none.
func (x *publics) leaveOut(b []byte, keep, masked int, spans []span, c *context) []span {
	now := *c
	x.advance(b, len(b), &now)
	x.advance(b, keep, c)
	out := spans[:0]
	for _, s := range spans {
		if s.start <= masked {
			out = append(out, s)
			continue
		}
		if !now.reading || s.start >= now.at {
			if x.isConstant(b, s) {
				continue
			}
			text, pos, at, ok := x.continues(b, s, &now)
			if !ok {
				at = s.start
				text, pos, ok = x.begins(b, s, c.before(), false)
			}
			if !ok {
				out = append(out, s)
				continue
			}
			now.text, now.reading = text, true
			now.at, now.pos = follow(x.list[text].text, pos, b, at, len(b))
			if at < keep {
				c.text, c.reading = text, true
				c.at, c.pos = follow(x.list[text].text, pos, b, at, keep)
			}
		}
		end := now.at
		for end < s.end && lineBreak(b[end]) {
			end++
		}
		if s.end-end > edge {
			out = append(out, span{end, s.end})
		}
	}
	return out
}

// continues reports whether a span goes on where a public text was left, and
// where in b.
func (x *publics) continues(b []byte, s span, c *context) (text, pos, at int, ok bool) {
	if !c.reading || s.start-c.at > maxGap {
		return 0, 0, 0, false
	}
	p := x.list[c.text].text
	rest := len(p) - c.pos
	for at = s.start; at < min(s.start+edge, s.end) && rest > 0; at++ {
		if end, _ := follow(p, c.pos, b, at, s.end); end-at >= min(minPiece/2, s.end-at, rest) {
			return c.text, c.pos, at, true
		}
	}
	return 0, 0, 0, false
}

// edge is how many bytes beside a public text can be the same in a private one by
// chance: digits that hold bits of both, a line break.
const edge = 3

// isConstant reports whether a span is what keys of other people have too.
func (x *publics) isConstant(b []byte, s span) bool {
	for i := s.start; i <= s.start+edge && i < s.end; i++ {
		text, pos, ok := x.begins(b, span{i, s.end}, nil, true)
		if !ok || !x.list[text].constant {
			continue
		}
		end, _ := follow(x.list[text].text, pos, b, i, s.end)
		return s.end-end <= edge
	}
	return false
}

// begins reports whether a span is in a public text whose head is before it;
// with constants, whether it is in a constant one.
func (x *publics) begins(b []byte, s span, before []byte, constants bool) (text, pos int, ok bool) {
	var digits [2 * publicStep]byte
	n := 0
	for i := s.start; i < s.end && n < len(digits); i++ {
		if !lineBreak(b[i]) {
			digits[n] = standardDigit(b[i])
			n++
		}
	}
	for i := 0; i < publicStep && i+8 <= n; i++ {
		for _, at := range x.index[binary.LittleEndian.Uint64(digits[i:])] {
			p := &x.list[at.text]
			pos := int(at.pos) - i
			if pos < p.parts[0] || !p.has(pos, digits[:n]) {
				continue
			}
			if p.constant != constants {
				continue
			}
			if p.constant || p.reaches(pos, b, s.start, before) {
				return int(at.text), pos, true
			}
		}
	}
	return 0, 0, false
}

// has reports whether text[pos:] begins with digits, as far as it goes.
func (p *public) has(pos int, digits []byte) bool {
	rest := p.text[pos:]
	n := min(len(rest), len(digits))
	return rest[:n] == string(digits[:n])
}

// reaches reports whether the text before b[i:], where text[pos:] of p begins,
// is p down to what it needs.
func (p *public) reaches(pos int, b []byte, i int, before []byte) bool {
	last := func() (c byte) {
		if i--; i >= 0 {
			c = b[i]
		} else if len(before)+i >= 0 {
			c = before[len(before)+i]
		}
		return c
	}
	for need := p.need(pos); pos > max(need, 0); {
		c := last()
		if lineBreak(c) {
			continue
		}
		if pos--; standardDigit(c) != p.text[pos] {
			return false
		}
		if pos == 0 && need >= 0 {
			return true
		}
	}
	if p.need(pos) >= 0 {
		return true
	}
	for j := len(p.name) - 1; j >= 0; j-- {
		if last() != p.name[j] {
			return false
		}
	}
	return true
}

// follow returns how far b[i:to] is text[pos:], line breaks left out.
func follow(text string, pos int, b []byte, i, to int) (end, endPos int) {
	end = i
	for ; i < to; i++ {
		if lineBreak(b[i]) {
			continue
		}
		if pos == len(text) || standardDigit(b[i]) != text[pos] {
			break
		}
		pos++
		end = i + 1
	}
	if pos == len(text) { // the last digit holds bits of what follows
		if end+1 < to && isDigit(b[end]) && !isDigit(b[end+1]) {
			end++
		}
		for end < to && b[end] == '=' {
			end++
		}
	}
	return end, pos
}

func isDigit(c byte) bool {
	return isWord(c) && c < 0x80 || c == '+' || c == '/' || c == '-' || c == '_'
}

func lineBreak(c byte) bool { return c == '\n' || c == '\r' }

// standardDigit is the digit of the standard alphabet for one of the URL's.
func standardDigit(c byte) byte {
	switch c {
	case '-':
		return '+'
	case '_':
		return '/'
	}
	return c
}
