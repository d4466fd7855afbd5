package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
)

// BySchedule names a schedule in the path.
type BySchedule struct {
	Schedule int64 `path:"schedule" doc:"id of the schedule"`
}

// ByBackfill names a backfill in the path.
type ByBackfill struct {
	Backfill int64 `path:"backfill" doc:"id of the backfill"`
}

// BySlot names a slot in the path.
type BySlot struct {
	Slot string `path:"slot" doc:"name of the slot"`
}

// WithTimes says how many next times are shown.
type WithTimes struct {
	Times int `query:"times" minimum:"0" maximum:"200" default:"3" doc:"how many next times"`
}

func (s *Server) scheduleRoutes(a huma.API) {
	op(s, a, "GET /api/v1/schedules", need{action: actRead, filtered: true}, "list the schedules of all flows", func(ctx context.Context, in *struct {
		WithTimes
		Project string `query:"project"`
	}) (*answer[[]api.Schedule], error) {
		list, err := s.allSchedules(ctx, in.Project, in.Times)
		return &answer[[]api.Schedule]{list}, err
	})
	op(s, a, "GET /api/v1/projects/{project}/flows/{flow}/schedules", actRead, "list the schedules of a flow", func(ctx context.Context, in *struct {
		ByFlow
		WithTimes
	}) (*answer[[]api.Schedule], error) {
		p, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err != nil {
			return nil, err
		}
		list, err := s.listSchedules(ctx, p.Name, f, in.Times)
		return &answer[[]api.Schedule]{list}, err
	})
	op(s, a, "POST /api/v1/projects/{project}/flows/{flow}/schedules", actWrite, "add a schedule to a flow", func(ctx context.Context, in *struct {
		ByFlow
		Body api.ScheduleInput
	}) (*answer[api.Schedule], error) {
		p, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err != nil {
			return nil, err
		}
		n, err := s.addSchedule(ctx, actorOf(ctx), p, f, in.Body)
		return &answer[api.Schedule]{n}, err
	})
	op(s, a, "PATCH /api/v1/schedules/{schedule}", actWrite, "pause a schedule, or let it go on", func(ctx context.Context, in *struct {
		BySchedule
		Body api.ScheduleChange
	}) (*answer[api.Schedule], error) {
		if in.Body.Paused != nil {
			if err := s.scheduler.PauseSchedule(ctx, in.Schedule, *in.Body.Paused); err != nil {
				return nil, err
			}
		}
		n, err := s.store.Schedule(ctx, in.Schedule)
		if err != nil {
			return nil, err
		}
		p, f, err := s.flowWithProject(ctx, n.Flow)
		if err != nil {
			return nil, err
		}
		out, err := s.wireSchedule(n, p.Name, f.Name, 3)
		return &answer[api.Schedule]{out}, err
	})
	op(s, a, "DELETE /api/v1/schedules/{schedule}", actWrite, "remove a schedule", func(ctx context.Context, in *BySchedule) (*struct{}, error) {
		return nil, s.scheduler.RemoveSchedule(ctx, in.Schedule)
	})
}

func (s *Server) backfillRoutes(a huma.API) {
	op(s, a, "GET /api/v1/backfills", need{action: actRead, filtered: true}, "list the last backfills", func(ctx context.Context, _ *struct{}) (*answer[[]api.Backfill], error) {
		list, err := s.listBackfills(ctx, 0)
		return &answer[[]api.Backfill]{list}, err
	})
	op(s, a, "GET /api/v1/projects/{project}/flows/{flow}/backfills", actRead, "list the last backfills of a flow", func(ctx context.Context, in *ByFlow) (*answer[[]api.Backfill], error) {
		_, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err != nil {
			return nil, err
		}
		list, err := s.listBackfills(ctx, f.ID)
		return &answer[[]api.Backfill]{list}, err
	})
	op(s, a, "POST /api/v1/projects/{project}/flows/{flow}/backfills", actRun, "run a flow for each date of a range", func(ctx context.Context, in *struct {
		ByFlow
		Body api.BackfillInput
	}) (*answer[api.Backfill], error) {
		p, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err != nil {
			return nil, err
		}
		b, err := s.addBackfill(ctx, actorOf(ctx), p, f, in.Body)
		return &answer[api.Backfill]{b}, err
	})
	op(s, a, "GET /api/v1/backfills/{backfill}", actRead, "show a backfill", func(ctx context.Context, in *ByBackfill) (*answer[api.Backfill], error) {
		b, err := s.showBackfill(ctx, in.Backfill)
		return &answer[api.Backfill]{b}, err
	})
	op(s, a, "POST /api/v1/backfills/{backfill}/cancel", actRun, "make no more runs of a backfill", func(ctx context.Context, in *struct {
		ByBackfill
		Body struct {
			Runs bool `json:"runs,omitempty" doc:"cancel those under way too"`
		}
	}) (*struct{}, error) {
		return nil, s.scheduler.CancelBackfill(ctx, in.Backfill, in.Body.Runs)
	})
	op(s, a, "POST /api/v1/backfills/{backfill}/resume", actRun, "go on with a canceled backfill", func(ctx context.Context, in *ByBackfill) (*struct{}, error) {
		return nil, s.scheduler.ResumeBackfill(ctx, in.Backfill)
	})
}

func (s *Server) slotRoutes(a huma.API) {
	op(s, a, "GET /api/v1/slots", actRead, "list slots", func(ctx context.Context, _ *struct{}) (*answer[[]api.Slot], error) {
		list, err := s.listSlots(ctx)
		return &answer[[]api.Slot]{list}, err
	})
	op(s, a, "GET /api/v1/slots/{slot}", actRead, "show who has a slot", func(ctx context.Context, in *BySlot) (*answer[api.Slot], error) {
		out, err := s.showSlot(ctx, in.Slot)
		return &answer[api.Slot]{out}, err
	})
	op(s, a, "PUT /api/v1/slots/{slot}", actWrite, "set how many runs may have a slot", func(ctx context.Context, in *struct {
		BySlot
		Body struct {
			Max int `json:"max" minimum:"0" doc:"places; 0 is any number"`
		}
	}) (*answer[api.Slot], error) {
		out, err := s.setSlot(ctx, in.Slot, in.Body.Max)
		return &answer[api.Slot]{out}, err
	})
	op(s, a, "DELETE /api/v1/slots/{slot}", actWrite, "remove a slot that no flow takes", func(ctx context.Context, in *BySlot) (*struct{}, error) {
		return nil, s.removeSlot(ctx, in.Slot)
	})
}

// projectOfFlow finds the project of something that belongs to a flow.
func (s *Server) projectOfFlow(ctx context.Context, flow int64) (int64, error) {
	f, err := s.store.Flow(ctx, flow)
	return f.Project, err
}
