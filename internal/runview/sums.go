package runview

import (
	"fmt"
	"strings"

	"refline/internal/history"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// Sums counts how jobs ended: "1 failed, 3 passed".
func Sums(jobs []history.Job) string {
	counts := map[string]int{}
	for _, j := range jobs {
		counts[sumWord(j)]++
	}
	var parts []string
	for _, w := range []string{"failed", "failed but allowed", "passed", "canceled", "manual", "delayed", "waiting", "skipped", "not started"} {
		if n := counts[w]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w))
		}
	}
	return strings.Join(parts, ", ")
}

func sumWord(j history.Job) string {
	switch {
	case j.Status == pipeline.StatusFailed && j.AllowFailure:
		return "failed but allowed"
	case j.Status == pipeline.StatusCanceling:
		return "canceled"
	case j.Status == pipeline.StatusRunning: // a trigger job whose child waits
		return "waiting"
	}
	return termview.StatusWord(j.Status)
}
