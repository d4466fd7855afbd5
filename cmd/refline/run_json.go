package main

import (
	"time"

	"refline/internal/pipeline"
)

func (v *runView) emitJSON(ev pipeline.Report) {
	if ev.Kind == pipeline.ReportJobLog {
		j := v.job(ev.Job)
		j.lines.plain = true
		j.lines.line = func(s string) {
			ev := ev
			ev.Text = s
			_ = v.json.Encode(ev)
		}
		j.lines.add(ev.Data)
		return
	}
	if ev.Kind == pipeline.ReportJobStatus && ev.Status.Done() {
		v.job(ev.Job).lines.flush()
	}
	_ = v.json.Encode(ev)
}

// runEvent is the first and the last JSON line of a run.
type runEvent struct {
	Event   pipeline.ReportKind `json:"event"`
	Time    time.Time           `json:"time"`
	Run     int64               `json:"run"`
	Project string              `json:"project,omitempty"`
	File    string              `json:"file,omitempty"`
	Ref     string              `json:"ref,omitempty"`
	Commit  string              `json:"commit,omitempty"`
	Status  pipeline.Status     `json:"status"`
	Seconds float64             `json:"seconds,omitempty"`
}

func (v *runView) started(r *runRecord) {
	if v.mode == viewJSON {
		_ = v.json.Encode(runEvent{Event: pipeline.ReportRunStarted, Time: r.Started, Run: r.Number, Project: r.Project,
			File: r.File, Ref: r.Ref, Commit: r.Commit, Status: r.Status})
	}
}

func (v *runView) finished(r *runRecord) {
	if v.mode == viewJSON {
		_ = v.json.Encode(runEvent{Event: pipeline.ReportRunFinished, Time: r.Finished, Run: r.Number, Status: r.Status,
			Seconds: r.Finished.Sub(r.Started).Seconds()})
	}
}
