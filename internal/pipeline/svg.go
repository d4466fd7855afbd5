package pipeline

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	fontSize   = 13.0
	noteSize   = 11.0
	iconSize   = 16.0
	padding    = 10.0 // inside a job
	layerGap   = 52.0
	panelSide  = 14.0 // between a stage's edge and its jobs
	panelTop   = 40.0 // room for the stage's name
	margin     = 16.0
	nameWidth  = 460.0 // of a name that is longer the middle is left out
	smallWidth = 96.0  // no job is narrower
)

// SVG is a drawing of the pipeline: a column a stage, a box a job, a line a
// need. With a state every job shows its status, by a symbol as well as by a
// colour; without, when it runs. It follows the reader's choice of dark or
// light and needs no font but the reader's own. Errors are those of [NewGraph].
func SVG(p *Pipeline, s *State) (string, error) {
	g, err := NewGraph(p)
	if err != nil {
		return "", err
	}
	d := drawing{p: p}
	if s != nil && len(s.Jobs) == len(p.Jobs) {
		d.state = s
	}
	d.boxes = make([]box, len(p.Jobs))
	for i := range p.Jobs {
		d.boxes[i] = d.box(i)
	}
	d.layout = g.place(func(i int) (float64, float64) { return d.boxes[i].w, d.boxes[i].h })
	d.spread()
	d.write()
	return d.out.String(), nil
}

type drawing struct {
	p      *Pipeline
	state  *State
	boxes  []box
	layout *layout
	panels []panel
	width  float64
	height float64
	out    strings.Builder
}

// box is a job as it is written.
type box struct {
	name, note, look string
	w, h             float64
}

type panel struct{ x, w float64 }

func (d *drawing) box(i int) box {
	job := &d.p.Jobs[i]
	b := box{name: fit(job.Name, nameWidth), note: fit(d.note(i), nameWidth), look: d.look(i), h: 34}
	b.w = max(textWidth(b.name, fontSize), textWidth(b.note, noteSize), smallWidth) + iconSize + 3*padding
	if b.note != "" {
		b.h = 48
	}
	return b
}

// look is the symbol and colour of a job.
func (d *drawing) look(i int) string {
	job := &d.p.Jobs[i]
	if d.state != nil {
		state := d.state.Jobs[i]
		if kindOf(state) == isWarned && state.Status == StatusFailed {
			return "warned"
		}
		return string(state.Status)
	}
	switch job.When {
	case WhenManual:
		return "manual"
	case WhenDelayed:
		return "scheduled"
	default:
		return "created"
	}
}

// note is the second line of a job: what one has to know of it, the most
// pressing first.
func (d *drawing) note(i int) string {
	job := &d.p.Jobs[i]
	var parts []string
	add := func(text string) { parts = append(parts, text) }
	if d.state != nil {
		state := d.state.Jobs[i]
		if state.Status == StatusFailed && state.ExitCode != 0 {
			add("exit " + strconv.Itoa(state.ExitCode))
		} else if state.Status == StatusFailed && state.Reason != "" {
			add(strings.ReplaceAll(string(state.Reason), "_", " "))
		}
		if state.Attempt > 1 {
			add("attempt " + strconv.Itoa(state.Attempt))
		}
	}
	switch job.When {
	case WhenManual:
		if job.AllowFailure {
			add("manual")
		} else {
			add("manual, the rest waits")
		}
	case WhenDelayed:
		add("delayed " + shortDuration(job.StartIn))
	case WhenOnFailure:
		add("on failure")
	case WhenAlways:
		add("always")
	}
	if job.AllowFailure && job.When != WhenManual {
		add("may fail")
	}
	if job.Downstream != nil && job.Downstream.Project != "" {
		add("starts " + job.Downstream.Project)
	} else if job.Downstream != nil {
		add("starts a pipeline")
	}
	if job.Environment != nil {
		add("to " + job.Environment.Name)
	}
	if job.DAG && len(job.Needs) == 0 && job.Stage != d.p.Stages[0] {
		add("waits for nothing")
	}
	return strings.Join(parts, " · ")
}

func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// spread gives the layers their x and the stages their panels.
func (d *drawing) spread() {
	l := d.layout
	x, bottom := margin, 0.0
	for k, stage := range l.stages {
		start := x
		x += panelSide
		for layer := stage[0]; layer <= stage[1]; layer++ {
			wide := 0.0
			for _, s := range l.layers[layer] {
				wide = max(wide, l.spots[s].w)
				bottom = max(bottom, l.spots[s].y+l.spots[s].h)
			}
			if title := textWidth(d.p.Stages[k], fontSize) + iconSize + padding; stage[0] == stage[1] {
				wide = max(wide, min(title, nameWidth))
			}
			for _, s := range l.layers[layer] {
				l.spots[s].x, l.spots[s].w = x, wide
				l.spots[s].y += margin + panelTop
			}
			x += wide + layerGap
		}
		x += panelSide - layerGap
		d.panels = append(d.panels, panel{start, x - start})
		x += layerGap - 2*panelSide
	}
	d.width = max(x-layerGap+2*panelSide+margin, 2*margin)
	d.height = bottom + panelTop + panelSide + 2*margin
}

func (d *drawing) write() {
	title := "pipeline"
	if d.p.Name != "" {
		title = d.p.Name
	}
	if d.state != nil {
		title += ": " + statusText(PipelineStatus(d.p, *d.state))
	}
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" class="refline-graph" role="img" width="%s" height="%s" viewBox="0 0 %s %s">`+"\n",
		num(d.width), num(d.height), num(d.width), num(d.height))
	d.printf("<title>%s</title>\n<style>%s</style>\n", escape(title), graphStyle)
	for k, p := range d.panels {
		d.printf(`<rect class="stage" x="%s" y="%s" width="%s" height="%s" rx="12"/>`+"\n",
			num(p.x), num(margin), num(p.w), num(d.height-2*margin))
		d.printf(`<text class="stage-name" x="%s" y="%s">%s</text>`+"\n",
			num(p.x+panelSide), num(margin+25), escape(fit(d.p.Stages[k], max(p.w-2*panelSide-iconSize, smallWidth))))
		if d.state != nil && k < len(d.state.Stages) {
			look := string(d.state.Stages[k])
			d.printf(`<g class="%s"><title>%s</title>%s</g>`+"\n", look, escape(statusText(d.state.Stages[k])),
				icon(look, p.x+p.w-panelSide-iconSize, margin+12.5))
		}
	}
	for _, path := range d.layout.edges {
		d.edge(path)
	}
	for i := range d.p.Jobs {
		d.job(i)
	}
	d.printf("</svg>\n")
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.out, format, args...) }

// edge draws one need, from the right side of a job to the left of another.
func (d *drawing) edge(path []int) {
	spots := d.layout.spots
	from := &spots[path[0]]
	x, y := from.x+from.w, from.middle()
	d.printf(`<path class="need" d="M%s %s`, num(x), num(y))
	for _, s := range path[1:] {
		to := &spots[s]
		half := (to.x - x) / 2
		d.printf("C%s %s %s %s %s %s", num(x+half), num(y), num(x+half), num(to.middle()), num(to.x), num(to.middle()))
		x, y = to.x, to.middle()
		if to.job < 0 {
			x += to.w
			d.printf("H%s", num(x))
		}
	}
	d.printf(`"/><circle class="end" cx="%s" cy="%s" r="3"/>`+"\n", num(x), num(y))
}

func (d *drawing) job(i int) {
	job, b, s := &d.p.Jobs[i], d.boxes[i], &d.layout.spots[i]
	about := job.Name
	if d.state != nil {
		about += ": " + statusText(d.state.Jobs[i].Status)
	}
	if b.note != "" {
		about += ", " + d.note(i)
	}
	d.printf(`<g class="job %s"><title>%s</title><rect x="%s" y="%s" width="%s" height="%s" rx="8"/>`,
		b.look, escape(about), num(s.x), num(s.y), num(s.w), num(b.h))
	if job.Downstream != nil { // two frames: there is a pipeline inside
		d.printf(`<rect class="inner" x="%s" y="%s" width="%s" height="%s" rx="5"/>`,
			num(s.x+3), num(s.y+3), num(s.w-6), num(b.h-6))
	}
	d.printf("%s", icon(b.look, s.x+padding, s.middle()-iconSize/2))
	x, y := s.x+2*padding+iconSize, s.middle()+4.5
	if b.note != "" {
		y -= 8.5
		d.printf(`<text class="note" x="%s" y="%s">%s</text>`, num(x), num(y+17), escape(b.note))
	}
	d.printf(`<text x="%s" y="%s">%s</text></g>`+"\n", num(x), num(y), escape(b.name))
}

func statusText(s Status) string { return strings.ReplaceAll(string(s), "_", " ") }

// num writes a coordinate: one decimal at most.
func num(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

// escape makes text safe in XML; characters that XML cannot hold become �.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder does not fail
	return b.String()
}

// textWidth estimates how wide text is in a sans-serif font, rather too wide.
func textWidth(text string, size float64) float64 {
	em := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune("iIjl.,:;'|!()[]{} ", r):
			em += 0.36
		case strings.ContainsRune("mwMW@%—", r):
			em += 0.95
		case r >= 'A' && r <= 'Z':
			em += 0.72
		case r >= 0x1100:
			em += 1.05
		default:
			em += 0.61
		}
	}
	return em * size
}

// fit leaves out the middle of a text that is wider than width: the instances
// of a matrix differ at their ends.
func fit(text string, width float64) string {
	if textWidth(text, fontSize) <= width {
		return text
	}
	runes := []rune(text)
	half := len(runes) / 2
	for half > 1 && textWidth(string(runes[:half])+"…"+string(runes[len(runes)-half:]), fontSize) > width {
		half--
	}
	return string(runes[:half]) + "…" + string(runes[len(runes)-half:])
}
