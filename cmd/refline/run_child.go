package main

import (
	"context"
	"strconv"

	"refline/internal/checkout"
	"refline/internal/definition"
	"refline/internal/localrun"
)

// child compiles the pipeline of a trigger job.
func (s *session) child(trees *checkout.Trees) func(context.Context, localrun.ChildRequest) (*localrun.Input, error) {
	return func(ctx context.Context, req localrun.ChildRequest) (*localrun.Input, error) {
		return s.startChild(ctx, trees, s.c.Definition, req)
	}
}

func (s *session) startChild(ctx context.Context, trees *checkout.Trees, parent *definition.Definition, req localrun.ChildRequest) (*localrun.Input, error) {
	id, _ := strconv.ParseInt(req.ID, 10, 64)
	d, err := parent.Child(ctx, definition.ChildRequest{Job: req.Job, ID: id, Variables: req.Variables, Open: req.Open})
	if err != nil {
		return nil, err
	}
	p := definition.WithDefaultImage(d.Pipeline, s.o.defaultImage)
	plays := func(job string) bool { return s.plays(req.Job.Name + " / " + job) }
	if err := s.runsOn.Decide(ctx, p, plays, s.pausing(s.confirmer())); err != nil {
		return nil, err
	}
	return &localrun.Input{
		Pipeline: p, Variables: d.JobVariables, Job: s.jobInput(ctx, trees, d),
		Child: func(ctx context.Context, inner localrun.ChildRequest) (*localrun.Input, error) {
			return s.startChild(ctx, trees, d, inner)
		},
	}, nil
}
