package web

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// span is a stretch of time in which something ran.
type span struct{ from, to time.Time }

// axis places times on a line of 100 percent. Long stretches in which nothing ran are
// cut short, so that a retry of a day later does not squeeze the first try.
type axis struct {
	parts []axisPart
	end   time.Time
}

type axisPart struct {
	from, to time.Time
	at, wide float64 // percent
	idle     bool    // cut short
}

const (
	idleWide = 3.0 // percent of a stretch that is cut short
	axisWide = 97.0
)

// newAxis places spans between two times.
func newAxis(from, to time.Time, spans []span) axis {
	if !to.After(from) {
		to = from.Add(time.Second)
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var busy []span
	last := from
	total := time.Duration(0)
	for _, s := range spans {
		if s.to.After(to) {
			s.to = to
		}
		if n := len(busy); n > 0 && !s.from.After(busy[n-1].to) {
			if s.to.After(busy[n-1].to) {
				busy[n-1].to = s.to
			}
		} else {
			busy = append(busy, s)
		}
	}
	for _, b := range busy {
		total += b.to.Sub(b.from)
	}
	limit := max(2*total, time.Minute)
	var a axis
	add := func(from, to time.Time, idle bool) {
		if to.After(from) {
			a.parts = append(a.parts, axisPart{from: from, to: to, idle: idle})
		}
	}
	for _, b := range busy {
		if gap := b.from.Sub(last); gap > limit {
			add(last, b.from, true)
		} else {
			add(last, b.from, false)
		}
		add(later(b.from, last), b.to, false)
		last = later(b.to, last)
	}
	add(last, to, to.Sub(last) > limit && len(busy) > 0)
	a.end = to
	a.measure()
	return a
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// measure gives each part its place.
func (a *axis) measure() {
	shown, idle := time.Duration(0), 0
	for _, p := range a.parts {
		if p.idle {
			idle++
		} else {
			shown += p.to.Sub(p.from)
		}
	}
	room := axisWide - idleWide*float64(idle)
	at := 0.0
	for i := range a.parts {
		p := &a.parts[i]
		p.at, p.wide = at, idleWide
		if !p.idle {
			p.wide = max(room, 10) * float64(p.to.Sub(p.from)) / float64(max(shown, 1))
		}
		at += p.wide
	}
}

// place is where a time is, in percent.
func (a axis) place(t time.Time) float64 {
	for _, p := range a.parts {
		if !t.After(p.to) {
			return min(100, p.at+p.wide*max(0, float64(t.Sub(p.from))/float64(p.to.Sub(p.from))))
		}
	}
	if n := len(a.parts); n > 0 {
		return min(100, a.parts[n-1].at+a.parts[n-1].wide)
	}
	return 0
}

// bar is a try of a job on its line.
type bar struct {
	ready, from, to time.Time // it waits from ready to from
	fill            string
}

// line draws the tries of a job: a thin line while it waits, a bar while it runs.
func (a axis) line(bars []bar, label string) template.HTML {
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="tl" role="img" aria-label="%s">`, template.HTMLEscapeString(label))
	for _, b := range bars {
		from, to := a.place(b.from), a.place(b.to)
		if ready := a.place(b.ready); !b.ready.IsZero() && from-ready > .4 {
			fmt.Fprintf(&out, `<rect class="idle-f" x="%.2f%%" width="%.2f%%" y="9" height="2"/>`, ready, from-ready)
		}
		if b.fill != "" {
			fmt.Fprintf(&out, `<rect class="%s" x="%.2f%%" width="%.2f%%" y="4" height="12" rx="2"/>`, b.fill, from, max(to-from, .5))
		}
	}
	out.WriteString("</svg>")
	return template.HTML(out.String())
}

// head names times of the axis: where each part that is not cut short begins, and round
// times within it.
func (a axis) head() template.HTML {
	var out strings.Builder
	out.WriteString(`<svg class="tl" aria-hidden="true">`)
	elapsed := time.Duration(0)
	for _, p := range a.parts {
		if p.idle {
			fmt.Fprintf(&out, `<text x="%.2f%%" y="14" text-anchor="middle">⋯</text>`, p.at+p.wide/2)
		}
	}
	if len(a.parts) > 0 && !slices.ContainsFunc(a.parts, func(p axisPart) bool { return p.idle }) {
		elapsed = a.end.Sub(a.parts[0].from)
		step := tick(elapsed)
		out.WriteString(`<text x="0" y="14">0</text>`)
		for t := step; t < elapsed-step/3; t += step {
			fmt.Fprintf(&out, `<text x="%.2f%%" y="14" text-anchor="middle">%s</text>`, a.place(a.parts[0].from.Add(t)), rough(t))
		}
	}
	out.WriteString("</svg>")
	return template.HTML(out.String())
}

// tick is a round time of which three to six fit.
func tick(d time.Duration) time.Duration {
	for _, step := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
		5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour} {
		if d <= 5*step {
			return step
		}
	}
	return (d / 4).Truncate(24*time.Hour) + 24*time.Hour
}
