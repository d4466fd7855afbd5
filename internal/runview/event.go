package runview

import (
	"encoding/json"
	"io"
	"strconv"
	"sync"
	"time"

	"refline/internal/history"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// JSONEvents writes a run as JSON lines.
type JSONEvents struct {
	mu   sync.Mutex
	out  *json.Encoder
	logs map[string]*termview.LogLines
}

// NewJSONEvents writes to out.
func NewJSONEvents(out io.Writer) *JSONEvents {
	v := &JSONEvents{out: json.NewEncoder(out), logs: map[string]*termview.LogLines{}}
	v.out.SetEscapeHTML(false)
	return v
}

// Emit writes a report. A log comes line by line.
func (v *JSONEvents) Emit(ev pipeline.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	of := ev.Run + " " + ev.Job
	lines := v.logs[of]
	if lines == nil {
		lines = &termview.LogLines{Plain: true}
		v.logs[of] = lines
	}
	if ev.Kind == pipeline.ReportJobLog {
		lines.Line = func(s string) {
			ev := ev
			ev.Text = s
			_ = v.out.Encode(ev)
		}
		_, _ = lines.Write(ev.Data)
		return
	}
	if ev.Kind == pipeline.ReportJobStatus && ev.Status.Done() {
		lines.Flush()
	}
	_ = v.out.Encode(ev)
}

// runEvent is the first and the last JSON line of a run.
type runEvent struct {
	Event   pipeline.ReportKind `json:"event"`
	Time    time.Time           `json:"time"`
	Run     string              `json:"run"`
	Project string              `json:"project,omitempty"`
	File    string              `json:"file,omitempty"`
	Ref     string              `json:"ref,omitempty"`
	Commit  string              `json:"commit,omitempty"`
	Status  pipeline.Status     `json:"status"`
	Result  pipeline.Result     `json:"result,omitempty"`
	Seconds float64             `json:"seconds,omitempty"`
}

// Started writes the first line of a run.
func (v *JSONEvents) Started(r *history.Run) {
	_ = v.out.Encode(runEvent{Event: pipeline.ReportRunStarted, Time: r.Started, Run: strconv.FormatInt(r.Number, 10), Project: r.Project,
		File: r.File, Ref: r.Ref, Commit: r.Commit, Status: r.Status})
}

// Finished writes the last line of a run.
func (v *JSONEvents) Finished(r *history.Run) {
	_ = v.out.Encode(runEvent{Event: pipeline.ReportRunFinished, Time: r.Finished, Run: strconv.FormatInt(r.Number, 10), Status: r.Status, Result: r.Result,
		Seconds: r.Finished.Sub(r.Started).Seconds()})
}
