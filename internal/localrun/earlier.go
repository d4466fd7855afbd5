package localrun

import (
	"context"

	"refline/internal/engine"
	"refline/internal/pipeline"
)

// Earlier is a job that is not run, since an earlier run has its result.
type Earlier struct {
	Run       int64  // the earlier run
	Log       string // path of its log
	Artifacts string // their key in Input.Artifacts, empty for none
	Dotenv    []pipeline.Variable
}

// takeEarlier makes the result of an earlier run that of job i.
func (r *runner) takeEarlier(ctx context.Context, i int) error {
	name := r.Pipeline.Jobs[i].Name
	e, err := r.TakeEarlier(ctx, r.ID, name)
	if err != nil {
		return err
	}
	if err := r.apply(ctx, pipeline.Event{Kind: pipeline.EventStart, Job: name}); err != nil {
		return err
	}
	r.records[i] = JobRecord{Log: e.Log, Artifacts: e.Artifacts, Earlier: e.Run, Result: engine.JobResult{
		Status: pipeline.StatusSuccess, Artifacts: e.Artifacts != "", Dotenv: e.Dotenv,
	}}
	r.dotenv[i] = e.Dotenv
	return r.apply(ctx, pipeline.Event{Kind: pipeline.EventSucceed, Job: name})
}

func (r *runner) hasEarlier(i int) bool {
	return r.HasEarlier != nil && r.HasEarlier(r.ID, r.Pipeline.Jobs[i].Name)
}
