package localrun

import (
	"context"
	"fmt"
	"io"
	"time"

	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

// child runs the pipeline of a trigger job. With the strategies depend and mirror
// the job waits for its end, else only until it exists. If the child waits at a
// manual job, it has not ended: waits is true then.
func (r *runner) child(ctx, stop context.Context, i int, id string, g attemptInput) (res engine.JobResult, waits bool) {
	job := &r.Pipeline.Jobs[i]
	in, err := r.makeChild(ctx, stop, job, id, g)
	if err != nil {
		return childFailed(ctx, stop, err), false
	}
	r.emit(i, pipeline.Report{Kind: pipeline.ReportChild, Child: in.ID})
	if !job.Downstream.Waits() {
		in.Stop = r.Stop
		r.loose.Add(1)
		go func() {
			defer r.loose.Done()
			if _, err := r.runChild(ctx, job.Name, *in); err != nil {
				r.emit(i, pipeline.Report{Kind: pipeline.ReportJobNote, Text: err.Error()})
			}
		}()
		return engine.JobResult{Status: pipeline.StatusSuccess}, false
	}
	ended, err := r.runChild(ctx, job.Name, *in)
	if err != nil {
		return childFailed(ctx, stop, err), false
	}
	switch job.Downstream.StatusFor(ended.Result) {
	case pipeline.StatusSuccess:
		return engine.JobResult{Status: pipeline.StatusSuccess}, false
	case pipeline.StatusRunning, pipeline.StatusManual:
		r.emit(i, pipeline.Report{Kind: pipeline.ReportJobNote, Text: fmt.Sprintf("child run %s waits for a manual job", in.ID)})
		return engine.JobResult{}, true
	}
	if ended.Result == pipeline.ResultCanceled && stop.Err() != nil {
		return engine.JobResult{Status: pipeline.StatusCanceled}, false
	}
	return engine.JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonUnknown,
		Err: errs.E(errs.Conflict, "the child pipeline ended %s", ended.Result)}, false
}

// childFailed is the end of a trigger job whose child could not be made or run.
func childFailed(ctx, stop context.Context, err error) engine.JobResult {
	if stop.Err() != nil || ctx.Err() != nil {
		return engine.JobResult{Status: pipeline.StatusCanceled}
	}
	return engine.JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonDownstreamCreationFailed, Err: err}
}

// makeChild compiles the pipeline of a trigger job, ready to run.
func (r *runner) makeChild(ctx, stop context.Context, job *pipeline.Job, id string, g attemptInput) (*Input, error) {
	if r.Child == nil {
		return nil, errs.E(errs.Invalid, "a child pipeline cannot be started here")
	}
	below, above := r.Variables(job)
	vars, err := pipeline.ForwardedVariables(job, below, g.dotenv, above)
	if err != nil {
		return nil, err
	}
	ctx, done := engine.WithStop(ctx, stop)
	defer done()
	in, err := r.Child(ctx, ChildRequest{
		Job: job, Variables: vars, ID: id,
		Open: func(from, path string) (io.ReadCloser, error) { return r.openArtifact(ctx, g, from, path) },
	})
	if err != nil {
		return nil, err
	}
	in.Parent = func(name string) string { return g.kept[name] }
	in.Number, in.ID, in.Dir, in.Work, in.Artifacts = r.Number, r.childID(), r.Dir, r.Work, r.Artifacts
	in.numbers, in.Slots, in.Emit, in.Now, in.Lock, in.Play = r.numbers, r.Slots, r.Emit, r.Now, r.Lock, r.Play
	in.Stop = stop
	return in, nil
}

// childID numbers the child runs of a run, in the order of their creation.
func (r *runner) childID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.created++
	return fmt.Sprintf("%s.%d", r.ID, r.created)
}

func (r *runner) runChild(ctx context.Context, trigger string, in Input) (Result, error) {
	res, err := Run(ctx, in)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.children = append(r.children, ChildResult{Trigger: trigger, Input: &in, Result: res})
	r.Emit(pipeline.Report{Kind: pipeline.ReportRunFinished, Time: time.Now(), Run: in.ID, Status: res.Status, Result: res.Result, Seconds: res.Seconds})
	return res, err
}

// openArtifact opens a file of the artifacts of a job that has run.
func (r *runner) openArtifact(ctx context.Context, g attemptInput, from, path string) (io.ReadCloser, error) {
	key := g.kept[from]
	if key == "" {
		return nil, errs.E(errs.NotFound, "job %q kept no artifacts; %s is expected in them", from, path)
	}
	return r.Artifacts.Open(ctx, key, path)
}
