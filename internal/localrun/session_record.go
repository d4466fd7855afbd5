package localrun

import (
	"path/filepath"
	"strconv"
	"time"

	"refline/internal/history"
	"refline/internal/pipeline"
)

// Observe masks a report and learns from it.
func (s *Session) Observe(ev pipeline.Report) pipeline.Report {
	ev.Message, ev.Text = s.Secrets.String(ev.Message), s.Secrets.String(ev.Text)
	s.Names.Observe(ev)
	return ev
}

// Note notes what a run that is killed would take with it: which job has which
// log. The report that it returns has the job's name for people.
func (s *Session) Note(ev pipeline.Report) pipeline.Report {
	if ev.Job != "" {
		ev.Job = s.Names.Of(ev.Run, ev.Job)
	}
	switch {
	case ev.Kind == pipeline.ReportJobStarted, ev.Kind == pipeline.ReportJobStatus && ev.Status.Done():
		var started time.Time
		if ev.Kind == pipeline.ReportJobStarted {
			started = ev.Time
		}
		s.journal.Job(history.Job{
			Started: started,
			Run:     s.childRun(ev.Run), Name: ev.Job, Stage: ev.Stage, Status: ev.Status, Attempt: ev.Attempt, Seconds: ev.Seconds,
			ExitCode: ev.ExitCode, Reason: ev.Reason, AllowFailure: ev.AllowFailure, Log: s.relative(ev.Log),
			Message: ev.Message, Coverage: ev.Coverage,
		})
	case ev.Kind == pipeline.ReportStep:
		s.journal.Step(ev.Job, ev.Step)
	}
	return ev
}

// childRun is the id of a run unless it is the one that was asked for.
func (s *Session) childRun(id string) string {
	if id == strconv.FormatInt(s.Record.Number, 10) {
		return ""
	}
	return id
}

// Finish makes the record of a run that has ended; stopped means that it was asked
// to end.
func (s *Session) Finish(res Result, p *pipeline.Pipeline, variables JobVariables, at time.Time, stopped bool) {
	r := &s.Record
	r.Finished, r.Status, r.Result = at, res.Status, res.Result
	if stopped {
		r.Status, r.Result = pipeline.StatusCanceled, pipeline.ResultCanceled
	}
	r.Jobs = s.jobRecords("", "", p, variables, res)
}

func (s *Session) jobRecords(run, prefix string, p *pipeline.Pipeline, variables JobVariables, res Result) []history.Job {
	var out []history.Job
	for i := range p.Jobs {
		if i >= len(res.State.Jobs) {
			break
		}
		st, rec := res.State.Jobs[i], res.Jobs[i]
		j := history.Job{
			Run: run, Name: prefix + p.Jobs[i].Name, Stage: p.Jobs[i].Stage, Status: st.Status, Attempt: st.Attempt,
			Started: rec.Started, Seconds: rec.Seconds, ExitCode: st.ExitCode, Reason: st.Reason, AllowFailure: st.AllowFailure,
			Log: s.relative(rec.Log), Artifacts: rec.Artifacts, Results: rec.Results, Coverage: rec.Result.Coverage,
			Workspace: rec.Result.Workspace, EarlierRun: rec.Earlier,
			Environment: s.environment(&p.Jobs[i], variables, st.Status, rec.Result.Dotenv),
		}
		if p.Jobs[i].Base != p.Jobs[i].Name {
			j.Base = prefix + p.Jobs[i].Base
		}
		if rec.Result.Err != nil {
			j.Message = s.Secrets.String(rec.Result.Err.Error())
		}
		out = append(out, j)
		if rec.Result.Log.Truncated {
			s.CutLogs = append(s.CutLogs, j.Name)
		}
		if rec.Earlier != 0 {
			out = append(out, s.Earlier.below(j.Name)...)
		}
		for _, c := range res.Children {
			if c.Trigger == p.Jobs[i].Name {
				out = append(out, s.jobRecords(c.Input.ID, j.Name+" / ", c.Input.Pipeline, c.Input.Variables, c.Result)...)
			}
		}
	}
	return out
}

// JobVariables give a job's variables below and above those written for it.
type JobVariables func(*pipeline.Job) (below, above []pipeline.Variable)

// environment is what a job that ran deployed to; nil for nothing.
func (s *Session) environment(j *pipeline.Job, variables JobVariables, status pipeline.Status, dotenv []pipeline.Variable) *history.Environment {
	if j.Environment == nil || status != pipeline.StatusSuccess && status != pipeline.StatusFailed {
		return nil
	}
	below, above := variables(j)
	name, url, err := pipeline.Deployment(j, pipeline.JobVariables(j, below, dotenv, above))
	if err != nil {
		return nil // the job has reported it
	}
	return &history.Environment{Name: s.Secrets.String(name), URL: s.Secrets.String(url)}
}

func (s *Session) relative(path string) string {
	if path == "" {
		return ""
	}
	rel, err := filepath.Rel(s.Store.Folder(s.Record.Number), path)
	if err != nil {
		return path
	}
	return rel
}
