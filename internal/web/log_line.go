package web

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxColumns bounds a line on the page; the raw log has all of it.
const maxColumns = 16 << 10

// textLook is how text is printed: colours from 1 to 16, 0 for none.
type textLook struct {
	fore, back                               uint8
	bold, dim, italic, under, strike, invert bool
}

// glyph is a place of a line.
type glyph struct {
	r    rune
	look textLook
}

// logLine prints a line the way a terminal does: a carriage return overwrites, colours
// become classes, every other escape sequence does nothing.
type logLine struct {
	cells []glyph
	at    int
	look  textLook
	moved int // cells that escape sequences filled or erased
}

// allow reports whether n more cells may be filled or erased: a line of such sequences
// must not take long.
func (l *logLine) allow(n int) bool {
	l.moved += n
	return l.moved <= 4*maxColumns
}

// print adds text.
func (l *logLine) print(text string) {
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == '\x1b':
			text = l.escape(text)
			continue
		case r == '\r':
			l.at = 0
		case r == '\b':
			l.at = max(l.at-1, 0)
		case r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) && !hidden(r):
			l.put(r)
		}
		text = text[size:]
	}
}

// hidden reports whether a character makes text look like another: those that turn the
// direction of writing, and those without width.
func hidden(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200b || r == 0xfeff
}

func (l *logLine) put(r rune) {
	if l.at >= maxColumns {
		return
	}
	if gap := l.at - len(l.cells); gap > 0 && !l.allow(gap) {
		l.at = len(l.cells)
	}
	for len(l.cells) <= l.at {
		l.cells = append(l.cells, glyph{r: ' '})
	}
	l.cells[l.at] = glyph{r, l.look}
	l.at++
}

// escape handles the sequence at the start of text and returns what comes after it.
func (l *logLine) escape(text string) string {
	if len(text) < 2 {
		return ""
	}
	switch text[1] {
	case '[':
		end := 2
		for end < len(text) && text[end] >= 0x20 && text[end] <= 0x3f {
			end++
		}
		if end == len(text) {
			return ""
		}
		if final := text[end]; final >= 0x40 && final <= 0x7e {
			l.control(text[2:end], final)
			return text[end+1:]
		}
		return text[end:] // it is broken off
	case ']', 'P', 'X', '^', '_': // titles, links and other strings, up to BEL or ESC \
		for i := 2; i < len(text); i++ {
			if text[i] == '\a' {
				return text[i+1:]
			}
			if text[i] == '\x1b' {
				return strings.TrimPrefix(text[i:], "\x1b\\")
			}
		}
		return ""
	}
	end := 1
	for end < len(text) && text[end] >= 0x20 && text[end] <= 0x2f {
		end++
	}
	if end < len(text) && text[end] < 0x80 && text[end] >= 0x30 {
		end++
	}
	return text[end:]
}

// control handles ESC [ arguments final.
func (l *logLine) control(arguments string, final byte) {
	if strings.HasPrefix(arguments, "?") || strings.HasPrefix(arguments, ">") {
		return
	}
	list := numbers(arguments)
	n := list[0]
	switch final {
	case 'm':
		l.look = l.look.with(list)
	case 'K':
		switch n {
		case 0:
			l.cells = l.cells[:min(l.at, len(l.cells))]
		case 1:
			if n := min(l.at+1, len(l.cells)); l.allow(n) {
				for i := range n {
					l.cells[i] = glyph{r: ' '}
				}
			}
		case 2:
			l.cells = l.cells[:0]
		}
	case 'C':
		l.at = min(l.at+max(n, 1), maxColumns)
	case 'D':
		l.at = max(l.at-max(n, 1), 0)
	case 'G':
		l.at = min(max(n-1, 0), maxColumns)
	}
}

// numbers reads arguments; what is not a number is 0. There is at least one.
func numbers(arguments string) []int {
	var list []int
	for part := range strings.SplitSeq(strings.ReplaceAll(arguments, ":", ";"), ";") {
		n, err := strconv.Atoi(part)
		if err != nil || n > 1<<16 || n < 0 {
			n = 0
		}
		if list = append(list, n); len(list) == 32 {
			break
		}
	}
	return list
}

// with returns the look after ESC [ list m.
func (k textLook) with(list []int) textLook {
	for len(list) > 0 {
		n := list[0]
		list = list[1:]
		switch {
		case n == 0:
			k = textLook{}
		case n == 1:
			k.bold = true
		case n == 2:
			k.dim = true
		case n == 3:
			k.italic = true
		case n == 4:
			k.under = true
		case n == 7:
			k.invert = true
		case n == 9:
			k.strike = true
		case n == 22:
			k.bold, k.dim = false, false
		case n == 23:
			k.italic = false
		case n == 24:
			k.under = false
		case n == 27:
			k.invert = false
		case n == 29:
			k.strike = false
		case n >= 30 && n <= 37:
			k.fore = uint8(n - 29)
		case n == 39:
			k.fore = 0
		case n >= 40 && n <= 47:
			k.back = uint8(n - 39)
		case n == 49:
			k.back = 0
		case n >= 90 && n <= 97:
			k.fore = uint8(n - 81)
		case n >= 100 && n <= 107:
			k.back = uint8(n - 91)
		case n == 38 || n == 48:
			var colour uint8
			colour, list = extended(list)
			if n == 38 {
				k.fore = colour
			} else {
				k.back = colour
			}
		}
	}
	return k
}

// extended reads a colour of 256 or of 16 million and returns the nearest of 16.
func extended(list []int) (colour uint8, rest []int) {
	switch {
	case len(list) >= 2 && list[0] == 5:
		n := list[1]
		switch {
		case n > 255:
			return 0, list[2:]
		case n < 16:
			return uint8(n + 1), list[2:]
		case n >= 232:
			grey := 8 + (n-232)*10
			return nearest(grey, grey, grey), list[2:]
		}
		level := func(v int) int {
			if v == 0 {
				return 0
			}
			return 55 + v*40
		}
		n -= 16
		return nearest(level(n/36), level(n/6%6), level(n%6)), list[2:]
	case len(list) >= 4 && list[0] == 2:
		return nearest(list[1], list[2], list[3]), list[4:]
	}
	return 0, nil
}

// nearest is the colour of 16 that is most like red, green and blue.
func nearest(red, green, blue int) uint8 {
	most, least := max(red, green, blue), min(red, green, blue)
	if most-least < 40 { // a grey
		switch {
		case most < 64:
			return 1
		case most < 144:
			return 9
		case most < 224:
			return 8
		}
		return 16
	}
	n, half := 0, (most+least)/2
	for bit, v := range []int{red, green, blue} {
		if v > half {
			n |= 1 << bit
		}
	}
	if most > 192 {
		n += 8
	}
	return uint8(n + 1)
}

// classes are those of a look.
func (k textLook) classes() string {
	var out []string
	add := func(set bool, name string) {
		if set {
			out = append(out, name)
		}
	}
	fore, back := k.fore, k.back
	if k.invert {
		fore, back = back, fore
		add(back == 0, "inv")
	}
	add(fore > 0, "f"+strconv.Itoa(int(fore)-1))
	add(back > 0, "b"+strconv.Itoa(int(back)-1))
	add(k.bold, "bo")
	add(k.dim, "di")
	add(k.italic, "it")
	add(k.under, "un")
	add(k.strike, "st")
	return strings.Join(out, " ")
}

// html is the line as spans with classes.
func (l *logLine) html() string {
	var out, run strings.Builder
	for i := 0; i < len(l.cells); {
		look := l.cells[i].look
		run.Reset()
		for i < len(l.cells) && l.cells[i].look == look {
			run.WriteRune(l.cells[i].r)
			i++
		}
		text := html.EscapeString(run.String())
		if classes := look.classes(); classes != "" {
			text = `<span class="` + classes + `">` + text + `</span>`
		}
		out.WriteString(text)
	}
	return out.String()
}
