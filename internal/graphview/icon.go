package graphview

import (
	"fmt"

	"refline/internal/pipeline"
)

// icon draws the symbol of a look, 16 by 16, with its top left corner at x, y.
func icon(look string, x, y float64) string {
	return fmt.Sprintf(`<g class="icon" transform="translate(%s %s)">%s</g>`, num(x), num(y), iconShape(look))
}

// iconShape returns a different shape for every status, so that they are
// distinct without colours: filled if the job has ended, hollow if not.
func iconShape(look string) string {
	const (
		full   = `<circle class="full" cx="8" cy="8" r="8"/>`
		ring   = `<circle class="ring" cx="8" cy="8" r="7"/>`
		dashes = `<circle class="ring" cx="8" cy="8" r="7" stroke-dasharray="2.2 2.2"/>`
	)
	switch pipeline.Status(look) {
	case pipeline.StatusSuccess:
		return full + `<path class="cut" d="M4.5 8.3 7 10.8 11.5 5.8"/>`
	case pipeline.StatusFailed:
		return full + `<path class="cut" d="M5.3 5.3 10.7 10.7M10.7 5.3 5.3 10.7"/>`
	case "warned":
		return `<path class="full" d="M8 .8 15.6 14.2Q15.9 15.2 15 15.2H1Q.1 15.2.4 14.2Z"/><path class="cut" d="M8 5.6V9.6M8 12.2V12.4"/>`
	case pipeline.StatusRunning:
		return ring + `<path class="full" d="M8 8V1A7 7 0 0 1 8 15Z"/>`
	case pipeline.StatusPending, pipeline.StatusPreparing:
		return ring + `<path class="line" d="M6.2 5.4V10.6M9.8 5.4V10.6"/>`
	case pipeline.StatusWaitingForResource:
		return ring + `<path class="line" d="M5.4 4.8H10.6L5.4 11.2H10.6Z"/>`
	case pipeline.StatusManual:
		return ring + `<path class="full" d="M6.2 4.8 11.4 8 6.2 11.2Z"/>`
	case pipeline.StatusScheduled:
		return ring + `<path class="line" d="M8 4.2V8L10.6 9.8"/>`
	case pipeline.StatusSkipped:
		return ring + `<path class="line" d="M5 5.4 7.4 8 5 10.6M8.6 5.4 11 8 8.6 10.6"/>`
	case pipeline.StatusCanceled:
		return full + `<path class="cut" d="M4.4 11.6 11.6 4.4"/>`
	case pipeline.StatusCanceling:
		return dashes + `<path class="line" d="M4.8 11.2 11.2 4.8"/>`
	default:
		return dashes
	}
}
