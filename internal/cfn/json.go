package cfn

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"refline/internal/diag"
)

// deepest is how deep a template may nest; beyond it the readers refuse it.
const deepest = 200

// jsonReader is a strict reader of JSON (RFC 8259) that keeps places.
type jsonReader struct {
	file  string
	src   string
	at    int
	line  int
	start int // offset of the line
	depth int
	found diag.List
}

func parseJSON(file string, src []byte) (*Node, diag.List) {
	text := strings.TrimPrefix(string(src), "\ufeff")
	r := &jsonReader{file: file, src: text, line: 1}
	n, ok := r.value()
	if ok {
		if r.space(); r.at < len(r.src) {
			r.fail("unexpected " + r.here() + " after the template")
		}
	}
	return n, r.found
}

// pos is the place of the reader. Lines of plain ASCII, which are most, need no
// counting of characters.
func (r *jsonReader) pos() Pos {
	return Pos{r.line, utf8.RuneCountInString(r.src[r.start:r.at]) + 1}
}

func (r *jsonReader) fail(message string) bool {
	p := r.pos()
	r.found = append(r.found, syntax(r.file, p.Line, p.Column, message, ""))
	return false
}

// here names what the reader is at.
func (r *jsonReader) here() string {
	if r.at >= len(r.src) {
		return "the end of the file"
	}
	c, _ := utf8.DecodeRuneInString(r.src[r.at:])
	return strconv.Quote(string(c))
}

func (r *jsonReader) space() {
	for r.at < len(r.src) {
		switch r.src[r.at] {
		case '\n':
			r.line++
			r.start = r.at + 1
		case ' ', '\t', '\r':
		default:
			return
		}
		r.at++
	}
}

func (r *jsonReader) peek() byte {
	if r.at < len(r.src) {
		return r.src[r.at]
	}
	return 0
}

func (r *jsonReader) value() (*Node, bool) {
	r.space()
	n := &Node{Pos: r.pos()}
	switch c := r.peek(); {
	case c == '{' || c == '[':
		if r.depth++; r.depth > deepest {
			return n, r.fail("values are nested more than 200 levels deep")
		}
		ok := false
		if c == '{' {
			ok = r.object(n)
		} else {
			ok = r.array(n)
		}
		r.depth--
		return n, ok
	case c == '"':
		n.Kind = String
		var ok bool
		n.Text, ok = r.text()
		return n, ok
	case c == '-' || c >= '0' && c <= '9':
		return n, r.number(n)
	}
	for word, kind := range map[string]Kind{"true": Bool, "false": Bool, "null": Null} {
		if strings.HasPrefix(r.src[r.at:], word) {
			n.Kind, n.Text = kind, word
			r.at += len(word)
			return n, true
		}
	}
	return n, r.fail("expected a value, found " + r.here())
}

func (r *jsonReader) object(n *Node) bool {
	n.Kind = Map
	seen := map[string]bool{}
	r.at++
	for first := true; ; first = false {
		r.space()
		if r.peek() == '}' && first {
			r.at++
			return true
		}
		if r.peek() != '"' {
			return r.fail("expected a key in double quotes, found " + r.here())
		}
		f := Field{Pos: r.pos()}
		var ok bool
		if f.Name, ok = r.text(); !ok {
			return false
		}
		if seen[f.Name] {
			r.found = append(r.found, duplicate(r.file, n, f)...)
		}
		seen[f.Name] = true
		if r.space(); r.peek() != ':' {
			return r.fail("expected ':' after the key " + strconv.Quote(f.Name) + ", found " + r.here())
		}
		r.at++
		if f.Value, ok = r.value(); !ok {
			return false
		}
		n.Fields = append(n.Fields, f)
		r.space()
		switch r.peek() {
		case ',':
			r.at++
		case '}':
			r.at++
			n.seal()
			return true
		default:
			return r.fail("expected ',' or '}', found " + r.here())
		}
	}
}

// duplicate reports a key that n already has, with both places.
func duplicate(file string, n *Node, f Field) []diag.Finding {
	message := "duplicate key " + strconv.Quote(f.Name)
	first := n.Fields[n.find(f.Name)].Pos
	return []diag.Finding{syntax(file, first.Line, first.Column, message, "also at line "+strconv.Itoa(f.Pos.Line)),
		syntax(file, f.Pos.Line, f.Pos.Column, message, "CloudFormation would use only one; remove or rename one")}
}

func (r *jsonReader) array(n *Node) bool {
	n.Kind = List
	r.at++
	if r.space(); r.peek() == ']' {
		r.at++
		return true
	}
	for {
		item, ok := r.value()
		if !ok {
			return false
		}
		n.Items = append(n.Items, item)
		r.space()
		switch r.peek() {
		case ',':
			r.at++
		case ']':
			r.at++
			return true
		default:
			return r.fail("expected ',' or ']', found " + r.here())
		}
	}
}

func (r *jsonReader) number(n *Node) bool {
	begin := r.at
	digits := func() bool {
		from := r.at
		for r.at < len(r.src) && r.src[r.at] >= '0' && r.src[r.at] <= '9' {
			r.at++
		}
		return r.at > from
	}
	n.Kind = Int
	if r.peek() == '-' {
		r.at++
	}
	zero := r.peek() == '0'
	if whole := r.at; !digits() || zero && r.at > whole+1 {
		return r.fail("not a JSON number")
	}
	if r.peek() == '.' {
		n.Kind = Float
		if r.at++; !digits() {
			return r.fail("expected digits after the point, found " + r.here())
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		n.Kind = Float
		if r.at++; r.peek() == '+' || r.peek() == '-' {
			r.at++
		}
		if !digits() {
			return r.fail("expected digits of the exponent, found " + r.here())
		}
	}
	n.Text = r.src[begin:r.at]
	return true
}

// text reads a string; the reader is at the opening quote.
func (r *jsonReader) text() (string, bool) {
	r.at++
	begin := r.at
	for r.at < len(r.src) && r.src[r.at] != '"' && r.src[r.at] != '\\' && r.src[r.at] >= ' ' {
		r.at++
	}
	if r.peek() == '"' {
		r.at++
		return r.src[begin : r.at-1], true
	}
	var b strings.Builder
	b.WriteString(r.src[begin:r.at])
	for r.at < len(r.src) {
		switch c := r.src[r.at]; {
		case c == '"':
			r.at++
			return b.String(), true
		case c < ' ':
			return "", r.fail("a string must end on its line; write a line break as \\n")
		case c != '\\':
			b.WriteByte(c)
			r.at++
		default:
			if !r.escape(&b) {
				return "", false
			}
		}
	}
	return "", r.fail("unterminated string")
}

func (r *jsonReader) escape(b *strings.Builder) bool {
	if r.at+1 >= len(r.src) {
		return r.fail("unterminated string")
	}
	c := r.src[r.at+1]
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		b.WriteByte("\"\\/\b\f\n\r\t"[i])
		r.at += 2
		return true
	}
	first, ok := r.hex(r.at)
	if c != 'u' || !ok {
		return r.fail("not a JSON escape: \\" + string(rune(c)))
	}
	r.at += 6
	if utf16.IsSurrogate(first) {
		if second, ok := r.hex(r.at); ok {
			if pair := utf16.DecodeRune(first, second); pair != utf8.RuneError {
				r.at += 6
				first = pair
			}
		}
	}
	b.WriteRune(first)
	return true
}

// hex reads \uXXXX at an offset.
func (r *jsonReader) hex(at int) (rune, bool) {
	if at+6 > len(r.src) || r.src[at] != '\\' || r.src[at+1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(r.src[at+2:at+6], 16, 32)
	return rune(v), err == nil
}
