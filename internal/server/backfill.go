package server

import (
	"context"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/scheduler"
	"refline/internal/store"
)

// maxDates bounds the dates of a backfill.
const maxDates = 10_000

// addBackfill begins a backfill, if the flow can run with its inputs.
func (s *Server) addBackfill(ctx context.Context, actor string, p store.Project, f store.Flow, in api.BackfillInput) (api.Backfill, error) {
	if !f.Archived.IsZero() {
		return api.Backfill{}, archivedFlow(f)
	}
	b := store.Backfill{
		Flow: f.ID, Cron: in.Cron, Every: time.Duration(in.Every) * time.Second, Timezone: in.Timezone, From: in.From, To: in.To,
		Parallel: in.Parallel, Again: in.Again, Inputs: in.Inputs, Actor: actor,
	}
	if b.Cron == "" && b.Every == 0 {
		return api.Backfill{}, errs.E(errs.Invalid, "which dates? give cron or every_seconds")
	}
	zone, err := time.LoadLocation(b.Timezone)
	if err != nil || b.Timezone == "Local" {
		return api.Backfill{}, errs.E(errs.Invalid, "time zone %q is not known: give one such as Europe/Berlin", b.Timezone)
	}
	if err := s.checkInputs(ctx, p, f, in.Inputs, in.From.In(zone)); err != nil {
		return api.Backfill{}, err
	}
	if n, err := scheduler.CountDates(b, maxDates+1); err != nil || n > maxDates {
		if err == nil {
			err = errs.E(errs.Invalid, "there are more than %d dates from %s to %s; make several backfills", maxDates, b.From.Format(time.DateOnly), b.To.Format(time.DateOnly))
		}
		return api.Backfill{}, err
	}
	if b, err = s.scheduler.AddBackfill(ctx, b); err != nil {
		return api.Backfill{}, err
	}
	return s.wireBackfill(ctx, b, p.Name, f.Name)
}

func (s *Server) wireBackfill(ctx context.Context, b store.Backfill, project, flow string) (api.Backfill, error) {
	zone, err := time.LoadLocation(b.Timezone)
	if err != nil {
		zone = time.UTC
	}
	out := api.Backfill{
		ID: b.ID, Project: project, Flow: flow, Cron: b.Cron, Every: int64(b.Every / time.Second), Timezone: b.Timezone,
		From: b.From.In(zone), To: b.To.In(zone), Parallel: b.Parallel, Again: b.Again, Inputs: b.Inputs, Actor: b.Actor, State: string(b.State), Created: b.Created,
	}
	if out.Total, err = scheduler.CountDates(b, maxDates); err != nil {
		return out, err
	}
	d, err := s.store.BackfillDates(ctx, b.ID)
	out.Dates = &api.BackfillDates{Waiting: d.Waiting, Running: d.Running, Succeeded: d.Succeeded, Failed: d.Failed, Canceled: d.Canceled}
	return out, err
}

// showBackfill returns a backfill with the dates whose runs could not be made.
func (s *Server) showBackfill(ctx context.Context, id int64) (api.Backfill, error) {
	b, err := s.store.Backfill(ctx, id)
	if err != nil {
		return api.Backfill{}, err
	}
	p, f, err := s.flowWithProject(ctx, b.Flow)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return api.Backfill{}, err
	}
	out, err := s.wireBackfill(ctx, b, p.Name, f.Name)
	if err != nil {
		return out, err
	}
	list, err := s.store.Occurrences(ctx, store.OccurrenceFilter{Backfill: id, Limit: 200})
	for _, o := range list {
		if o.Error != "" && o.Run == 0 {
			out.Failures = append(out.Failures, api.DateFailure{Date: o.Due.In(out.From.Location()), Error: o.Error})
		}
	}
	return out, err
}

// listBackfills lists the last backfills of a flow, or for flow 0 of all that the
// actor sees.
func (s *Server) listBackfills(ctx context.Context, flow int64) ([]api.Backfill, error) {
	const most = 100
	list, err := s.store.Backfills(ctx, flow, most)
	if err != nil {
		return nil, err
	}
	out := []api.Backfill{}
	err = eachFlow(ctx, s, "", list, func(b store.Backfill) int64 { return b.Flow }, func(b store.Backfill, p store.Project, f store.Flow) error {
		w, err := s.wireBackfill(ctx, b, p.Name, f.Name)
		out = append(out, w)
		return err
	})
	return out, err
}
