package mask

import (
	"bytes"
	"strings"
)

// The first and the last line of a PEM block say nothing. Where they touch
// masked text they are masked with it, so that of a private key nothing is
// left that looks like one.

// maxArmour is the longest first or last line, with what separates it from the
// body.
const maxArmour = 96

// joinArmour widens spans of b by the armour that touches them. afterMask says
// that masked text comes before b.
func joinArmour(b []byte, spans []span, afterMask bool) []span {
	if afterMask && (len(spans) == 0 || spans[0].start > 0) {
		if end, whole := armourLine(b, 0, "END"); whole {
			spans = append([]span{{0, end}}, spans...)
		}
	}
	for i := range spans {
		s := &spans[i]
		from := max(0, s.start-maxArmour)
		if at := bytes.LastIndex(b[from:s.start], []byte("-----BEGIN")); at >= 0 {
			if end, whole := armourLine(b, from+at, "BEGIN"); whole && end == s.start {
				s.start = from + at
			}
		}
		if end, whole := armourLine(b, s.end, "END"); whole {
			s.end = end
		}
	}
	return spans
}

const firstLine = "-----BEGIN"

// holdArmour returns how many bytes at the end of b may be the first line of a
// PEM block and the beginning of its body; held bytes of them are held
// already.
func holdArmour(b []byte, held int) int {
	to := len(b) - held
	from, least := to, max(0, to-maxArmour)
	for from > least && inArmour[b[from-1]] {
		from--
	}
	if from == to {
		return held
	}
	if to-from >= len(firstLine) { // of few texts
		for i := from; ; i++ {
			at := bytes.Index(b[i:to], []byte(firstLine))
			if at < 0 {
				break
			}
			i += at
			if end, _ := armourLine(b[:to], i, "BEGIN"); end > i && partBreak(b[end:to]) {
				return len(b) - i
			}
		}
	}
	for n := min(to-from, len(firstLine)-1); n > 0; n-- {
		if b[to-n] == firstLine[0] && string(b[to-n:to]) == firstLine[:n] {
			return held + n
		}
	}
	return held
}

// inArmour holds the bytes that can be in a first line or in a line break after it.
var inArmour = [256]bool{
	'-': true, ' ': true, '+': true, '\\': true, '%': true, '\n': true, '\r': true,
	'n': true, 'r': true, 'a': true, 'd': true, 'x': true, '&': true, '#': true, ';': true,
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true, 'G': true, 'H': true, 'I': true,
	'J': true, 'K': true, 'L': true, 'M': true, 'N': true, 'O': true, 'P': true, 'Q': true, 'R': true,
	'S': true, 'T': true, 'U': true, 'V': true, 'W': true, 'X': true, 'Y': true, 'Z': true,
}

// holdEnd returns where in b to wait for more: at keep, or before what may be
// the last line of a key after masked text.
func holdEnd(b []byte, keep int, spans []span, afterMask bool) int {
	end := 0
	if n := len(spans); n > 0 {
		end = spans[n-1].end
	} else if !afterMask {
		return keep
	}
	if to, whole := armourLine(b, end, "END"); !whole && (to == len(b) || partBreak(b[separator(b, end):])) {
		return min(keep, end)
	}
	return keep
}

// armourLine reads a first line (what is "BEGIN") with what follows it, or what
// precedes a last line ("END") and the line. It returns how far b[i:] is one,
// and whether it is whole.
func armourLine(b []byte, i int, what string) (end int, whole bool) {
	start := i
	if what == "END" {
		i = separator(b, i)
	}
	for _, c := range []byte("-----" + what) {
		if i == len(b) {
			return i, false
		}
		if b[i] != c {
			return start, false
		}
		i++
	}
	dashes := 0
	for ; i < len(b) && i-start < maxArmour && dashes < 5; i++ {
		switch c := b[i]; {
		case c == '-':
			dashes++
		case dashes > 0:
			return start, false
		case c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ' ' || c == '+' || c == '\\' || c == '%':
		default:
			return start, false
		}
	}
	if dashes < 5 {
		if i == len(b) {
			return i, false
		}
		return start, false
	}
	if !bytes.Contains(b[start:i], []byte("PRIVATE")) {
		return start, false
	}
	if what == "BEGIN" {
		i = separator(b, i)
	}
	return i, true
}

// maxSeparator bounds what is between the lines of a key, as programs write a
// line break.
const maxSeparator = 24

// separator returns where the line break at b[i:] ends, if there is one.
func separator(b []byte, i int) int {
	start := i
	for i < len(b) && i-start < maxSeparator {
		rest := b[i:]
		switch {
		case rest[0] == '\n', rest[0] == '\r', rest[0] == ' ':
			i++
		case hasAnyPrefix(rest, `\n`, `\r`):
			i += 2
		case hasAnyPrefix(rest, `\\n`, `\\r`, "%0A", "%0a", "%0D", "%0d"):
			i += 3
		case hasAnyPrefix(rest, "&#10;", "&#13;", "&#xA;", "&#xD;"):
			i += 5
		default:
			return i
		}
	}
	return i
}

// partBreak reports whether b is nothing, or the beginning of a line break as
// programs write it.
func partBreak(b []byte) bool {
	for _, whole := range []string{`\\n`, `\\r`, "%0A", "%0a", "%0D", "%0d", "&#10;", "&#13;", "&#xA;", "&#xD;"} {
		if len(b) < len(whole) && strings.HasPrefix(whole, string(b)) {
			return true
		}
	}
	return false
}

func hasAnyPrefix(b []byte, prefixes ...string) bool {
	for _, p := range prefixes {
		if bytes.HasPrefix(b, []byte(p)) {
			return true
		}
	}
	return false
}
