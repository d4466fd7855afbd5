package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// Charts are SVG whose sizes are attributes: a policy without inline styles holds.

// strip draws the last runs: height is how long they took, and what failed has a foot.
func strip(points []api.RunPoint) template.HTML {
	if len(points) == 0 {
		return ""
	}
	var longest int64 = 1
	failed := 0
	for _, p := range points {
		longest = max(longest, p.Took)
		if p.Status == pipeline.StatusFailed {
			failed++
		}
	}
	const high = 17
	width := 7*len(points) - 2
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="strip" width="%d" height="24" viewBox="0 0 %d 24" preserveAspectRatio="xMaxYMid meet" role="img" aria-label="last %s: %d failed">`,
		width, width, count(len(points), "run", "runs"), failed)
	for i, p := range points {
		h := max(2, high*p.Took/longest)
		fill := barFill(p.Status)
		fmt.Fprintf(&out, `<rect class="%s" x="%d" y="%d" width="5" height="%d"/>`, fill, 7*i, 1+high-h, h)
		if p.Status == pipeline.StatusFailed {
			fmt.Fprintf(&out, `<rect class="%s" x="%d" y="20" width="5" height="4"/>`, fill, 7*i)
		}
	}
	out.WriteString("</svg>")
	return template.HTML(out.String())
}

// barFill is the class of a bar. Good ones are muted.
func barFill(status pipeline.Status) string {
	switch status {
	case pipeline.StatusSuccess, pipeline.StatusManual:
		return "ok-q"
	case pipeline.StatusFailed:
		return "bad-f"
	case pipeline.StatusRunning, pipeline.StatusCanceling:
		return "live-f"
	}
	return "idle-f"
}

// meter shows how far something is, in percent.
func meter(part float64, fill string) template.HTML {
	if !(part > 0) { // nor NaN
		part = 0
	}
	return template.HTML(fmt.Sprintf(`<svg class="meter" aria-hidden="true"><rect class="%s" width="%.0f%%" height="6" rx="3"/></svg>`, fill, min(part, 1)*100))
}

// histogram draws how many runs there were: good ones above the line, failed ones
// below it, and the others in grey on top.
func histogram(bars []api.RunBar, class, label string) template.HTML {
	up, down := int64(1), int64(0)
	for _, b := range bars {
		good, bad, other := split(b)
		up, down = max(up, good+other), max(down, bad)
	}
	const over, under, gap = 44.0, 16.0, 2.0
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="%s" width="100%%" height="66" role="img" aria-label="%s">`, class, template.HTMLEscapeString(label))
	step := 100 / float64(max(len(bars), 1))
	rect := func(i int, fill string, y, h float64) {
		fmt.Fprintf(&out, `<rect class="%s" x="%.2f%%" y="%.1f" width="%.2f%%" height="%.1f"/>`, fill, step*float64(i), y, step*.8, h)
	}
	for i, b := range bars {
		good, bad, other := split(b)
		h := over * float64(good) / float64(up)
		if good > 0 {
			h = max(h, 1)
			rect(i, "ok-q", over-h, h)
		}
		if other > 0 {
			o := max(over*float64(other)/float64(up), 1)
			rect(i, "idle-f", over-h-o, o)
		}
		if bad > 0 {
			rect(i, "bad-f", over+gap+1, max(under*float64(bad)/float64(max(down, 1)), 3))
		}
	}
	fmt.Fprintf(&out, `<line class="rule" x1="0" x2="100%%" y1="%.1f" y2="%.1f"/></svg>`, over+1, over+1)
	return template.HTML(out.String())
}

// split counts a bar: good, failed, and all others.
func split(b api.RunBar) (good, bad, other int64) {
	for status, n := range b.Counts {
		switch status {
		case pipeline.StatusSuccess:
			good += n
		case pipeline.StatusFailed:
			bad += n
		default:
			other += n
		}
	}
	return good, bad, other
}

// share is how much of the usual time is over.
func share(took, usual time.Duration) float64 {
	if usual <= 0 {
		return 0
	}
	return float64(took) / float64(usual)
}
