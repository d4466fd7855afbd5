// Package graphview draws a pipeline: as SVG, optionally with the state of a
// run, and as text for Mermaid and Graphviz.
//
// It promises the same drawing for the same pipeline and state, and that no name
// can break out of its place: job and stage names never become markup or syntax.
// It knows no files and no page; callers write the result where they want it.
package graphview

import (
	"cmp"
	"fmt"
	"strings"

	"refline/internal/pipeline"
)

const (
	fontSize   = 13.0
	noteSize   = 11.0
	iconSize   = 16.0
	padding    = 10.0 // inside a job
	layerGap   = 52.0
	panelSide  = 14.0 // between a stage's edge and its jobs
	panelTop   = 40.0 // space for the stage's name
	margin     = 16.0
	nameWidth  = 460.0 // a wider name loses its middle
	smallWidth = 96.0  // the least width of a job
)

// SVG draws the pipeline: a column for each stage, a box for each job, a line
// for each need. With a state, a symbol and a colour show each job's status.
// Without one they show when the job runs. The drawing follows the reader's dark
// or light mode and uses the reader's system font. Errors are those of
// [pipeline.NewGraph].
func SVG(p *pipeline.Pipeline, s *pipeline.State) (string, error) { return draw(p, s, nil) }

// PageSVG is [SVG] for a page that has the styles of the classes: without a style of
// its own, and with each job as a link to what link returns for its position.
func PageSVG(p *pipeline.Pipeline, s *pipeline.State, link func(job int) string) (string, error) {
	return draw(p, s, link)
}

func draw(p *pipeline.Pipeline, s *pipeline.State, link func(job int) string) (string, error) {
	g, err := pipeline.NewGraph(p)
	if err != nil {
		return "", err
	}
	d := drawing{p: p, link: link}
	if s != nil && len(s.Jobs) == len(p.Jobs) {
		d.state = s
	}
	d.boxes = make([]box, len(p.Jobs))
	for i := range p.Jobs {
		d.boxes[i] = d.box(i)
	}
	d.layout = place(p, g, func(i int) (float64, float64) { return d.boxes[i].w, d.boxes[i].h })
	d.spread()
	d.write()
	return d.out.String(), nil
}

type drawing struct {
	p      *pipeline.Pipeline
	state  *pipeline.State  // nil: the definition only
	link   func(int) string // nil: a drawing on its own
	boxes  []box
	layout *layout
	panels []panel
	width  float64
	height float64
	out    strings.Builder
}

type panel struct{ x, w float64 }

// spread sets the x of each layer and the panel of each stage.
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
		title += ": " + statusText(cmp.Or(d.state.Status, pipeline.StatusCreated))
	}
	if d.link != nil { // its links are for screen readers too, unlike the parts of an image
		d.printf(`<svg class="refline-graph" role="group" aria-label="%s" width="%s" height="%s" viewBox="0 0 %s %s">`+"\n",
			escape(title), num(d.width), num(d.height), num(d.width), num(d.height))
	} else {
		d.printf(`<svg xmlns="http://www.w3.org/2000/svg" class="refline-graph" role="img" width="%s" height="%s" viewBox="0 0 %s %s">`+"\n",
			num(d.width), num(d.height), num(d.width), num(d.height))
		d.printf("<title>%s</title>\n<style>%s</style>\n", escape(title), graphStyle)
	}
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

// edge draws one need, from the right side of a job to the left side of another.
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
	element := "g"
	if d.link != nil {
		element = "a"
		// The name begins with what is seen, so that it can be spoken to find it.
		status := statusText(pipeline.StatusCreated)
		if d.state != nil {
			status = statusText(d.state.Jobs[i].Status)
		}
		label := strings.TrimSpace(b.name+" "+b.note) + ", "
		if b.name != job.Name {
			label += job.Name + ", "
		}
		d.printf(`<a class="job %s" href="%s" aria-label="%s">`, b.look, escape(d.link(i)), escape(label+status))
	} else {
		d.printf(`<g class="job %s"><title>%s</title>`, b.look, escape(about))
	}
	d.printf(`<rect x="%s" y="%s" width="%s" height="%s" rx="8"/>`, num(s.x), num(s.y), num(s.w), num(b.h))
	if job.Downstream != nil { // a double frame: this job starts another pipeline
		d.printf(`<rect class="inner" x="%s" y="%s" width="%s" height="%s" rx="5"/>`,
			num(s.x+3), num(s.y+3), num(s.w-6), num(b.h-6))
	}
	d.printf("%s", icon(b.look, s.x+padding, s.middle()-iconSize/2))
	x, y := s.x+2*padding+iconSize, s.middle()+4.5
	if b.note != "" {
		y -= 8.5
	}
	d.printf(`<text x="%s" y="%s">%s</text>`, num(x), num(y), escape(b.name))
	if b.note != "" {
		d.printf(` <text class="note" x="%s" y="%s">%s</text>`, num(x), num(y+17), escape(b.note))
	}
	d.printf("</%s>\n", element)
}
