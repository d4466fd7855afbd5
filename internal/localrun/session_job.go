package localrun

import (
	"context"
	"strconv"

	"refline/internal/definition"
	"refline/internal/engine"
	"refline/internal/executor"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// Jobs says where each job of a run and of its child pipelines runs, and what it
// starts from.
type Jobs struct {
	Base     func(context.Context) engine.JobInput // what all jobs have
	Executor func(context.Context, *pipeline.Job) (executor.Executor, error)
	Tree     func(ctx context.Context, d *definition.Definition, j *pipeline.Job, isolated bool) (*workspace.Tree, error)
	Agent    func(executor.Executor) engine.AgentStarter
	Shell    func(*pipeline.Job) *engine.Shell
	Keep     func(*pipeline.Job) engine.KeepWorkspace
	// DefaultImage is that of jobs without one.
	DefaultImage string
	// Decide settles where the jobs of a child pipeline run, before it starts.
	Decide func(ctx context.Context, p *pipeline.Pipeline, trigger string) error
}

// Input gives the engine the input of a definition's jobs.
func (g Jobs) Input(ctx context.Context, d *definition.Definition) func(*pipeline.Job) (engine.JobInput, error) {
	return func(j *pipeline.Job) (engine.JobInput, error) {
		ex, err := g.Executor(ctx, j)
		if err != nil {
			return engine.JobInput{}, err
		}
		tree, err := g.Tree(ctx, d, j, ex.Isolated())
		if err != nil {
			return engine.JobInput{}, err
		}
		in := g.Base(ctx)
		in.Executor, in.Tree = ex, tree
		in.Agent, in.Shell, in.KeepWorkspace = g.Agent(ex), g.Shell(j), g.Keep(j)
		return in, nil
	}
}

// Child compiles the pipeline of a trigger job.
func (g Jobs) Child(parent *definition.Definition) func(context.Context, ChildRequest) (*Input, error) {
	return func(ctx context.Context, req ChildRequest) (*Input, error) {
		id, _ := strconv.ParseInt(req.ID, 10, 64)
		d, err := parent.Child(ctx, definition.ChildRequest{Job: req.Job, ID: id, Variables: req.Variables, Open: req.Open})
		if err != nil {
			return nil, err
		}
		p := definition.WithDefaultImage(d.Pipeline, g.DefaultImage)
		if err := g.Decide(ctx, p, req.Job.Name); err != nil {
			return nil, err
		}
		return &Input{Pipeline: p, Variables: d.JobVariables, Job: g.Input(ctx, d), Child: g.Child(d)}, nil
	}
}
