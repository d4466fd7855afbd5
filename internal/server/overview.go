package server

import (
	"context"
	"slices"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
	"refline/internal/store"
)

const (
	waitingLook = 200                 // newest runs that wait for a person, that are looked at
	redLook     = 300                 // newest failed runs
	redAge      = 14 * 24 * time.Hour // what failed before is not news
	redMost     = 20
	lineLook    = 50 // newest runs of a flow or branch
	lineShown   = 22
	activeMost  = 50
	hourMost    = 20_000 // runs of the last day that are counted
)

// overview is what a person looks at first, of a project or of all.
func (s *Server) overview(ctx context.Context, project int64, name string) (api.Overview, error) {
	out := api.Overview{Red: []api.RedLine{}, Active: []api.Run{}, Hours: []api.RunBar{}}
	waiting, err := s.waiting(ctx, project, name)
	if err != nil {
		return out, err
	}
	out.Waiting = waiting.Runs
	if out.Red, err = s.redLines(ctx, project); err != nil {
		return out, err
	}
	if err = s.activeRuns(ctx, project, &out); err != nil {
		return out, err
	}
	out.Hours, err = s.hours(ctx, project)
	return out, err
}

// waitingLines are the newest runs that wait for a person, one of each line, with the
// number of older ones.
func (s *Server) waitingLines(ctx context.Context, project int64) (list []store.Run, older map[store.RunLine]int, err error) {
	runs, err := s.store.LatestRuns(ctx, project, pipeline.StatusManual, time.Time{}, waitingLook)
	older = map[store.RunLine]int{}
	for _, r := range runs {
		if _, seen := older[r.Line()]; seen {
			older[r.Line()]++
			continue
		}
		older[r.Line()] = 0
		list = append(list, r)
	}
	return list, older, err
}

func (s *Server) countWaiting(ctx context.Context, project int64, name string) (api.Waiting, error) {
	list, _, err := s.waitingLines(ctx, project)
	if err != nil {
		return api.Waiting{}, err
	}
	approvals, err := s.listApprovals(ctx, name)
	return api.Waiting{Count: len(list) + len(approvals), Runs: []api.WaitingRun{}}, err
}

// waiting is what waits for a person.
func (s *Server) waiting(ctx context.Context, project int64, name string) (api.Waiting, error) {
	list, older, err := s.waitingLines(ctx, project)
	if err != nil {
		return api.Waiting{}, err
	}
	approvals, err := s.listApprovals(ctx, name)
	if err != nil {
		return api.Waiting{}, err
	}
	out := api.Waiting{Count: len(list) + len(approvals), Runs: []api.WaitingRun{}}
	names := s.newNames()
	for _, r := range list[:min(len(list), activeMost)] {
		w := api.WaitingRun{Older: older[r.Line()], Jobs: []string{}}
		if w.Run, err = names.titled(ctx, r); err != nil {
			return out, err
		}
		if w.Jobs, err = s.manualJobs(ctx, r); err != nil {
			return out, err
		}
		out.Runs = append(out.Runs, w)
	}
	return out, nil
}

// manualJobs are the jobs of a run that a person can start.
func (s *Server) manualJobs(ctx context.Context, r store.Run) ([]string, error) {
	p, err := s.pipelineOf(ctx, r)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.RunJobs(ctx, r.ID)
	jobs := []string{}
	for _, j := range rows {
		if j.Status == pipeline.StatusManual && j.Pos < len(p.Jobs) {
			jobs = append(jobs, p.Jobs[j.Pos].Name)
		}
	}
	return jobs, err
}

// redLines are the flows and branches whose last run that ended failed.
func (s *Server) redLines(ctx context.Context, project int64) ([]api.RedLine, error) {
	failed, err := s.store.LatestRuns(ctx, project, pipeline.StatusFailed, s.options.Now().Add(-redAge), redLook)
	if err != nil {
		return nil, err
	}
	out := []api.RedLine{}
	names := s.newNames()
	seen := map[store.RunLine]bool{}
	for _, r := range failed {
		if seen[r.Line()] || len(out) == redMost {
			continue
		}
		seen[r.Line()] = true
		runs, err := s.store.LineRuns(ctx, r.Line(), lineLook)
		if err != nil {
			return nil, err
		}
		line, red := redLine(runs)
		if !red {
			continue
		}
		if line.Run, err = names.titled(ctx, r); err != nil {
			return nil, err
		}
		if line.Failures, err = s.failuresOf(ctx, r, 1, 3); err != nil {
			return nil, err
		}
		out = append(out, line)
	}
	return out, nil
}

// redLine looks at the runs of a line, newest first. It is red if a failure came after
// the last good one; runs that were canceled or skipped change nothing.
func redLine(runs []store.Run) (line api.RedLine, red bool) {
	good := false
	for _, r := range runs {
		switch {
		case r.Status == pipeline.StatusSuccess || r.Status == pipeline.StatusManual:
			good = true
		case r.Status == pipeline.StatusFailed && !good:
			red = true
			line.Failed++
			line.Since = r.Created
		}
	}
	line.More = !good && len(runs) == lineLook
	line.Recent, line.Usual = points(runs, lineShown)
	return line, red
}

// points are the last runs for a chart, oldest first, and the median of the good ones.
func points(runs []store.Run, n int) (list []api.RunPoint, usual int64) {
	var good []int64
	for i, r := range runs {
		if r.Finished.IsZero() || r.Started.IsZero() {
			continue
		}
		ms := r.Finished.Sub(r.Started).Milliseconds()
		if r.Status == pipeline.StatusSuccess {
			good = append(good, ms)
		}
		if i < n {
			list = append(list, api.RunPoint{Run: r.ID, Status: r.Status, Took: ms})
		}
	}
	slices.Reverse(list)
	if len(good) > 0 {
		slices.Sort(good)
		usual = good[len(good)/2]
	}
	return list, usual
}

// activeRuns adds what runs and what is queued, and why.
func (s *Server) activeRuns(ctx context.Context, project int64, out *api.Overview) error {
	var list []store.Run
	for _, status := range []pipeline.Status{pipeline.StatusRunning, pipeline.StatusCanceling, pipeline.StatusCreated, pipeline.StatusPreparing, pipeline.StatusPending, pipeline.StatusWaitingForResource, pipeline.StatusScheduled} {
		runs, err := s.store.LatestRuns(ctx, project, status, time.Time{}, activeMost)
		if err != nil {
			return err
		}
		n := int64(len(runs))
		if len(runs) == activeMost {
			if n, err = s.store.CountRunsOf(ctx, project, status); err != nil {
				return err
			}
		}
		if status == pipeline.StatusRunning || status == pipeline.StatusCanceling {
			out.Running += n
		} else {
			out.Queued += n
		}
		list = append(list, runs...)
	}
	names := s.newNames()
	for _, r := range list[:min(len(list), activeMost)] {
		w, err := names.titled(ctx, r)
		if err != nil {
			return err
		}
		if r.Status != pipeline.StatusRunning {
			if w.Why, err = s.scheduler.Why(ctx, r.ID, -1); err != nil {
				return err
			}
		}
		if err := s.addUsual(ctx, r, &w); err != nil {
			return err
		}
		out.Active = append(out.Active, w)
	}
	return nil
}

// addUsual adds how long good runs of the same line took.
func (s *Server) addUsual(ctx context.Context, r store.Run, out *api.Run) error {
	runs, err := s.store.LineRuns(ctx, r.Line(), lineLook)
	if err == nil {
		_, out.Usual = points(runs, 0)
	}
	return err
}

// hours counts the runs of the last day by hour.
func (s *Server) hours(ctx context.Context, project int64) ([]api.RunBar, error) {
	now := s.options.Now()
	since := now.Truncate(time.Hour).Add(-23 * time.Hour)
	counts, err := s.store.CountSince(ctx, project, since, time.Hour, hourMost)
	return bars(since, time.Hour, 24, counts), err
}

// bars puts counts into stretches of the same length, also those without runs.
func bars(since time.Time, each time.Duration, n int, counts []store.EndCount) []api.RunBar {
	list := make([]api.RunBar, n)
	for i := range list {
		list[i] = api.RunBar{Start: since.Add(time.Duration(i) * each), Counts: map[pipeline.Status]int64{}}
	}
	for _, c := range counts {
		if at := int(c.Start.Sub(since) / each); at >= 0 && at < n {
			list[at].Counts[c.Status] += c.Count
		}
	}
	return list
}

// titled is a run with the first line of its commit's message.
func (n *names) titled(ctx context.Context, r store.Run) (api.Run, error) {
	out, err := n.run(ctx, r)
	if err != nil {
		return out, err
	}
	err = n.s.addFacts(ctx, r.ID, &out)
	return out, err
}
