package web

import (
	"html/template"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
)

const (
	partLines  = 200 // of an element that the browser may skip
	maxSection = 16  // sections in sections
)

// logWriter makes the HTML of a log.
type logWriter struct {
	out   strings.Builder
	parts []string // what came before out, with holes for the durations of sections
	look  textLook
	lines int // of the open part; 0 if none is open
	open  []openSection
}

type openSection struct {
	marker
	hole int // in parts, where its duration goes
}

// renderLog shows lines in parts and sections.
func renderLog(lines []api.LogText) template.HTML {
	w := &logWriter{}
	for _, line := range lines {
		w.line(line)
	}
	w.closePart()
	for len(w.open) > 0 {
		w.closeSection("")
	}
	return template.HTML(strings.Join(w.parts, "") + w.out.String())
}

func (w *logWriter) line(line api.LogText) {
	text, before, after := cutMarkers(line.Text)
	var started *marker
	for _, m := range before {
		if m.start {
			started = &m
			continue
		}
		w.end(m)
	}
	l := logLine{look: w.look}
	l.print(text)
	w.look = l.look
	body := l.html()
	if line.Cut || l.at >= maxColumns {
		body += `<span class="cutoff"> … the raw log has the rest of this line</span>`
	}
	switch {
	case started != nil && len(w.open) < maxSection:
		if strings.TrimSpace(body) == "" {
			body = template.HTMLEscapeString(started.name)
		}
		w.start(*started, line.Number, body)
	case body != "" || len(before) == 0:
		w.put(line.Number, body)
	}
	for _, m := range after {
		w.end(m)
	}
}

func (w *logWriter) put(number int64, body string) {
	if w.lines == partLines {
		w.closePart()
	}
	if w.lines == 0 {
		w.out.WriteString(`<div class="part">`)
	}
	w.lines++
	w.numbered("div", number, body)
	w.out.WriteString("</div>\n")
}

func (w *logWriter) numbered(element string, number int64, body string) {
	n := strconv.FormatInt(number, 10)
	w.out.WriteString("<" + element + ` class="ln" id="L` + n + `"><a class="n" href="#L` + n + `" data-n="` + n + `" tabindex="-1" aria-hidden="true"></a>` + body)
}

func (w *logWriter) closePart() {
	if w.lines > 0 {
		w.out.WriteString("</div>")
	}
	w.lines = 0
}

func (w *logWriter) start(m marker, number int64, body string) {
	w.closePart()
	w.out.WriteString(`<details`)
	if !m.folded {
		w.out.WriteString(` open`)
	}
	w.out.WriteString(`>`)
	w.numbered("summary", number, body)
	w.parts = append(w.parts, w.out.String(), "")
	w.out.Reset()
	w.open = append(w.open, openSection{m, len(w.parts) - 1})
	w.out.WriteString("</summary>")
}

// end closes the section with this name and those in it that were left open.
func (w *logWriter) end(m marker) {
	for i := len(w.open) - 1; i >= 0; i-- {
		if w.open[i].name != m.name {
			continue
		}
		w.closePart()
		for len(w.open) > i+1 {
			w.closeSection("")
		}
		took := ""
		if d := m.time - w.open[i].time; d >= 0 && d < int64(100*24*time.Hour/time.Second) {
			took = duration(time.Duration(d) * time.Second)
			if d < 10 {
				took = strconv.FormatInt(d, 10) + " s" // markers count whole seconds
			}
		}
		w.closeSection(took)
		return
	}
}

func (w *logWriter) closeSection(took string) {
	last := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	if took != "" {
		w.parts[last.hole] = `<span class="took">` + took + `</span>`
	}
	w.out.WriteString("</details>")
}
