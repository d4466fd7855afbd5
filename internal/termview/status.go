package termview

import (
	"strings"

	"refline/internal/pipeline"
)

// StatusWord is the word for the status of a job. It is the same in every command,
// and in JSON the status itself is shown. A job of a run that has ended and that
// never started is "not started", whatever it waited for.
func StatusWord(s pipeline.Status) string {
	switch s {
	case pipeline.StatusCreated, pipeline.StatusPending, pipeline.StatusWaitingForResource, pipeline.StatusPreparing:
		return "not started"
	case pipeline.StatusSuccess:
		return "passed"
	case pipeline.StatusScheduled:
		return "delayed"
	}
	return strings.ReplaceAll(string(s), "_", " ")
}
