package web

import (
	"strings"
	"unicode/utf8"
)

// logPart is a stretch of a line in one style.
type logPart struct {
	Class string // of the style sheet: a-bold a-red …; "" for none
	Text  string
}

// logParts turns a line of a log into text and styles: colours and bold stay, a carriage
// return overwrites what is before it, and every other escape or control is dropped.
func logParts(line string) []logPart {
	line = strings.TrimRight(line, "\r\n")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	var parts []logPart
	style := ansiStyle{}
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, logPart{style.class(), text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(line); {
		if line[i] == 0x1b {
			codes, end, colour := escape(line[i:])
			if colour {
				flush()
				style.take(codes)
			}
			i += end
			continue
		}
		r, size := utf8.DecodeRuneInString(line[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			text.WriteRune(utf8.RuneError)
		case r == '\t' || r >= 0x20 && r != 0x7f && (r < 0x80 || r > 0x9f) && !hidden(r):
			text.WriteRune(r)
		}
		i += size
	}
	flush()
	return parts
}

// hidden reports whether a character makes text look like another: those that turn the
// direction of writing, and those without width.
func hidden(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200b || r == 0xfeff
}

// escape returns the length of the escape at the start of text, and the numbers of one
// that sets colours.
func escape(text string) (codes string, length int, colour bool) {
	if len(text) < 2 {
		return "", len(text), false
	}
	switch text[1] {
	case '[': // CSI: numbers, then a letter
		for i := 2; i < len(text) && i < 64; i++ {
			if c := text[i]; c >= 0x40 && c <= 0x7e {
				return text[2:i], i + 1, c == 'm'
			} else if c < 0x20 {
				return "", i, false
			}
		}
		return "", min(len(text), 64), false
	case ']', 'P', 'X', '^', '_': // OSC and its like: to BEL or ST
		for i := 2; i < len(text); i++ {
			if text[i] == 0x07 {
				return "", i + 1, false
			}
			if text[i] == 0x1b {
				return "", min(i+2, len(text)), false
			}
		}
		return "", len(text), false
	}
	return "", 2, false
}

type ansiStyle struct {
	bold   bool
	colour string
}

var ansiColours = [8]string{"", "red", "green", "yellow", "blue", "magenta", "cyan", ""} // black and white as the text

func (s *ansiStyle) take(codes string) {
	list := strings.FieldsFunc(codes, func(r rune) bool { return r == ';' || r == ':' })
	if len(list) == 0 {
		*s = ansiStyle{}
	}
	for i := 0; i < len(list); i++ {
		switch c := strings.TrimLeft(list[i], "0"); {
		case c == "":
			*s = ansiStyle{}
		case c == "1":
			s.bold = true
		case c == "22":
			s.bold = false
		case c == "39":
			s.colour = ""
		case c == "38" || c == "48": // 256 colours, or three numbers
			if i+1 < len(list) && list[i+1] == "5" {
				i += 2
			} else {
				i += 4
			}
		case len(c) == 2 && (c[0] == '3' || c[0] == '9') && c[1] <= '7':
			s.colour = ansiColours[c[1]-'0']
		}
	}
}

func (s ansiStyle) class() string {
	var out []string
	if s.bold {
		out = append(out, "a-bold")
	}
	if s.colour != "" {
		out = append(out, "a-"+s.colour)
	}
	return strings.Join(out, " ")
}
