package web

import (
	"strconv"
	"strings"
)

// marker begins or ends a section of a log: section_start:TIME:NAME[OPTIONS].
type marker struct {
	start  bool
	time   int64
	name   string
	folded bool
}

// cutMarkers takes the markers out of a line. Those that come after text are apart:
// they count for what follows the line.
func cutMarkers(line string) (text string, before, after []marker) {
	var out strings.Builder
	for {
		at := nextMarker(line)
		if at < 0 {
			out.WriteString(line)
			return out.String(), before, after
		}
		m, rest, good := parseMarker(line[at:])
		if !good {
			skip := at + len("section_")
			out.WriteString(line[:skip])
			line = line[skip:]
			continue
		}
		out.WriteString(strings.TrimSuffix(line[:at], "\x1b[0K"))
		if out.Len() > 0 && !m.start {
			after = append(after, m)
		} else {
			before = append(before, m)
		}
		line = rest
	}
}

// nextMarker finds where a marker may begin: at the start or after an erased line.
func nextMarker(line string) int {
	for from := 0; ; {
		at := strings.Index(line[from:], "section_")
		if at < 0 {
			return -1
		}
		at += from
		if at == 0 || line[at-1] == '\r' || strings.HasSuffix(line[:at], "\x1b[0K") {
			return at
		}
		from = at + 1
	}
}

func parseMarker(text string) (m marker, rest string, good bool) {
	head, rest, good := strings.Cut(text, "\r")
	kind, value, _ := strings.Cut(head, ":")
	time, name, named := strings.Cut(value, ":")
	if !good || !named || kind != "section_start" && kind != "section_end" {
		return m, "", false
	}
	m.start = kind == "section_start"
	var err error
	if m.time, err = strconv.ParseInt(time, 10, 64); err != nil {
		return m, "", false
	}
	name, options, _ := strings.Cut(name, "[")
	m.name, m.folded = name, strings.Contains(options, "collapsed=true")
	if name == "" || len(name) > 256 || strings.ContainsAny(name, " \t\x1b") {
		return m, "", false
	}
	return m, strings.TrimPrefix(rest, "\x1b[0K"), true
}
