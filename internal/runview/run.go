package runview

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"refline/internal/history"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// Runs writes runs, one a line.
func Runs(w io.Writer, records []*history.Run) {
	rows := [][]string{{"run", "result", "when", "took", "file", "ref", "project"}}
	for _, r := range records {
		took := ""
		if !r.Finished.IsZero() {
			took = termview.Seconds(r.Finished.Sub(r.Started).Seconds())
		}
		symbol, word := r.Outcome()
		rows = append(rows, []string{
			strconv.FormatInt(r.Number, 10), termview.Symbol(symbol) + " " + word,
			r.Started.Local().Format("2006-01-02 15:04"), took, r.File, refOf(r), r.Project,
		})
	}
	termview.Table(w, rows)
}

// Run writes the jobs of a run, how each ended, and what it reported.
func Run(w io.Writer, r *history.Run) {
	symbol, word := r.Outcome()
	fmt.Fprintf(w, "run %d · %s %s · %s · %s · %s · %s\n", r.Number, termview.Symbol(symbol), word, termview.Plain(r.Project), termview.Plain(r.File), termview.Plain(refOf(r)),
		r.Started.Local().Format(time.DateTime))
	if r.Title != "" {
		fmt.Fprintf(w, "  name: %s\n", termview.Plain(r.Title))
	}
	if len(r.Inputs) > 0 {
		var inputs []string
		for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
			inputs = append(inputs, fmt.Sprintf("%s=%v", name, r.Inputs[name]))
		}
		fmt.Fprintf(w, "  inputs: %s\n", termview.Plain(strings.Join(inputs, ", ")))
	}
	rows := make([][]string, 0, len(r.Jobs))
	for i := range r.Jobs {
		j := &r.Jobs[i]
		rows = append(rows, []string{"  " + termview.Symbol(j.Status), j.Name, j.Stage, termview.StatusWord(j.Status), termview.Seconds(j.Seconds), jobRemark(j)})
	}
	lines := termview.Align(rows)
	for i := range r.Jobs {
		fmt.Fprintln(w, lines[i])
		for _, line := range reported(&r.Jobs[i]) {
			fmt.Fprintln(w, "      "+termview.Plain(line))
		}
	}
}

// reported are the lines under a job: its environment, steps, tables, markdown.
func reported(j *history.Job) []string {
	var out []string
	if j.Environment != nil {
		out = append(out, strings.TrimSpace("environment "+j.Environment.Name+" "+j.Environment.URL))
	}
	return append(out, termview.Reported(j.Steps)...)
}

// refOf is a run's ref and commit; a run that was only as if on the ref says so.
func refOf(r *history.Run) string {
	if r.CodeOf != "" {
		return fmt.Sprintf("as if on %s (code of %s %s)", r.Ref, r.CodeOf, short(r.Commit))
	}
	return strings.TrimSpace(r.Ref + " " + short(r.Commit))
}

// jobRemark is why a job ended as it did, in a few words.
func jobRemark(j *history.Job) string {
	var parts []string
	switch {
	case j.Status == pipeline.StatusFailed && j.Message != "" && j.ExitCode == 0:
		parts = append(parts, termview.FirstLine(j.Message))
	case j.ExitCode != 0:
		parts = append(parts, termview.ExitCode(j.ExitCode))
	case j.Reason != "":
		parts = append(parts, strings.ReplaceAll(string(j.Reason), "_", " "))
	}
	if j.Status == pipeline.StatusFailed && j.AllowFailure {
		parts = append(parts, "allowed")
	}
	if j.Coverage != nil {
		parts = append(parts, fmt.Sprintf("coverage %g %%", *j.Coverage))
	}
	if j.Artifacts != "" {
		parts = append(parts, "artifacts")
	}
	return strings.Join(parts, ", ")
}

func short(sha string) string { return sha[:min(7, len(sha))] }
