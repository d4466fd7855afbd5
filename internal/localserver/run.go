package localserver

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/pipeline"
)

// run is a record with what is around it.
type run struct {
	*history.Run
	folder  string
	version int64
}

type job struct{ *history.Job }

// find reads the run with a number.
func (s *Server) find(number string) (*run, error) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 {
		return nil, errs.E(errs.NotFound, "%q is not the number of a run", number)
	}
	r, err := s.store.Read(n)
	if err != nil {
		return nil, err
	}
	s.store.ReadSteps(r)
	return s.around(r), nil
}

func (s *Server) around(r *history.Run) *run {
	out := &run{Run: r, folder: s.store.Folder(r.Number)}
	out.version = versionOf(out.folder)
	return out
}

// versionOf grows when the files of a run change.
func versionOf(folder string) int64 {
	version := int64(1)
	for _, name := range []string{"run.json", "jobs.jsonl"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil {
			version = max(version, info.ModTime().UnixMicro())
		}
	}
	return version
}

// all lists the runs that have a record, newest first.
func (s *Server) all() ([]*run, error) {
	numbers, err := s.store.Numbers()
	if err != nil {
		return nil, errs.E(errs.Unavailable, "the runs of this computer: %w", err)
	}
	var out []*run
	for _, n := range slices.Backward(numbers) {
		if r, err := s.store.Read(n); err == nil {
			out = append(out, s.around(r))
		}
	}
	return out, nil
}

func (r *run) job(name string) (*job, error) {
	for i := range r.Jobs {
		if r.Jobs[i].Name == name {
			return &job{&r.Jobs[i]}, nil
		}
	}
	return nil, errs.E(errs.NotFound, "run %d has no job %q yet", r.Number, name)
}

// status is the state of a run: that of its result once there is one.
func (r *run) status() pipeline.Status {
	if r.Finished.IsZero() && !r.Interrupted {
		return cmp.Or(r.Status, pipeline.StatusRunning)
	}
	status, _ := r.Outcome()
	return status
}

// wire is the run as the API has it.
func (r *run) wire(withJobs bool) api.Run {
	out := api.Run{
		ID: r.Number, Number: r.Number, Project: r.project(), Status: r.status(), Result: r.Result, Trigger: r.Event, Ref: r.Ref, Commit: r.Commit,
		Actor: "you", Version: r.version, Created: r.Started, Started: r.Started, Finished: r.Finished, Title: r.Title, Path: r.File,
	}
	if r.Interrupted {
		out.Why = "refline was ended before the run was over"
	}
	if !withJobs {
		return out
	}
	out.Jobs = []api.Job{}
	for i := range r.Jobs {
		j := &r.Jobs[i]
		w := api.Job{
			Name: j.Name, Stage: j.Stage, Status: j.Status, Reason: j.Reason, ExitCode: j.ExitCode, AllowFailure: j.AllowFailure,
			Manual: j.Status == pipeline.StatusManual, Attempt: j.Attempt, Error: j.Message, Started: j.Started,
		}
		if r.Interrupted && j.Status == pipeline.StatusRunning {
			w.Status = pipeline.StatusFailed
		}
		if !j.Started.IsZero() && j.Status.Done() {
			w.Finished = j.Started.Add(time.Duration(j.Seconds * float64(time.Second)))
		}
		if j.Environment != nil {
			w.Environment = j.Environment.Name
		}
		if j.EarlierRun != 0 {
			w.Why = "the result of run " + strconv.FormatInt(j.EarlierRun, 10)
		}
		out.Jobs = append(out.Jobs, w)
	}
	return out
}

// project is the last part of the folder or URL, which pages show as its name.
func (r *run) project() string {
	name := strings.TrimSuffix(strings.TrimRight(filepath.ToSlash(r.Project), "/"), ".git")
	return cmp.Or(name[strings.LastIndexAny(name, "/:")+1:], "here")
}

// detail is all that explains a run.
func (s *Server) detail(r *run) (api.RunDetail, error) {
	d := api.RunDetail{Run: r.wire(true), Inputs: r.Inputs, Source: api.RunSource{Repository: r.Project, RefKind: "commit", Path: r.File}}
	if r.Ref != "" {
		d.Source.RefKind = "branch"
	}
	for i, w := range d.Run.Jobs {
		if !slices.Contains(d.Stages, w.Stage) {
			d.Stages = append(d.Stages, w.Stage)
		}
		if !w.Started.IsZero() {
			d.Attempts = append(d.Attempts, api.Attempt{Job: w.Name, Attempt: max(w.Attempt, 1), State: "ended", Started: w.Started, Finished: w.Finished, Artifacts: r.Jobs[i].Artifacts != "", Last: true})
		}
		if w.Status == pipeline.StatusFailed {
			d.Failures = append(d.Failures, r.failure(&r.Jobs[i]))
		}
	}
	slices.SortStableFunc(d.Failures, func(a, b api.Failure) int {
		switch {
		case a.Allowed == b.Allowed:
			return 0
		case a.Allowed:
			return 1
		}
		return -1
	})
	list, err := s.all()
	if err != nil {
		return d, err
	}
	for _, other := range list { // newest first
		switch {
		case other.Project != r.Project || other.Ref != r.Ref:
		case other.Number > r.Number:
			d.After = other.Number
		case other.Number < r.Number && d.Before == 0:
			d.Before = other.Number
		}
	}
	return d, nil
}

func (r *run) failure(j *history.Job) api.Failure {
	return api.Failure{
		Job: j.Name, Attempt: j.Attempt, Attempts: j.Attempt, ExitCode: j.ExitCode, Reason: j.Reason, Error: j.Message, Allowed: j.AllowFailure,
		Lines: lastLines(r.logPath(j)),
	}
}

// overview shows what is red and what runs.
func (s *Server) overview() (api.Overview, error) {
	out := api.Overview{Waiting: []api.WaitingRun{}, Red: []api.RedLine{}, Active: []api.Run{}, Hours: []api.RunBar{}}
	list, err := s.all()
	if err != nil {
		return out, err
	}
	hour := s.now().Truncate(time.Hour)
	for i := range 24 {
		out.Hours = append(out.Hours, api.RunBar{Start: hour.Add(time.Duration(i-23) * time.Hour), Counts: map[pipeline.Status]int64{}})
	}
	seen := map[string]bool{}
	for _, r := range list {
		w := r.wire(false)
		if at := int(r.Started.Sub(out.Hours[0].Start) / time.Hour); at >= 0 && at < 24 && !r.Started.Before(out.Hours[0].Start) {
			out.Hours[at].Counts[w.Status]++
		}
		if w.Status.Active() {
			out.Running++
			if len(out.Active) < 50 {
				out.Active = append(out.Active, w)
			}
			continue
		}
		line := r.Project + "\x00" + r.Ref
		if seen[line] {
			continue
		}
		seen[line] = true
		if w.Status == pipeline.StatusFailed && len(out.Red) < 20 {
			out.Red = append(out.Red, redLine(r, list))
		}
	}
	return out, nil
}

// redLine describes a folder or branch whose last run failed. list is newest first.
func redLine(last *run, list []*run) api.RedLine {
	red := api.RedLine{Run: last.wire(true), Since: last.Finished}
	broken := false
	for _, r := range list {
		if r.Project != last.Project || r.Ref != last.Ref || r.status().Active() || len(red.Recent) == 20 {
			continue
		}
		status := r.status()
		red.Recent = append(red.Recent, api.RunPoint{Run: r.Number, Status: status, Took: r.Finished.Sub(r.Started).Milliseconds()})
		broken = broken || status == pipeline.StatusSuccess
		if !broken && status == pipeline.StatusFailed {
			red.Failed++
			red.Since = r.Finished
		}
	}
	slices.Reverse(red.Recent)
	for i := range last.Jobs {
		if j := &last.Jobs[i]; j.Status == pipeline.StatusFailed && !j.AllowFailure && len(red.Failures) < 3 {
			red.Failures = append(red.Failures, last.failure(j))
		}
	}
	return red
}
