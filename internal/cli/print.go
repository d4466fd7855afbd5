package cli

import (
	"fmt"
	"time"

	"refline/internal/api"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// PrintTable prints rows in columns; texts of others lose their control characters.
func (e *Env) PrintTable(rows [][]string) error {
	termview.Table(e.Stdout, rows)
	return nil
}

// PrintFields prints names and values; those without a value are left out.
func (e *Env) PrintFields(fields [][2]string) error {
	var rows [][]string
	for _, f := range fields {
		if f[1] != "" {
			rows = append(rows, []string{f[0], f[1]})
		}
	}
	return e.PrintTable(rows)
}

// Branches is a number of branches in words.
func Branches(n int) string {
	if n == 1 {
		return "1 branch"
	}
	return fmt.Sprintf("%d branches", n)
}

// Ago says how long ago a time was.
func Ago(t time.Time) string {
	switch d := time.Since(t); {
	case t.IsZero():
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", max(int(d/time.Second), 0))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	default:
		return fmt.Sprintf("%d days ago", d/(24*time.Hour))
	}
}

// Took is how long something took, or has so far.
func Took(started, finished time.Time) string {
	if started.IsZero() {
		return ""
	}
	if finished.IsZero() {
		finished = time.Now()
	}
	return termview.Seconds(finished.Sub(started).Seconds())
}

// StateText is a run's state for people: its result where it has one.
func StateText(r api.Run) string {
	if r.Status == pipeline.StatusSkipped {
		return string(r.Status)
	}
	if r.Status.Done() || r.Result == pipeline.ResultWaiting {
		return string(r.Result)
	}
	return string(r.Status)
}

// RefImage is the kind of the ref of a flow in a container image.
const RefImage = "image"

// RefText names a flow's ref and where it is pinned.
func RefText(f api.Flow) string {
	text := f.RefKind + " " + f.Ref
	switch {
	case f.RefKind == string(git.KindCommit):
		return fmt.Sprintf("commit %.12s", f.Pinned)
	case f.FollowTag:
		return text + " (followed)"
	case f.RefKind == RefImage:
		return fmt.Sprintf("%s @ %.19s", text, f.Pinned)
	case f.Pinned != "":
		return fmt.Sprintf("%s → %.7s", text, f.Pinned)
	}
	return text
}
