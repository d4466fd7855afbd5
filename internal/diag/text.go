package diag

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text prints each finding on a line, the source line with carets below it, the
// related places, and at the end the counts.
func (p Printer) text(w io.Writer, l List) error {
	out := bufio.NewWriter(w)
	sources := map[string][][]byte{}
	for _, f := range l {
		out.WriteString(p.heading(f) + "\n")
		out.WriteString(p.excerpt(f, sources))
		for _, r := range f.Related {
			out.WriteString("    " + related(r) + "\n")
		}
	}
	if s := Summary(l); s != "" {
		out.WriteString(s + "\n")
	}
	return out.Flush()
}

func (p Printer) heading(f Finding) string {
	var b strings.Builder
	if s := f.Place.String(); s != "" {
		b.WriteString(printable(s) + ": ")
	}
	level := f.Level.String()
	if p.Colour {
		level = colourOf(f.Level) + level + "\x1b[0m"
	}
	b.WriteString(level + ": " + strings.ReplaceAll(printable(message(f)), "\n", "\n    "))
	if p.Rules && f.Rule != "" {
		b.WriteString(" [" + f.Rule + "]")
	}
	if p.Rules && f.Subject != "" {
		b.WriteString(" (" + printable(f.Subject) + ")")
	}
	return b.String()
}

func colourOf(l Level) string {
	switch l {
	case Error:
		return "\x1b[1;31m"
	case Warning:
		return "\x1b[1;33m"
	default:
		return "\x1b[1;36m"
	}
}

func related(r Related) string {
	switch place := r.Place.String(); {
	case place == "":
		return printable(r.Message)
	case r.Message == "":
		return printable(place)
	default:
		return printable(place + ": " + r.Message)
	}
}

// Summary returns the counts of a list: "2 errors, 1 warning"; "" if it is empty.
func Summary(l List) string {
	errors, warnings := l.Count()
	var parts []string
	for _, c := range []struct {
		n    int
		word string
	}{{errors, "error"}, {warnings, "warning"}, {len(l) - errors - warnings, "note"}} {
		switch {
		case c.n == 1:
			parts = append(parts, "1 "+c.word)
		case c.n > 1:
			parts = append(parts, strconv.Itoa(c.n)+" "+c.word+"s")
		}
	}
	return strings.Join(parts, ", ")
}

// excerpt returns the source line of a finding with carets below it; "" if the line
// or the column is unknown.
func (p Printer) excerpt(f Finding, sources map[string][][]byte) string {
	if p.Source == nil || f.File == "" || f.Line < 1 || f.Column < 1 {
		return ""
	}
	lines, ok := sources[f.File]
	if !ok {
		if src, err := p.Source(f.File); err == nil {
			lines = bytes.Split(src, []byte("\n"))
		}
		sources[f.File] = lines
	}
	if f.Line > len(lines) {
		return ""
	}
	text, before, under := layout(string(bytes.TrimSuffix(lines[f.Line-1], []byte("\r"))), f.Column-1, max(f.Width, 1))
	return fmt.Sprintf("%5d | %s\n      | %s%s\n", f.Line, text, strings.Repeat(" ", before), strings.Repeat("^", under))
}

// layout prepares a source line for a terminal: tabs become spaces, control
// characters become a dot, and a long line is cut around the mark. It returns the
// number of columns before the mark and of the mark.
func layout(line string, column, width int) (text string, before, under int) {
	const longest, lead = 160, 60
	var b strings.Builder
	at, from, skipped := 0, 0, ""
	n := utf8.RuneCountInString(line)
	if n > longest && column > longest-lead {
		from, skipped = column-lead, "…"
		b.WriteString(skipped)
		at = 1
	}
	i := 0
	before = -1
	for _, r := range line {
		if i == column {
			before = at
		}
		if i == column+width {
			under = at - before
		}
		if i >= from {
			if i-from >= longest {
				b.WriteString("…")
				break
			}
			s, w := cell(r, at)
			b.WriteString(s)
			at += w
		}
		i++
	}
	if before < 0 { // the mark is at the end of the line or beyond it
		before = at
	}
	if under == 0 {
		under = at - before
	}
	return strings.TrimRight(b.String(), " "), before, max(under, 1)
}

// cell returns how a character is printed at column at, and its width in columns.
func cell(r rune, at int) (string, int) {
	switch {
	case r == '\t':
		w := 4 - at%4
		return strings.Repeat(" ", w), w
	case r == utf8.RuneError, unicode.IsControl(r):
		return "·", 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return string(r), 0
	case wide(r):
		return string(r), 2
	}
	return string(r), 1
}

// wide reports whether a terminal uses two columns for r (Unicode Standard Annex
// #11, the blocks that are wide as a whole).
func wide(r rune) bool {
	return r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0x303e || r >= 0x3041 && r <= 0xa4cf ||
		r >= 0xa960 && r <= 0xa97c || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 ||
		r >= 0x1f300 && r <= 0x1f64f || r >= 0x1f680 && r <= 0x1f6ff || r >= 0x1f900 && r <= 0x1f9ff || r >= 0x20000 && r <= 0x3fffd)
}

// printable replaces the characters that would control a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '·'
		}
		return r
	}, s)
}
