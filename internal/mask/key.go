package mask

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"sync"
)

// stretch is a stretch of the bytes of a key, from included, to not.
type stretch struct {
	from, to int
	comment  bool // masked where the key is printed, but no number of the key
}

var armour = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`-----(BEGIN|END) [A-Z0-9 ]+-----`)
})

// opensshMagic begins the decoded body of a key in OpenSSH's own format
// (OpenSSH, PROTOCOL.key).
const opensshMagic = "openssh-key-v1\x00"

func isPEM(value []byte) bool { return bytes.Contains(value, []byte("-----BEGIN ")) }

// takeKeys cuts the secret parts out of a value that is, or holds, PEM blocks,
// or that is the body of one without its armour. It returns nil for others.
func takeKeys(value []byte) []segment {
	if !isPEM(value) {
		der := decodeBase64(value)
		if len(der) < minPiece {
			return nil
		}
		if private := privateRanges(der); private != nil {
			return keySegments(value, 0, len(value), der, private)
		}
		return nil
	}
	var segments []segment
	pos := 0
	outside := func(to int) {
		if len(bytes.TrimSpace(value[pos:to])) < MinSecret {
			return
		}
		for _, s := range withoutRules(value[pos:to]) {
			segments = append(segments, segment{text: s.text, offset: pos + s.offset})
		}
	}
	marks := armour().FindAllIndex(value, -1)
	for i := 0; i < len(marks); i++ {
		if i+1 == len(marks) || !bytes.HasPrefix(value[marks[i][0]:], []byte("-----BEGIN")) {
			continue
		}
		outside(marks[i][0])
		from, to := marks[i][1], marks[i+1][0]
		from += headers(value[from:to])
		der := decodeBase64(bytes.ReplaceAll(value[from:to], []byte(`\n`), nil))
		private := privateRanges(der)
		if private == nil {
			private = []stretch{{to: len(der)}}
		}
		segments = append(segments, keySegments(value, from, to, der, private)...)
		pos = marks[i+1][1]
		i++
	}
	outside(len(value))
	if segments == nil {
		segments = []segment{} // PEM, but nothing secret in it
	}
	return segments
}

// headers returns the length of the headers of an old encrypted key
// (RFC 1421: "Proc-Type: 4,ENCRYPTED", an empty line after them).
func headers(body []byte) int {
	if i := bytes.Index(body, []byte("\n\n")); i >= 0 && bytes.ContainsRune(body[:i], ':') {
		return i + 2
	}
	return 0
}

// keySegments returns the private ranges of der twice: as the stretch of
// value[from:to] that encodes them, and as the bytes themselves, which come
// back in any other format of the same key.
func keySegments(value []byte, from, to int, der []byte, private []stretch) []segment {
	var at []int // place of each base64 digit in value
	for i := from; i < to; i++ {
		if value[i] == '\\' && i+1 < to && value[i+1] == 'n' {
			i++
			continue
		}
		if isWord(value[i]) || bytes.IndexByte([]byte("+/-_"), value[i]) >= 0 {
			at = append(at, i)
		}
	}
	if len(der) == 0 || len(at) == 0 { // armour around something else
		return []segment{{text: bytes.TrimSpace(value[from:to]), offset: from}}
	}
	var segments []segment
	for _, r := range join(private) {
		first := at[min(r.from*8/6, len(at)-1)]
		last := len(at) - 1
		if n := (r.to*8 + 5) / 6; n <= last {
			last = n - 1
		}
		end := at[last] + 1
		for end < to && r.to == len(der) && value[end] == '=' {
			end++
		}
		segments = append(segments, segment{text: value[first:end], offset: first})
		segments = append(segments, lastLine(value, first, end)...)
	}
	for _, r := range private {
		if r.comment || r.to-r.from == len(der) {
			continue
		}
		if number := bytes.TrimLeft(der[r.from:r.to], "\x00"); len(number) >= MinSecret {
			segments = append(segments, segment{text: number, number: true})
		}
	}
	return segments
}

// lastLine returns the last line of a key as a secret of its own when it is
// too short to be found as a piece: with a prefix before each line it would
// otherwise stand alone.
func lastLine(value []byte, from, to int) []segment {
	i := bytes.LastIndexByte(value[from:to], '\n')
	if i < 0 || to-(from+i+1) < MinSecret || to-(from+i+1) >= minPiece {
		return nil
	}
	return []segment{{text: value[from+i+1 : to], offset: from + i + 1}}
}

// join merges ranges between which only a few bytes of structure lie.
func join(ranges []stretch) []stretch {
	var out []stretch
	for _, r := range ranges {
		if n := len(out); n > 0 && r.from-out[n-1].to < 12 {
			out[n-1].to = r.to
			continue
		}
		out = append(out, r)
	}
	return out
}

// privateRanges returns where the private numbers of a key lie, nil when der
// is no key it knows; then all of it is private.
func privateRanges(der []byte) []stretch {
	if bytes.HasPrefix(der, []byte(opensshMagic)) {
		return opensshRanges(der)
	}
	return derRanges(der, 0, len(der))
}

// opensshFields is the number of public and private fields of a key type.
type opensshFields struct{ public, private int }

// opensshRanges reads OpenSSH's format: magic, cipher, kdf, kdf options,
// number of keys, public key, private section. The section is a check number
// twice, the type, its fields, a comment and padding.
func opensshRanges(der []byte) []stretch {
	r := sshReader{b: der, pos: len(opensshMagic)}
	cipher := r.field()
	r.field()
	r.field()
	r.pos += 4
	r.field()
	section := r.field()
	if r.bad {
		return nil
	}
	if string(der[cipher.from:cipher.to]) != "none" {
		return []stretch{section}
	}
	r = sshReader{b: der[:section.to], pos: section.from + 8}
	kind := r.field()
	if r.bad {
		return []stretch{section}
	}
	name := string(der[kind.from:kind.to])
	fields, known := map[string]opensshFields{
		"ssh-rsa": {2, 4}, "ssh-dss": {4, 1}, "ssh-ed25519": {1, 1}, "ecdsa-sha2-nistp256": {2, 1},
		"ecdsa-sha2-nistp384": {2, 1}, "ecdsa-sha2-nistp521": {2, 1},
	}[name]
	if !known {
		return []stretch{{from: kind.to, to: section.to}}
	}
	for range fields.public {
		r.field()
	}
	var ranges []stretch
	for range fields.private {
		ranges = append(ranges, r.field())
	}
	if r.bad {
		return []stretch{{from: kind.to, to: section.to}}
	}
	if n := &ranges[0]; name == "ssh-ed25519" && n.to-n.from == 64 {
		n.to -= 32 // the second half is the public key
	}
	return append(ranges, stretch{from: r.pos, to: section.to, comment: true})
}

// sshReader reads the length-prefixed fields of RFC 4251.
type sshReader struct {
	b   []byte
	pos int
	bad bool
}

func (r *sshReader) field() stretch {
	if r.bad || r.pos < 0 || r.pos+4 > len(r.b) {
		r.bad = true
		return stretch{}
	}
	n := binary.BigEndian.Uint32(r.b[r.pos:])
	from := r.pos + 4
	if uint64(n) > uint64(len(r.b)-from) {
		r.bad = true
		return stretch{}
	}
	r.pos = from + int(n)
	return stretch{from: from, to: r.pos}
}

// Tags of DER (X.690) that keys are made of.
const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagSequence = 0x30
)

// element is a value of DER: its tag and where its content lies.
type element struct {
	tag byte
	stretch
}

// elements returns the values that lie one after the other in der[from:to];
// nil when they do not fill it.
func elements(der []byte, from, to int) []element {
	var out []element
	for from < to {
		if from+2 > to {
			return nil
		}
		tag, n := der[from], int(der[from+1])
		from += 2
		if n >= 0x80 {
			size := n & 0x7f
			if size == 0 || size > 3 || from+size > to {
				return nil
			}
			n = 0
			for _, c := range der[from : from+size] {
				n = n<<8 | int(c)
			}
			from += size
		}
		if n > to-from {
			return nil
		}
		out = append(out, element{tag, stretch{from: from, to: from + n}})
		from += n
	}
	return out
}

// derRanges finds the private numbers in PKCS #1, PKCS #8, SEC 1 and the
// traditional form of DSA. Anything else gives nil.
func derRanges(der []byte, from, to int) []stretch {
	outer := elements(der, from, to)
	if len(outer) != 1 {
		return nil
	}
	if outer[0].tag == tagOctets || outer[0].tag == tagInteger { // inside PKCS #8: Ed25519, DSA
		return []stretch{outer[0].stretch}
	}
	e := elements(der, outer[0].from, outer[0].to)
	if outer[0].tag != tagSequence || len(e) < 2 || e[0].tag != tagInteger {
		return nil
	}
	switch {
	case e[1].tag == tagSequence && len(e) >= 3 && e[2].tag == tagOctets: // PKCS #8
		if inner := derRanges(der, e[2].from, e[2].to); inner != nil {
			return inner
		}
		return []stretch{e[2].stretch}
	case e[1].tag == tagOctets: // SEC 1
		return []stretch{e[1].stretch}
	case len(e) >= 9: // PKCS #1: version, n, e, then what is private
		return numbers(e[3:])
	case len(e) == 6: // DSA: version, p, q, g, y, x
		return numbers(e[5:])
	}
	return nil
}

func numbers(e []element) []stretch {
	var out []stretch
	for _, n := range e {
		out = append(out, n.stretch)
	}
	return out
}
