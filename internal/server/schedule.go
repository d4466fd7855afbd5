package server

import (
	"context"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

// scheduleOf is a schedule that was asked for.
func scheduleOf(actor string, flow int64, in api.ScheduleInput) store.Schedule {
	return store.Schedule{
		Flow: flow, Cron: in.Cron, Every: time.Duration(in.Every) * time.Second, Timezone: in.Timezone, CatchUp: in.CatchUp, Inputs: in.Inputs, Actor: actor,
	}
}

// addSchedule adds a schedule to a flow, if the flow can run with its inputs.
func (s *Server) addSchedule(ctx context.Context, actor string, p store.Project, f store.Flow, in api.ScheduleInput) (api.Schedule, error) {
	const most = 100
	have, err := s.store.Schedules(ctx, f.ID)
	if err != nil {
		return api.Schedule{}, err
	}
	n, err := s.checkSchedule(ctx, p, f, scheduleOf(actor, f.ID, in))
	if err != nil {
		return api.Schedule{}, err
	}
	if len(have) >= most {
		return api.Schedule{}, errs.E(errs.Conflict, "flow %s has %d schedules already, the most there can be", f.Name, len(have))
	}
	for _, h := range have {
		if scheduler.SameSchedule(h, n) {
			return api.Schedule{}, errs.E(errs.Conflict, "flow %s has this schedule already: it is schedule %d", f.Name, h.ID)
		}
	}
	if n, err = s.scheduler.PutSchedule(ctx, n); err != nil {
		return api.Schedule{}, err
	}
	return s.wireSchedule(n, p.Name, f.Name, 3)
}

// checkSchedule completes a schedule and compiles the flow as its next run will.
func (s *Server) checkSchedule(ctx context.Context, p store.Project, f store.Flow, n store.Schedule) (store.Schedule, error) {
	n, err := s.scheduler.CheckSchedule(n)
	if err != nil {
		return n, err
	}
	if !f.Archived.IsZero() {
		return n, archivedFlow(f)
	}
	due := n.Next
	if zone, err := time.LoadLocation(n.Timezone); err == nil {
		due = due.In(zone)
	}
	return n, s.checkInputs(ctx, p, f, n.Inputs, due)
}

// checkInputs compiles a flow as a run for a date would, so that inputs that are
// missing or wrong are reported now.
func (s *Server) checkInputs(ctx context.Context, p store.Project, f store.Flow, inputs map[string]any, due time.Time) error {
	_, err := s.launcher.Resolve(ctx, scheduler.Launch{
		Project: p, Flow: &f, Trigger: pipeline.TriggerSchedule, Inputs: scheduler.DatedInputs(scheduler.MergeInputs(f.Inputs, inputs), due),
		Commit: commitOf(f),
	}, 0)
	return err
}

// commitOf is the commit at which a flow is checked; "" for that of its branch now,
// and for the one that an image has.
func commitOf(f store.Flow) string {
	if f.RefKind == string(git.KindBranch) || f.RefKind == store.RefImage {
		return ""
	}
	return f.Pinned
}

func archivedFlow(f store.Flow) error {
	return errs.E(errs.Conflict, "flow %s is archived: its branch %s is deleted; register it again: refline flow register %s", f.Name, f.Ref, f.Path)
}

// wireSchedule puts a schedule on the wire with its next times in its time zone.
func (s *Server) wireSchedule(n store.Schedule, project, flow string, times int) (api.Schedule, error) {
	out := api.Schedule{
		ID: n.ID, Project: project, Flow: flow, Cron: n.Cron, Every: int64(n.Every / time.Second), Timezone: n.Timezone, CatchUp: n.CatchUp,
		Inputs: n.Inputs, Actor: n.Actor, Paused: n.Paused, Next: []time.Time{},
	}
	if times == 0 {
		return out, nil
	}
	list, err := scheduler.NextTimes(n, s.options.Now(), times)
	if err != nil {
		return out, err
	}
	zone, err := time.LoadLocation(n.Timezone)
	if err != nil {
		return out, err
	}
	for _, at := range list {
		out.Next = append(out.Next, at.In(zone))
	}
	return out, nil
}

// listSchedules lists the schedules of a flow.
func (s *Server) listSchedules(ctx context.Context, project string, f store.Flow, times int) ([]api.Schedule, error) {
	list, err := s.store.Schedules(ctx, f.ID)
	out := make([]api.Schedule, len(list))
	for i, n := range list {
		if out[i], err = s.wireSchedule(n, project, f.Name, times); err != nil {
			return nil, err
		}
	}
	return out, err
}

// allSchedules lists the schedules of all flows that the actor sees, or of one
// project.
func (s *Server) allSchedules(ctx context.Context, project string, times int) ([]api.Schedule, error) {
	list, err := s.store.Schedules(ctx, 0)
	if err != nil {
		return nil, err
	}
	out := []api.Schedule{}
	err = eachFlow(ctx, s, project, list, func(n store.Schedule) int64 { return n.Flow }, func(n store.Schedule, p store.Project, f store.Flow) error {
		w, err := s.wireSchedule(n, p.Name, f.Name, times)
		out = append(out, w)
		return err
	})
	return out, err
}

// eachFlow calls do for each row whose flow is there, of a project that the actor
// sees, and of this one if it has a name.
func eachFlow[T any](ctx context.Context, s *Server, project string, list []T, flow func(T) int64, do func(T, store.Project, store.Flow) error) error {
	flows, projects := map[int64]store.Flow{}, map[int64]store.Project{}
	for _, row := range list {
		id := flow(row)
		f, known := flows[id]
		if !known {
			var err error
			if f, err = s.store.Flow(ctx, id); err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
			flows[id] = f
		}
		p, known := projects[f.Project]
		if !known && f.ID != 0 {
			var err error
			if p, err = s.store.Project(ctx, f.Project); err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
			projects[f.Project] = p
		}
		if f.ID == 0 || p.ID == 0 || !Caller(ctx).Sees(p.ID) || project != "" && project != p.Name {
			continue
		}
		if err := do(row, p, f); err != nil {
			return err
		}
	}
	return nil
}

// flowWithProject finds a flow by its id, and its project.
func (s *Server) flowWithProject(ctx context.Context, flow int64) (store.Project, store.Flow, error) {
	f, err := s.store.Flow(ctx, flow)
	if err != nil {
		return store.Project{}, f, err
	}
	p, err := s.store.Project(ctx, f.Project)
	return p, f, err
}
