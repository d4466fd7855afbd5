package mask

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Form says how a secret was printed.
type Form string

// The forms. One of a program or language covers all that print alike.
const (
	Raw       Form = "raw"
	CRLF      Form = "crlf"      // line ends of Windows
	Unwrapped Form = "unwrapped" // lines joined, by nothing or by a space; dots as in a hex dump
	JSON      Form = "json"
	Quoted    Form = "quoted" // a string literal of Go, Python or C
	URL       Form = "url"
	Shell     Form = "shell"
	XML       Form = "xml"
	Base64    Form = "base64"
	Base64URL Form = "base64url"
	Hex       Form = "hex"
	Decimal   Form = "decimal" // a number of a key
)

// pattern is one text to look for: whole when it is shorter than minPiece,
// otherwise every piece of it.
type pattern struct {
	text string
	name string // of the secret
	form Form
}

// forms collects the patterns of one secret.
type forms struct {
	name     string
	seen     map[string]bool
	patterns []pattern
	publics  []public
	armour   bool
}

// put adds text as it is.
func (f *forms) put(form Form, text string) {
	if len(text) >= MinSecret && !f.seen[text] {
		f.seen[text] = true
		f.patterns = append(f.patterns, pattern{text: text, name: f.name, form: form})
	}
}

// stretch is a part of a text, from included, to not.
type stretch struct{ from, to int }

// derived is a text that was made from another and where it differs.
type derived struct {
	text    []byte
	changed []stretch
}

func (d *derived) keep(b ...byte) { d.text = append(d.text, b...) }

func (d *derived) replace(s string) {
	from := len(d.text)
	d.text = append(d.text, s...)
	d.changed = append(d.changed, stretch{from: from, to: len(d.text)})
}

// putDerived adds the places where d differs from its base, with as much
// around them as a piece can reach: the rest is in the base. Patterns that
// are looked for whole stay whole.
func (f *forms) putDerived(form Form, d derived, whole bool) {
	if len(d.changed) == 0 {
		return
	}
	if whole || len(d.text) < 2*minPiece {
		f.put(form, string(d.text))
		return
	}
	for _, r := range d.around(minPiece - 1) {
		f.put(form, string(d.text[r.from:r.to]))
	}
}

// around returns the changed places with reach bytes on either side, those
// that then touch joined.
func (d *derived) around(reach int) []stretch {
	var out []stretch
	for _, c := range d.changed {
		from, to := max(0, c.from-reach), min(len(d.text), c.to+reach)
		if n := len(out); n > 0 && from <= out[n-1].to {
			out[n-1].to = to
		} else {
			out = append(out, stretch{from: from, to: to})
		}
	}
	return out
}

// add adds all forms of s.
func (f *forms) add(s segment) {
	switch s.kind {
	case kindPublic:
		f.publics = append(f.publics, s.public)
		return
	case kindFormat:
		f.addFormat(s)
		return
	case kindNumber:
		f.addNumber(s)
		return
	case kindBody:
		f.armour = true
		f.addText(s)
		return
	case kindText:
		f.addText(s)
	}
	f.addBase64(s)
	f.addHex(s)
	for _, e := range s.written {
		d := e.apply(s.text)
		for _, r := range d.around(minPiece * 3 / 4) { // a piece of base64 holds 12 bytes
			around := segment{text: d.text[r.from:r.to]}
			f.addBase64(around)
			f.addHex(around)
		}
	}
}

// addText adds the text as it is and as it is escaped.
func (f *forms) addText(s segment) {
	f.put(Raw, string(s.text))
	if isPlain(s.text) {
		return
	}
	whole := len(s.text) < minPiece
	for _, e := range escapers() {
		f.putDerived(e.form, e.apply(s.text), whole)
	}
}

// isPlain reports whether every program prints text as it is.
func isPlain(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf || !isWord(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// addFormat adds the base64 of a key's own file, in the lines that programs
// write.
func (f *forms) addFormat(s segment) {
	digits := string(encodeAt(s.text, s.offset))
	if !s.open && len(s.text)%3 != 0 {
		digits = base64.StdEncoding.EncodeToString(s.text)
	}
	f.put(Base64, digits)
	lead := s.offset/3*4 + []int{0, 2, 3}[s.offset%3] // digits before it
	for _, width := range []int{64, 70} {
		f.putDerived(Base64, wrap(digits, lead%width, width), false)
	}
}

// addNumber adds what programs print of a number of a key.
func (f *forms) addNumber(s segment) {
	for _, part := range hardParts(s.text) {
		f.put(Raw, string(part))
	}
	f.addBase64(s)
	f.addHex(s)
	f.put(Decimal, new(big.Int).SetBytes(s.text).String())
}

// hardParts cuts bytes that are not text where two soft bytes follow one
// another: a piece could begin after them, and would hold back a prompt.
func hardParts(b []byte) [][]byte {
	var out [][]byte
	from := 0
	cut := func(to int) {
		if to-from >= minPiece {
			out = append(out, b[from:to])
		}
	}
	for i := 1; i < len(b); i++ {
		if soft(b, i-1) && soft(b, i) {
			cut(i)
			from = i
		}
	}
	cut(len(b))
	return out
}

// addBase64 adds what is the same in every base64 text that s is part of: its
// digits at the three places s can have in a group of three bytes.
func (f *forms) addBase64(s segment) {
	whole := len(s.text) < minPiece
	for shift := range 3 {
		lead := []int{0, 2, 3}[shift] // digits that hold bits of what comes before
		enc := base64.StdEncoding.EncodeToString(append(make([]byte, shift), s.text...))[lead:]
		if rest := (shift + len(s.text)) % 3; rest != 0 && whole {
			// The last digit holds bits of what follows, if anything does.
			f.put(Base64, enc[:len(enc)-(4-rest)])
		}
		f.put(Base64, enc)
		var d derived
		for i := range len(enc) {
			switch enc[i] {
			case '+':
				d.replace("-")
			case '/':
				d.replace("_")
			default:
				d.keep(enc[i])
			}
		}
		f.putDerived(Base64URL, d, whole)
		if shift != s.offset%3 {
			continue
		}
		for _, width := range []int{64, 76} {
			column := (s.offset/3*4 + lead) % width
			f.putDerived(Base64, wrap(enc, column, width), false)
		}
	}
}

// wrap breaks text into lines of width; its first byte is in column.
func wrap(text string, column, width int) derived {
	var d derived
	for i := range len(text) {
		if column == width {
			d.replace("\n")
			column = 0
		}
		d.keep(text[i])
		column++
	}
	return d
}

// hexStyle is a way to print bytes in hex: group bytes, then a separator.
type hexStyle struct {
	before, after string
	group         int
	upper, lower  bool
	number        bool // also used for the numbers of a key
	words         bool // the bytes of a group in reverse, as a number of the machine
	whole         bool // only of a text that begins with a group
}

var hexStyles = sync.OnceValue(func() []hexStyle {
	return []hexStyle{
		{group: 1, upper: true, lower: true, number: true},
		{after: ":", group: 1, upper: true, lower: true, number: true},
		{after: " ", group: 1, upper: true, lower: true},
		{after: "-", group: 1, upper: true},
		{before: `\x`, group: 1, upper: true, lower: true},
		{before: "0x", after: ", ", group: 1, upper: true, lower: true, number: true}, // xxd -i, lists
		{before: "0x", after: ",", group: 1, lower: true, number: true},
		{after: " ", group: 2, upper: true, lower: true},              // xxd
		{after: " ", group: 2, lower: true, words: true},              // hexdump, od -x
		{after: " ", group: 4, lower: true, words: true},              // od -tx4
		{after: " ", group: 8, lower: true, words: true, whole: true}, // od -tx8
		{before: "%", group: 1, upper: true, lower: true},             // a URL in which everything is escaped
	}
})

func (f *forms) addHex(s segment) {
	for _, style := range hexStyles() {
		if s.kind == kindNumber && !style.number {
			continue
		}
		phases := style.group
		if style.whole {
			phases = 1
		}
		for phase := range phases {
			text, at := s.text, phase
			if style.words {
				text, at = style.reversed(text, phase), 0
			}
			if style.lower {
				f.put(Hex, style.write(text, at, "0123456789abcdef"))
			}
			if style.upper {
				f.put(Hex, style.write(text, at, "0123456789ABCDEF"))
			}
		}
	}
}

// write prints text; phase bytes of its first group are before it.
func (style hexStyle) write(text []byte, phase int, digits string) string {
	b := make([]byte, 0, len(text)*(2+len(style.before)+len(style.after)))
	for i, c := range text {
		b = append(append(b, style.before...), digits[c>>4], digits[c&15])
		if (i+1+phase)%style.group == 0 && i+1 < len(text) {
			b = append(b, style.after...)
		}
	}
	return string(b)
}

// reversed returns the bytes of each whole group in reverse. Those at either end
// that share a group with others are left out, unless it is the end of a line.
func (style hexStyle) reversed(text []byte, phase int) []byte {
	var out []byte
	text = append(text[:len(text):len(text)], '\n')
	for i := (style.group - phase) % style.group; i+style.group <= len(text); i += style.group {
		for j := style.group - 1; j >= 0; j-- {
			out = append(out, text[i+j])
		}
	}
	return out
}

// escaper is one way to write text so that some bytes look different.
type escaper struct {
	form Form
	rune func(r rune, raw string) string // what is written for it; raw if that is the same
}

func (e escaper) apply(text []byte) derived {
	d := derived{text: make([]byte, 0, len(text)+len(text)/4)}
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf && isWord(c) {
			d.keep(c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		raw := string(text[i : i+size])
		if s := e.rune(r, raw); s != raw {
			d.replace(s)
		} else {
			d.keep(text[i : i+size]...)
		}
		i += size
	}
	return d
}

var escapers = sync.OnceValue(func() []escaper {
	list := []escaper{
		{CRLF, table("\n", "\r\n")},
		{Unwrapped, table("\n", "")},
		{Unwrapped, table("\n", " ")},
		{Unwrapped, func(r rune, raw string) string {
			if len(raw) > 1 || r < ' ' || r > '~' {
				return strings.Repeat(".", len(raw))
			}
			return raw
		}},
		{JSON, jsonRune("")},
		{JSON, jsonRune("<>&\u2028\u2029")}, // as Go writes it for HTML
		{JSON, jsonRune("é")},               // ASCII only
		{JSON, jsonRune("<>&='")},           // as Java's Gson writes it
		{JSON, netRune},
		{JSON, func(r rune, raw string) string { return jsonTwice(jsonRune("")(r, raw)) }},
		{JSON, func(r rune, raw string) string { return jsonTwice(jsonRune("<>&\u2028\u2029")(r, raw)) }},
		{JSON, func(r rune, raw string) string {
			if r == '/' {
				return `\/`
			}
			return jsonRune("")(r, raw)
		}},
		{JSON, func(r rune, raw string) string {
			if r == '\n' {
				return `\r\n`
			}
			return jsonRune("")(r, raw)
		}},
		{Quoted, func(_ rune, raw string) string { return unquoted(strconv.Quote(raw)) }},
		{Quoted, func(_ rune, raw string) string { return unquoted(strconv.QuoteToASCII(raw)) }},
		{Quoted, func(r rune, raw string) string { return cRune(r, raw, "'", hexByte) }},
		{Quoted, func(r rune, raw string) string { return cRune(r, raw, "'", upperHexByte) }},
		{Quoted, func(r rune, raw string) string { return cRune(r, raw, "'", octalByte) }}, // $'…' of shells
		{Quoted, func(r rune, raw string) string { return cRune(r, raw, `"`, octalByte) }}, // git, ls, C
		{Quoted, func(r rune, raw string) string { return cRune(r, raw, `"`, hexByte) }},   // Ruby
		{Quoted, func(r rune, raw string) string { return cRune(r, raw, `"`, upperHexByte) }},
		{Quoted, func(r rune, raw string) string { return cRune(r, raw, "", octalByte) }}, // sed -n l
		{Quoted, asciiRune}, // Python
		{Quoted, codePoint("%x")},
		{Quoted, codePoint("%X")},
		{Quoted, caretRune}, // cat -v
		{Quoted, quotedPrintable},
		{Shell, table("'", `'\''`)},
		{Shell, table("'", `'"'"'`)},
		{Shell, table("'", "''")}, // PowerShell, SQL, YAML
		{Shell, table(`"`, `""`)}, // CSV, cmd.exe
		{Shell, table(`"`, `\"`, "$", `\$`, "`", "\\`", `\`, `\\`)},
		{Shell, func(r rune, raw string) string {
			if r < 0x80 && r > ' ' && !isWord(byte(r)) && !strings.ContainsRune("%+-./:=@_", r) || r == ' ' {
				return `\` + raw
			}
			return raw
		}},
		{XML, table("&", "&amp;", "<", "&lt;", ">", "&gt;")},
		{XML, table("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")},
		{XML, table("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")},
		{XML, table("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")},
		{XML, table("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;")},
		{XML, table("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\n", "&#xA;", "\r", "&#xD;", "\t", "&#x9;")},
		{XML, table("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;", "\r", "&#13;", "\t", "&#9;")},
	}
	for _, format := range []string{"&#%d;", "&#x%x;", "&#x%X;"} {
		for _, quotes := range []bool{false, true} {
			list = append(list, escaper{XML, entityRune(format, quotes)})
		}
	}
	// What stays as it is in a URL, besides letters and digits: RFC 3986, a
	// component and a whole URI in JavaScript, a path segment and a password in Go, a
	// path in Python, a password and a query in browsers.
	for _, safe := range []string{"-._~", "-._~!'()*", "-._~!'()*;/?:@&=+$,#", "-._~$&+=:@", "-._~$&+,;=", "-._~/",
		"!$%&'()*+,-._~", "!$%&()*+,-./:;=?@[\\]^_`{|}~"} {
		list = append(list, escaper{URL, urlRune(safe, "%20", false)}, escaper{URL, urlRune(safe, "%20", true)})
	}
	return append(list, escaper{URL, urlRune("-._~", "+", false)}, escaper{URL, urlRune("-._~", "+", true)})
})

// table replaces each text at an even place by the next one.
func table(pairs ...string) func(rune, string) string {
	return func(_ rune, raw string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == raw {
				return pairs[i+1]
			}
		}
		return raw
	}
}

func unquoted(s string) string { return s[1 : len(s)-1] }

// jsonRune escapes for a JSON string (RFC 8259), and those of also as \u; "é"
// means everything that is not ASCII.
func jsonRune(also string) func(rune, string) string {
	return func(r rune, raw string) string {
		switch r {
		case '"', '\\':
			return `\` + raw
		case '\n':
			return `\n`
		case '\r':
			return `\r`
		case '\t':
			return `\t`
		case '\b':
			return `\b`
		case '\f':
			return `\f`
		}
		if r < ' ' || strings.ContainsRune(also, r) || also == "é" && r >= 0x80 && r != utf8.RuneError {
			if r > 0xffff {
				high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
				return `\u` + hex4(high) + `\u` + hex4(low)
			}
			return `\u` + hex4(r)
		}
		return raw
	}
}

// jsonTwice escapes what is JSON already, as a string in a string.
func jsonTwice(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`)
}

// netRune escapes for JSON as .NET does.
func netRune(r rune, raw string) string {
	switch {
	case r == '\\' || r < ' ' && strings.ContainsRune("\n\r\t\b\f", r):
		return jsonRune("")(r, raw)
	case r < ' ' || r == 0x7f || strings.ContainsRune("\"&'+<>`", r):
		return `\u` + strings.ToUpper(hex4(r))
	case r >= 0x80:
		escaped := jsonRune("é")(r, raw)
		return strings.ReplaceAll(strings.ToUpper(escaped), `\U`, `\u`)
	}
	return raw
}

func hex4(r rune) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", 4-len(s)) + s
}

// cRune escapes for a string literal with these quotes: those of Python and C,
// of shells ($'…') and of programs that quote names. Bytes that are not ASCII
// are written as other says.
func cRune(r rune, raw, quotes string, other func(byte) string) string {
	switch {
	case r == '\\' || strings.ContainsRune(quotes, r):
		return `\` + raw
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < ' ' || r > '~':
		return eachByte(raw, other)
	}
	return raw
}

func eachByte(raw string, write func(byte) string) string {
	var b strings.Builder
	for _, c := range []byte(raw) {
		b.WriteString(write(c))
	}
	return b.String()
}

func hexByte(c byte) string      { return fmt.Sprintf(`\x%02x`, c) }
func upperHexByte(c byte) string { return fmt.Sprintf(`\x%02X`, c) }
func octalByte(c byte) string    { return fmt.Sprintf(`\%03o`, c) }

// asciiRune is Python's ascii().
func asciiRune(r rune, raw string) string {
	switch {
	case r < 0x80 || len(raw) == 1:
		return cRune(r, raw, "'", hexByte)
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// codePoint is \u{fc}, as JavaScript, Rust, Swift and PHP write it.
func codePoint(digits string) func(rune, string) string {
	return func(r rune, raw string) string {
		if len(raw) == 1 {
			return cRune(r, raw, `"`, hexByte)
		}
		return fmt.Sprintf(`\u{`+digits+`}`, r)
	}
}

// caretRune is cat -v: M-C and ^X, line ends and tabs as they are.
func caretRune(r rune, raw string) string {
	if r == '\n' || r == '\t' || r >= ' ' && r <= '~' {
		return raw
	}
	return eachByte(raw, func(c byte) string {
		prefix := ""
		if c >= 0x80 {
			prefix, c = "M-", c-0x80
		}
		if c < ' ' || c == 0x7f {
			return prefix + "^" + string(c^0x40)
		}
		return prefix + string(c)
	})
}

// quotedPrintable is the encoding of mail (RFC 2045).
func quotedPrintable(r rune, raw string) string {
	if r == '=' || r > '~' || r < ' ' && r != '\n' && r != '\t' {
		return eachByte(raw, func(c byte) string { return fmt.Sprintf("=%02X", c) })
	}
	return raw
}

// entityRune writes what is not ASCII as an entity, and what XML wants escaped.
func entityRune(format string, quotes bool) func(rune, string) string {
	basic := table("&", "&amp;", "<", "&lt;", ">", "&gt;")
	if quotes {
		basic = table("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")
	}
	return func(r rune, raw string) string {
		if len(raw) > 1 {
			return fmt.Sprintf(format, r)
		}
		return basic(r, raw)
	}
}

func urlRune(safe, space string, lower bool) func(rune, string) string {
	digits := "0123456789ABCDEF"
	if lower {
		digits = "0123456789abcdef"
	}
	return func(r rune, raw string) string {
		if r < 0x80 && (isWord(byte(r)) || strings.ContainsRune(safe, r)) {
			return raw
		}
		if r == ' ' {
			return space
		}
		var b bytes.Buffer
		for _, c := range []byte(raw) {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
		return b.String()
	}
}
