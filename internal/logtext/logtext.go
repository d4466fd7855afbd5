// Package logtext reads lines of logs as people do: without colours and what was
// overwritten, and what they report.
//
// It promises bounded work for a line of any length. It does not know where a log is.
package logtext

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// lineLength is how many bytes of a line are shown beside a log.
const lineLength = 400

// Line is a line as a terminal shows it in the end, without colours: what a carriage
// return overwrites and the markers of sections are gone.
func Line(text []byte) string { return Plain(text, lineLength) }

// Contains reports whether a line has a text, in any case of letters. want is in lower
// case.
func Contains(line []byte, want string) bool {
	if !mayContain(line, want) {
		return false
	}
	if !bytes.ContainsAny(line, "\x1b\r") {
		return bytes.Contains(bytes.ToLower(line), []byte(want))
	}
	return strings.Contains(strings.ToLower(Plain(line, len(line))), want)
}

// mayContain is false for most lines without the text: they lack one of its letters. The
// letters i and k are small forms of others than I and K too.
func mayContain(line []byte, want string) bool {
	for _, b := range []byte(want[:min(len(want), 12)]) {
		switch {
		case b >= 0x80 || b == 'i' || b == 'k':
		case b >= 'a' && b <= 'z':
			if bytes.IndexByte(line, b) < 0 && bytes.IndexByte(line, b-'a'+'A') < 0 {
				return false
			}
		case bytes.IndexByte(line, b) < 0:
			return false
		}
	}
	return true
}

// Around is the part of a line that shows what was found in it.
func Around(text []byte, want string) string {
	line := Plain(text, len(text))
	runes := []rune(line)
	if len(runes) <= lineLength {
		return line
	}
	at := len([]rune(strings.SplitN(strings.ToLower(line), want, 2)[0]))
	start := max(min(at-40, len(runes)-lineLength), 0)
	return string(runes[start : start+lineLength])
}

// Plain is [Line] with another limit of its length.
func Plain(text []byte, most int) string {
	text = bytes.TrimRight(text, "\r")
	if at := bytes.LastIndexByte(text, '\r'); at >= 0 {
		text = text[at+1:]
	}
	var out strings.Builder
	out.Grow(min(len(text), most))
	for i := 0; i < len(text) && out.Len() < most; {
		if text[i] == 0x1b {
			i += escapeLength(text[i:])
			continue
		}
		if text[i] >= ' ' && text[i] < 0x7f {
			out.WriteByte(text[i])
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		i += size
		if r == '\t' || r >= ' ' && r != 0x7f {
			out.WriteRune(r)
		}
	}
	line := strings.TrimRight(out.String(), " \t")
	if strings.HasPrefix(line, "section_start:") || strings.HasPrefix(line, "section_end:") {
		return ""
	}
	return line
}

// escapeLength is the length of an escape sequence: CSI ends at its final byte, OSC at
// BEL or ST.
func escapeLength(text []byte) int {
	if len(text) < 2 {
		return len(text)
	}
	switch text[1] {
	case '[':
		for i := 2; i < len(text); i++ {
			if text[i] >= 0x40 && text[i] <= 0x7e {
				return i + 1
			}
		}
		return len(text)
	case ']':
		for i := 2; i < len(text); i++ {
			if text[i] == 0x07 {
				return i + 1
			}
			if text[i] == 0x1b {
				return min(i+2, len(text))
			}
		}
		return len(text)
	}
	return 2
}
