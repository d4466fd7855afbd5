package pipeline

import "fmt"

// icon draws the symbol of a look at its top left corner, 16 by 16.
func icon(look string, x, y float64) string {
	return fmt.Sprintf(`<g class="icon" transform="translate(%s %s)">%s</g>`, num(x), num(y), iconShape(look))
}

// iconShape has a shape of its own for every status, so that they can be told
// apart without colours: what is over is full, what is not is hollow.
func iconShape(look string) string {
	const (
		full   = `<circle class="full" cx="8" cy="8" r="8"/>`
		ring   = `<circle class="ring" cx="8" cy="8" r="7"/>`
		dashes = `<circle class="ring" cx="8" cy="8" r="7" stroke-dasharray="2.2 2.2"/>`
	)
	switch Status(look) {
	case StatusSuccess:
		return full + `<path class="cut" d="M4.5 8.3 7 10.8 11.5 5.8"/>`
	case StatusFailed:
		return full + `<path class="cut" d="M5.3 5.3 10.7 10.7M10.7 5.3 5.3 10.7"/>`
	case "warned":
		return `<path class="full" d="M8 .8 15.6 14.2Q15.9 15.2 15 15.2H1Q.1 15.2.4 14.2Z"/><path class="cut" d="M8 5.6V9.6M8 12.2V12.4"/>`
	case StatusRunning:
		return ring + `<path class="full" d="M8 8V1A7 7 0 0 1 8 15Z"/>`
	case StatusPending, StatusPreparing:
		return ring + `<path class="line" d="M6.2 5.4V10.6M9.8 5.4V10.6"/>`
	case StatusWaitingForResource:
		return ring + `<path class="line" d="M5.4 4.8H10.6L5.4 11.2H10.6Z"/>`
	case StatusManual:
		return ring + `<path class="full" d="M6.2 4.8 11.4 8 6.2 11.2Z"/>`
	case StatusScheduled:
		return ring + `<path class="line" d="M8 4.2V8L10.6 9.8"/>`
	case StatusSkipped:
		return ring + `<path class="line" d="M5 5.4 7.4 8 5 10.6M8.6 5.4 11 8 8.6 10.6"/>`
	case StatusCanceled:
		return full + `<path class="cut" d="M4.4 11.6 11.6 4.4"/>`
	case StatusCanceling:
		return dashes + `<path class="line" d="M4.8 11.2 11.2 4.8"/>`
	default:
		return dashes
	}
}

// graphStyle colours the drawing. It names its own elements only, since an SVG
// inside a page shares its styles with the page.
const graphStyle = `
.refline-graph{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;font-size:13px}
.refline-graph text{fill:#1f2430}
.refline-graph .stage{fill:#f4f5f8;stroke:#e3e6ec}
.refline-graph .stage-name{font-weight:600;fill:#4a5263}
.refline-graph .need{fill:none;stroke:#a3acbc;stroke-width:1.5}
.refline-graph .end{fill:#a3acbc}
.refline-graph .job>rect{fill:#fff;stroke:#d3d8e1}
.refline-graph .job>.inner{fill:none}
.refline-graph .note{font-size:11px;fill:#5d6678}
.refline-graph .ring{fill:none;stroke:#6b7486;stroke-width:1.6}
.refline-graph .line{fill:none;stroke:#6b7486;stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}
.refline-graph .full{fill:#6b7486}
.refline-graph .cut{fill:none;stroke:#fff;stroke-width:1.9;stroke-linecap:round;stroke-linejoin:round}
.refline-graph .success .full{fill:#1a7f4b}
.refline-graph .failed .full{fill:#c9302c}
.refline-graph .failed>rect{stroke:#c9302c}
.refline-graph .warned .full{fill:#b26a00}
.refline-graph .running .full,.refline-graph .manual .full{fill:#1f5fbf}
.refline-graph .running .ring,.refline-graph .manual .ring{stroke:#1f5fbf}
.refline-graph .running>rect{stroke:#1f5fbf}
.refline-graph .pending .ring,.refline-graph .pending .line,.refline-graph .waiting_for_resource .ring,.refline-graph .waiting_for_resource .line,.refline-graph .canceling .ring,.refline-graph .canceling .line{stroke:#b26a00}
.refline-graph .skipped>text{fill:#5d6678}
@media (prefers-color-scheme:dark){
.refline-graph text{fill:#e6e9f0}
.refline-graph .stage{fill:#1b1f28;stroke:#2b313d}
.refline-graph .stage-name{fill:#aeb7c7}
.refline-graph .need{stroke:#5c6678}
.refline-graph .end{fill:#5c6678}
.refline-graph .job>rect{fill:#252b37;stroke:#3b4453}
.refline-graph .job>.inner{fill:none}
.refline-graph .note,.refline-graph .skipped>text{fill:#9aa4b5}
.refline-graph .ring,.refline-graph .line{stroke:#98a2b3}
.refline-graph .full{fill:#98a2b3}
.refline-graph .cut{stroke:#14171e}
.refline-graph .success .full{fill:#4cc38a}
.refline-graph .failed .full{fill:#ff7b72}
.refline-graph .failed>rect{stroke:#ff7b72}
.refline-graph .warned .full{fill:#e3a33b}
.refline-graph .running .full,.refline-graph .manual .full{fill:#6ea8ff}
.refline-graph .running .ring,.refline-graph .manual .ring,.refline-graph .running>rect{stroke:#6ea8ff}
.refline-graph .pending .ring,.refline-graph .pending .line,.refline-graph .waiting_for_resource .ring,.refline-graph .waiting_for_resource .line,.refline-graph .canceling .ring,.refline-graph .canceling .line{stroke:#e3a33b}
}
`
