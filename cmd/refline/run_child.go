package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"refline/internal/definition"
	"refline/internal/engine"
)

// child compiles the pipeline of a trigger job.
func (s *session) child(tree *engine.Tree) func(context.Context, engine.ChildRequest) (*engine.RunInput, error) {
	return func(ctx context.Context, req engine.ChildRequest) (*engine.RunInput, error) {
		return s.startChild(ctx, tree, s.c.Definition, req)
	}
}

func (s *session) startChild(ctx context.Context, tree *engine.Tree, parent *definition.Definition, req engine.ChildRequest) (*engine.RunInput, error) {
	id, _ := strconv.ParseInt(req.ID, 10, 64)
	d, err := parent.Child(ctx, definition.ChildRequest{Job: req.Job, ID: id, Variables: req.Variables, Open: req.Open})
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"logs", "artifacts"} {
		if err := os.MkdirAll(filepath.Join(req.Dir, dir), 0o700); err != nil {
			return nil, err
		}
	}
	return &engine.RunInput{
		Number: s.record.Number, FirstID: req.ID, Dir: req.Dir, Work: req.Work,
		Pipeline: s.places.withImages(d.Pipeline), Variables: d.JobVariables, Job: s.jobInput(ctx, tree),
		Child: func(ctx context.Context, inner engine.ChildRequest) (*engine.RunInput, error) {
			return s.startChild(ctx, tree, d, inner)
		},
	}, nil
}
