package notify

import (
	"fmt"
	"strings"
	"time"

	"refline/internal/forge"
)

// StatusOf is the commit status of a run. Its context is the same for all runs of
// a flow, since required checks go by it.
func StatusOf(r Run) forge.Status {
	context := "refline"
	if r.Flow != "" {
		context += "/" + r.Flow
	}
	ref := r.Ref
	if r.MergeRequest != 0 {
		context += " (mr)"
		ref = "" // the commit is on the source branch, whose name is not that of the run's ref
	}
	state, text := stateOf(r)
	return forge.Status{Commit: r.Commit, Ref: ref, Context: context, State: state, Description: fmt.Sprintf("#%d %s", r.Number, text), URL: r.URL}
}

func stateOf(r Run) (forge.State, string) {
	switch r.Status {
	case "running", "canceling":
		return forge.StateRunning, "running"
	case "success":
		return forge.StateSuccess, "passed" + took(r)
	case "failed":
		if r.SystemError {
			return forge.StateError, "could not run" + names(r.Failed)
		}
		return forge.StateFailed, "failed" + took(r) + names(r.Failed)
	case "canceled":
		return forge.StateCanceled, "canceled"
	case "skipped":
		return forge.StateSkipped, "skipped"
	case "manual":
		return forge.StatePending, "waits for a person" + names(r.Waiting)
	}
	return forge.StatePending, "waits"
}

func took(r Run) string {
	if r.Started.IsZero() || !r.Finished.After(r.Started) {
		return ""
	}
	return " in " + r.Finished.Sub(r.Started).Round(time.Second).String()
}

func names(jobs []Job) string {
	var list []string
	for _, j := range jobs {
		list = append(list, j.Name)
	}
	if len(list) == 0 {
		return ""
	}
	return ": " + strings.Join(list, ", ")
}

// WantStatus is the message that sets a run's commit status. It is wanted when
// the run is made, else a merge slips by, and at each change.
func WantStatus(r Run, now time.Time) (Message, error) {
	r = r.bounded()
	s := StatusOf(r)
	return newMessage(r, KindStatus, "status "+s.Commit+" "+s.Context, s, now)
}

// WantComment is the message that writes a comment on a run's merge request, over
// the one with the same key.
func WantComment(r Run, key, markdown string, now time.Time) (Message, error) {
	c := forge.Comment{MergeRequest: r.MergeRequest, Key: key, URL: r.URL, Body: forge.CutMarkdown(markdown, maxComment, "*Cut here.*")}
	return newMessage(r, KindComment, fmt.Sprintf("comment %d %s", r.MergeRequest, key), c, now)
}

// maxComment bounds what is recorded: the most that any forge takes.
const maxComment = 1_000_000
