package graphview

import (
	"fmt"

	"refline/internal/pipeline"
)

// icon draws the symbol of a look, 16 by 16, with its top left corner at x, y.
func icon(look string, x, y float64) string {
	return fmt.Sprintf(`<g class="icon" transform="translate(%s %s)">%s</g>`, num(x), num(y), Mark(look))
}

// Looks are all that [Mark] has a shape for: the statuses, and "warned" for what
// failed and may.
func Looks() []string {
	return []string{"success", "failed", "warned", "running", "pending", "preparing", "waiting_for_resource", "manual", "scheduled", "skipped", "canceled", "canceling", "created"}
}

// Mark returns the symbol of a look as SVG of 16 by 16 without its svg element. Each
// has a silhouette of its own, so that they are distinct without colours: full if the
// job has ended, hollow if not. Its classes are full, cut, ring and line.
func Mark(look string) string {
	const (
		full   = `<circle class="full" cx="8" cy="8" r="7.6"/>`
		ring   = `<circle class="ring" cx="8" cy="8" r="6.8"/>`
		dashes = `<circle class="ring" cx="8" cy="8" r="6.8" stroke-dasharray="2.2 2.2"/>`
	)
	switch pipeline.Status(look) {
	case pipeline.StatusSuccess:
		return full + `<path class="cut" d="M4.7 8.3 7 10.7 11.3 5.6"/>`
	case pipeline.StatusFailed:
		return `<path class="full" d="M4.9.6H11.1L15.4 4.9V11.1L11.1 15.4H4.9L.6 11.1V4.9Z"/><path class="cut" d="M5.4 5.4 10.6 10.6M10.6 5.4 5.4 10.6"/>`
	case "warned":
		return `<path class="full" d="M8 .6A1 1 0 0 1 8.9 1.1L15.8 13.7A1 1 0 0 1 14.9 15.3H1.1A1 1 0 0 1 .2 13.7L7.1 1.1A1 1 0 0 1 8 .6Z"/><path class="cut" d="M8 5.8V9.7M8 12.2V12.3"/>`
	case pipeline.StatusRunning:
		return ring + `<path class="full" d="M8 3.2A4.8 4.8 0 0 1 8 12.8Z"/>`
	case pipeline.StatusPending, pipeline.StatusPreparing:
		return ring + `<path class="line" d="M6.2 5.6V10.4M9.8 5.6V10.4"/>`
	case pipeline.StatusWaitingForResource:
		return ring + `<path class="line" d="M5.6 5H10.4L5.6 11H10.4Z"/>`
	case pipeline.StatusManual:
		return `<path class="line" d="M8 .9 15.1 8 8 15.1.9 8Z"/><path class="full" d="M6.4 5.3 10.6 8 6.4 10.7Z"/>`
	case pipeline.StatusScheduled:
		return ring + `<path class="line" d="M8 4.2V8L10.6 9.8"/>`
	case pipeline.StatusSkipped:
		return ring + `<path class="line" d="M5.2 5.7 7.5 8 5.2 10.3M8.5 5.7 10.8 8 8.5 10.3"/>`
	case pipeline.StatusCanceled:
		return full + `<path class="cut" d="M4.6 11.4 11.4 4.6"/>`
	case pipeline.StatusCanceling:
		return dashes + `<path class="line" d="M4.8 11.2 11.2 4.8"/>`
	default:
		return dashes
	}
}
