package mask

import (
	"bytes"
	"regexp"
	"sync"
)

// armour matches the first and the last line of a PEM block.
var armour = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`-----(BEGIN|END) ([A-Z0-9 ]+)-----`)
})

func isPEM(value []byte) bool { return bytes.Contains(value, []byte("-----BEGIN ")) }

// block is a PEM block in a value: value[from:to] is all of it, value[body:end]
// what lies between its armour.
type block struct {
	label               string
	from, body, end, to int
}

func (b block) private() bool { return bytes.HasSuffix([]byte(b.label), []byte("PRIVATE KEY")) }

func blocksOf(value []byte) []block {
	var out []block
	marks := armour().FindAllSubmatchIndex(value, -1)
	for i := 0; i+1 < len(marks); i++ {
		begin, end := marks[i], marks[i+1]
		if value[begin[2]] != 'B' || value[end[2]] != 'E' {
			continue
		}
		body := begin[1] + headers(value[begin[1]:end[0]])
		out = append(out, block{string(value[begin[4]:begin[5]]), begin[0], body, end[0], end[1]})
		i++
	}
	return out
}

// headers returns the length of the headers of an old encrypted key
// (RFC 1421: "Proc-Type: 4,ENCRYPTED", an empty line after them).
func headers(body []byte) int {
	if i := bytes.Index(body, []byte("\n\n")); i >= 0 && bytes.ContainsRune(body[:i], ':') {
		return i + 2
	}
	return 0
}

// takeKeys returns the segments of a value that is, or holds, PEM blocks, or
// that is the body of a private key without its armour. It returns nil for
// other values.
//
// Of a private key everything is secret: its text, its numbers, and its text
// in other formats. What is public of it is known by its own forms (public.go).
// Public keys and certificates beside a private key are left out.
func takeKeys(value []byte) []segment {
	if !isPEM(value) {
		der := decodeBase64(value)
		if len(der) < minPiece || parseKey(der) == nil {
			return nil
		}
		return keySegments(value, segment{text: value}, der)
	}
	if unix := bytes.ReplaceAll(value, []byte(`\n`), []byte("\n")); len(unix) < len(value) {
		return writtenAs(takeKeys(unix), escaper{JSON, jsonRune("")})
	}
	segments := []segment{} // not nil, even if nothing in it is secret
	blocks := blocksOf(value)
	hasPrivate := false
	for _, b := range blocks {
		hasPrivate = hasPrivate || b.private()
	}
	pos := 0
	outside := func(to int) {
		if len(bytes.TrimSpace(value[pos:to])) < MinSecret {
			return
		}
		for _, s := range withoutRules(value[pos:to]) {
			segments = append(segments, segment{text: s.text, offset: pos + s.offset})
		}
	}
	for _, b := range blocks {
		outside(b.from)
		pos = b.to
		if hasPrivate && !b.private() {
			continue
		}
		der := decodeBase64(value[b.body:b.end])
		body := trimmed(value, b.body, b.end)
		body.kind = kindBody
		segments = append(segments, segment{text: value[b.from:b.to], offset: b.from, kind: kindFile})
		segments = append(segments, keySegments(value, body, der)...)
	}
	outside(len(value))
	return segments
}

// trimmed returns the segment value[from:to] without the white space around it.
func trimmed(value []byte, from, to int) segment {
	text := bytes.TrimLeft(value[from:to], " \t\r\n")
	from = to - len(text)
	return segment{text: bytes.TrimRight(text, " \t\r\n"), offset: from}
}

// keySegments returns the segments of a key: body, the text that encodes der,
// and what der says.
func keySegments(value []byte, body segment, der []byte) []segment {
	if len(body.text) < MinSecret {
		return nil
	}
	segments := append([]segment{body}, lastLine(body)...)
	k := parseKey(der)
	if k == nil {
		return segments
	}
	for _, number := range k.private {
		number = bytes.TrimLeft(number, "\x00")
		if len(number) >= MinSecret {
			segments = append(segments, segment{text: number, kind: kindNumber})
		}
	}
	for _, f := range k.formats {
		segments = append(segments, segment{text: f.text, offset: f.offset, kind: kindFormat, open: f.open})
	}
	if len(k.public) == 0 {
		return segments
	}
	private := &windows{}
	private.add(unwrap(body.text))
	for _, f := range k.formats {
		private.add(encodeAt(f.text, f.offset))
	}
	for shift := range 3 {
		if k.algorithm != nil {
			segments = append(segments, segment{kind: kindPublic, public: constant(k.algorithm, shift)})
		}
		for _, p := range k.public {
			if shared, ok := private.shared(p, shift); ok {
				segments = append(segments, segment{kind: kindPublic, public: shared})
			}
		}
	}
	return segments
}

// lastLine returns the last line of a key as a secret of its own when it is
// too short to be found as a piece: with a prefix before each line it would
// otherwise be left alone.
func lastLine(body segment) []segment {
	i := bytes.LastIndexByte(body.text, '\n')
	if line := body.text[i+1:]; i >= 0 && len(line) >= MinSecret && len(line) < minPiece {
		return []segment{{text: line, offset: body.offset + i + 1}}
	}
	return nil
}
