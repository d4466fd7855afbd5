package localrun

import (
	"fmt"
	"strings"

	"refline/internal/history"
	"refline/internal/pipeline"
)

// Sums counts how jobs ended: "1 failed, 3 passed".
func Sums(jobs []history.Job) string {
	counts := map[string]int{}
	for _, j := range jobs {
		counts[verdictWord(j)]++
	}
	var parts []string
	for _, w := range []string{"failed", "failed but allowed", "passed", "canceled", "manual", "delayed", "waiting", "skipped"} {
		if n := counts[w]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w))
		}
	}
	return strings.Join(parts, ", ")
}

func verdictWord(j history.Job) string {
	switch {
	case j.Status == pipeline.StatusSuccess:
		return "passed"
	case j.Status == pipeline.StatusFailed && j.AllowFailure:
		return "failed but allowed"
	case j.Status == pipeline.StatusFailed:
		return "failed"
	case j.Status == pipeline.StatusCanceled, j.Status == pipeline.StatusCanceling:
		return "canceled"
	case j.Status == pipeline.StatusManual:
		return "manual"
	case j.Status == pipeline.StatusScheduled:
		return "delayed"
	case j.Status == pipeline.StatusRunning: // a trigger job whose child waits
		return "waiting"
	default:
		return "skipped"
	}
}

// Waiting names the manual jobs that wait in the child pipelines of a trigger
// job, as "trigger / job".
func Waiting(res Result, trigger string) (names []string) {
	for _, c := range res.Children {
		if c.Trigger != trigger {
			continue
		}
		jobs := c.Input.Pipeline.Jobs
		for i, st := range c.Result.State.Jobs {
			if st.Status == pipeline.StatusManual && jobs[i].When == pipeline.WhenManual && !st.AllowFailure {
				names = append(names, trigger+" / "+jobs[i].Name)
			}
			for _, inner := range Waiting(c.Result, jobs[i].Name) {
				names = append(names, trigger+" / "+inner)
			}
		}
	}
	return names
}
