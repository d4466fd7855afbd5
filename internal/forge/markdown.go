package forge

import "strings"

// CutMarkdown shortens a comment to so many bytes at the end of a line. Fences and
// <details> that were open there are closed, so that the note stands outside of
// them; the note is added if something was cut.
func CutMarkdown(body string, most int, note string) string {
	if len(body) <= most {
		return body
	}
	note = "\n\n" + note + "\n"
	room := most - len(note)
	for room > 0 {
		cut := strings.LastIndexByte(body[:room], '\n')
		if cut < 0 {
			break
		}
		tail := closing(body[:cut])
		if cut+len(tail)+len(note) <= most {
			return body[:cut] + tail + note
		}
		room = cut
	}
	return strings.ToValidUTF8(body[:max(0, most-len(note))], "") + note
}

// closing ends what is open at the end of a text.
func closing(text string) string {
	fence, details := "", 0
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimLeft(line, " ")
		switch mark := fenceOf(line); {
		case fence == "" && mark != "":
			fence = mark
		case fence != "" && strings.HasPrefix(mark, fence) && strings.Trim(line, mark[:1]+" \r") == "":
			fence = ""
		case fence == "":
			details += strings.Count(line, "<details") - strings.Count(line, "</details>")
		}
	}
	tail := ""
	if fence != "" {
		tail = "\n" + fence
	}
	for range min(max(details, 0), 20) {
		tail += "\n\n</details>"
	}
	return tail
}

// fenceOf returns the ``` or ~~~ that a line begins with, all of it.
func fenceOf(line string) string {
	for _, mark := range []string{"`", "~"} {
		// A person writes three or four; a long run would leave no space for text.
		if n := len(line) - len(strings.TrimLeft(line, mark)); n >= 3 && n <= 40 {
			return line[:n]
		}
	}
	return ""
}
