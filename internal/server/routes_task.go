package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// ByAttempt names an attempt of a job in the query.
type ByAttempt struct {
	ByJob
	Attempt int `query:"attempt" minimum:"0" doc:"number of an attempt, from 1; by default the last one"`
}

func (s *Server) taskRoutes(a huma.API) {
	op(s, a, "GET /api/v1/runs/{run}/jobs/{job}/tasks", actRead, "list the tasks of a job", func(ctx context.Context, in *ByAttempt) (*answer[api.Tasks], error) {
		list, err := s.jobTasks(ctx, in.Run, in.Job, in.Attempt)
		return &answer[api.Tasks]{list}, err
	})
	op(s, a, "GET /api/v1/runs/{run}/jobs/{job}/tasks/{task}/log", actRead, "show what a task printed", func(ctx context.Context, in *struct {
		ByAttempt
		Task string `path:"task" doc:"id of the task"`
		From int64  `query:"from" minimum:"0" doc:"where to read on"`
	}) (*answer[api.TaskLog], error) {
		log, err := s.taskLog(ctx, in.Run, in.Job, in.Task, in.Attempt, in.From)
		return &answer[api.TaskLog]{log}, err
	})
}

// FromFailed says how jobs are retried.
type FromFailed struct {
	FromFailed bool `query:"from_failed" doc:"do not run tasks again whose results are kept"`
}

func (s *Server) retryRoutes(a huma.API) {
	op(s, a, "POST /api/v1/runs/{run}/retry", actRun, "retry a run", func(ctx context.Context, in *struct {
		ByRun
		FromFailed
	}) (*struct{}, error) {
		return nil, s.actFrom(ctx, in.Run, "", pipeline.EventRetry, in.FromFailed.FromFailed)
	})
	op(s, a, "POST /api/v1/runs/{run}/jobs/{job}/retry", actRun, "retry a job", func(ctx context.Context, in *struct {
		ByJob
		FromFailed
	}) (*struct{}, error) {
		return nil, s.actFrom(ctx, in.Run, in.Job, pipeline.EventRetry, in.FromFailed.FromFailed)
	})
}
