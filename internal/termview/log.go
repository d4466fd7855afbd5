package termview

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// LogLines turns the bytes of a job's log into lines for people: GitLab's
// section marks become headings, collapsed sections one line, and what a
// carriage return overwrote is dropped.
type LogLines struct {
	Plain  bool // without ANSI colours
	Line   func(string)
	rest   []byte
	folded []foldedSection
	lines  int      // inside the outermost folded section
	kept   []string // the last of them: a section that never ends is shown
}

type foldedSection struct{ name, title string }

const (
	longestLine = 64 << 10 // bytes; a longer line is broken
	keptLines   = 500      // of a folded section
)

// Write takes bytes of the log as they come; it never fails.
func (l *LogLines) Write(p []byte) (int, error) {
	l.add(p)
	return len(p), nil
}

func (l *LogLines) add(p []byte) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.rest = append(l.rest, p...)
			if len(l.rest) > longestLine {
				l.flushLine()
			}
			return
		}
		line := p[:i]
		if len(l.rest) > 0 {
			line = append(l.rest, line...)
			l.rest = l.rest[:0]
		}
		l.one(string(line))
		p = p[i+1:]
	}
}

// Flush ends the log: it shows a last line without a line break, and what a
// folded section hides that did not come to its end.
func (l *LogLines) Flush() {
	l.flushLine()
	if len(l.folded) > 0 {
		l.Line("▸ " + l.folded[0].title)
		if more := l.lines - len(l.kept); more > 0 {
			l.Line(fmt.Sprintf("(%d lines before)", more))
		}
		for _, line := range l.kept {
			l.show(line)
		}
		l.folded, l.lines, l.kept = nil, 0, nil
	}
}

func (l *LogLines) flushLine() {
	if len(l.rest) > 0 {
		l.one(string(l.rest))
		l.rest = l.rest[:0]
	}
}

func (l *LogLines) one(line string) {
	if strings.Contains(line, "section_") {
		var rest bool
		if line, rest = l.sections(line); !rest {
			return
		}
	}
	if len(l.folded) > 0 {
		l.lines++
		if l.kept = append(l.kept, line); len(l.kept) > 2*keptLines {
			l.kept = append(l.kept[:0], l.kept[len(l.kept)-keptLines:]...)
		}
		return
	}
	l.show(line)
}

// show shows a line as it is in the end.
func (l *LogLines) show(line string) {
	line = strings.TrimSuffix(line, "\r")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	if l.Plain {
		line = stripANSI(line)
	}
	l.Line(line)
}

// sections takes the marks out of a line; it returns false when nothing else
// stood there.
func (l *LogLines) sections(line string) (string, bool) {
	marks := sectionMark().FindAllStringSubmatchIndex(line, -1)
	if marks == nil {
		return line, true
	}
	title := line[marks[len(marks)-1][1]:]
	for _, m := range marks {
		kind, name, options := line[m[2]:m[3]], line[m[4]:m[5]], ""
		if m[6] >= 0 {
			options = line[m[6]:m[7]]
		}
		switch {
		case kind == "start" && (len(l.folded) > 0 || strings.Contains(options, "collapsed=true")):
			l.folded = append(l.folded, foldedSection{name, strings.TrimSpace(stripANSI(title))})
		case kind == "end" && len(l.folded) > 0 && l.folded[len(l.folded)-1].name == name:
			l.unfold()
		}
	}
	if strings.TrimSpace(stripANSI(title)) == "" || len(l.folded) > 0 {
		return "", false
	}
	return title, true
}

func (l *LogLines) unfold() {
	top := l.folded[len(l.folded)-1]
	l.folded = l.folded[:len(l.folded)-1]
	if len(l.folded) == 0 {
		l.Line(fmt.Sprintf("▸ %s (%d lines)", top.title, l.lines))
		l.lines, l.kept = 0, nil
	}
}

var sectionMark = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:\x1b\[0K)?section_(start|end):\d+:([\w.-]+)(\[[^\]]*\])?\r(?:\x1b\[0K)+`)
})

var ansi = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])`)
})

func stripANSI(s string) string {
	if strings.IndexByte(s, 0x1b) < 0 {
		return s
	}
	return ansi().ReplaceAllString(s, "")
}
