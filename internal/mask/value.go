package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
)

// segment is a part of a value, or of what a value means, that is to be masked.
type segment struct {
	text   []byte
	offset int // of text in what it was cut from; sets the columns of base64
	kind   segmentKind
	public public // of kindPublic
	open   bool   // of kindFormat: more follows it

	// written is how the value writes the text where that differs: with line
	// ends of Windows, or escaped in JSON. Its base64 and hex differ too.
	written []escaper
}

// segmentKind says how a segment can be printed.
type segmentKind int

const (
	kindText   segmentKind = iota // in every form
	kindBody                      // of a PEM block: as text only
	kindFile                      // a PEM block: in base64 and hex only
	kindNumber                    // a number of a key: as bytes, base64, hex, decimal
	kindFormat                    // a key in a binary format, at its offset: base64 only
	kindPublic                    // base64 that is left alone
)

// maxNesting bounds how deep values are taken apart (base64 of JSON of PEM).
const maxNesting = 3

// segmentsOf returns what of value is secret, or the reason why it is refused.
func segmentsOf(value []byte) ([]segment, string) {
	value = bytes.TrimSpace(value)
	switch {
	case len(value) < MinSecret:
		return nil, fmt.Sprintf("it has %d bytes; at least %d are needed, since shorter text is in ordinary output too",
			len(value), MinSecret)
	case len(value) > MaxSecret:
		return nil, fmt.Sprintf("it has %d bytes; at most %d can be looked for", len(value), MaxSecret)
	}
	segments := take(value, 0)
	if len(segments) == 0 {
		return nil, fmt.Sprintf("nothing in it is secret and has %d bytes or more (JSON is masked by its strings, keys by their private half)", MinSecret)
	}
	return segments, ""
}

// formsOf returns what to look for.
func formsOf(name string, segments []segment) *forms {
	f := &forms{name: name, seen: make(map[string]bool)}
	for _, s := range segments {
		f.add(s)
	}
	return f
}

// take cuts value into its secret segments of at least MinSecret bytes.
func take(value []byte, depth int) []segment {
	value = bytes.TrimSpace(value)
	if unix := bytes.ReplaceAll(value, []byte("\r\n"), []byte("\n")); len(unix) < len(value) {
		return writtenAs(take(unix, depth), escaper{CRLF, table("\n", "\r\n")})
	}
	if len(value) < MinSecret {
		return nil
	}
	if depth < maxNesting {
		if leaves, ok := jsonStrings(value); ok {
			var all []segment
			for _, leaf := range leaves {
				all = append(all, take([]byte(secretPart(leaf)), depth+1)...)
			}
			return writtenAs(all, escaper{JSON, jsonRune("")})
		}
	}
	if segments := takeKeys(value); segments != nil {
		return segments
	}
	segments := append(withoutRules(value), inside(value)...)
	if depth < maxNesting {
		segments = append(segments, decoded(value, depth)...)
	}
	return segments
}

func writtenAs(segments []segment, e escaper) []segment {
	for i := range segments {
		segments[i].written = append(segments[i].written, e)
	}
	return segments
}

// jsonStrings returns the string leaves of a JSON object or array.
func jsonStrings(value []byte) ([]string, bool) {
	if value[0] != '{' && value[0] != '[' {
		return nil, false
	}
	var tree any
	if json.Unmarshal(value, &tree) != nil {
		return nil, false
	}
	var leaves []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			leaves = append(leaves, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(tree)
	return leaves, true
}

// publicConstants are strings that are in every credentials file of Google
// and in many ordinary logs.
var publicConstants = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"service_account": true,
		"authorized_user": true,
		"googleapis.com":  true,
		"https://accounts.google.com/o/oauth2/auth":  true,
		"https://oauth2.googleapis.com/token":        true,
		"https://www.googleapis.com/oauth2/v1/certs": true,
	}
})

// decodeBase64 decodes value, standard or URL alphabet, padded or not, white
// space ignored; nil when it is not base64.
func decodeBase64(value []byte) []byte {
	clean := make([]byte, 0, len(value))
	for _, c := range value {
		switch c {
		case ' ', '\t', '\n', '\r':
		case '-':
			clean = append(clean, '+')
		case '_':
			clean = append(clean, '/')
		default:
			clean = append(clean, c)
		}
	}
	clean = bytes.TrimRight(clean, "=")
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, err := base64.RawStdEncoding.Decode(out, clean)
	if err != nil {
		return nil
	}
	return out[:n]
}

// withoutRules cuts a value at long runs of one byte (indentation, ruled
// lines): they say nothing and are in every log. A value stays
// whole if nothing would be left of it.
func withoutRules(value []byte) []segment {
	var segments []segment
	cut := func(from, to int) {
		if trimmed := bytes.TrimSpace(value[from:to]); len(trimmed) >= MinSecret {
			lead := bytes.Index(value[from:to], trimmed)
			segments = append(segments, segment{text: trimmed, offset: from + lead})
		}
	}
	from := 0
	for i := 0; i < len(value); {
		j := i + 1
		for j < len(value) && value[j] == value[i] {
			j++
		}
		limit := minPiece
		if !isWord(value[i]) {
			limit = minPiece / 2
		}
		if j-i >= limit {
			cut(from, i)
			from = j
		}
		i = j
	}
	cut(from, len(value))
	if len(segments) == 0 {
		return []segment{{text: value}}
	}
	return segments
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
