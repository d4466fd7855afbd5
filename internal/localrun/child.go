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
// the job waits for its end, else only until it exists. If the child waits for a
// manual job, the result is running (depend) or manual (mirror): nothing fails,
// and the trigger job has no end.
func (r *runner) child(ctx, stop context.Context, i int, id string, g attemptInput) engine.JobResult {
	job := &r.Pipeline.Jobs[i]
	fail := func(err error) engine.JobResult {
		if stop.Err() != nil || ctx.Err() != nil {
			return engine.JobResult{Status: pipeline.StatusCanceled}
		}
		return engine.JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonDownstreamCreationFailed, Err: err}
	}
	if r.Child == nil {
		return fail(errs.E(errs.Invalid, "a child pipeline cannot be started here"))
	}
	below, above := r.Variables(job)
	vars, err := pipeline.ForwardedVariables(job, below, g.dotenv, above)
	if err != nil {
		return fail(err)
	}
	// Jobs of the child use this context too, those of one that nothing waits for
	// after the trigger job has ended.
	waits, until := job.Downstream.Waits(), stop
	if !waits {
		until = r.Stop
	}
	making, made := engine.WithStop(ctx, until)
	release := made
	defer func() { release() }()
	in, err := r.Child(making, ChildRequest{
		Job: job, Variables: vars, ID: id,
		Open: func(from, path string) (io.ReadCloser, error) { return r.openArtifact(making, g, from, path) },
	})
	if err != nil {
		return fail(err)
	}
	in.Parent = func(name string) string { return g.kept[name] }
	in.Number, in.ID, in.Dir, in.Work, in.Artifacts = r.Number, r.childID(), r.Dir, r.Work, r.Artifacts
	in.numbers, in.Slots, in.Emit, in.Now, in.Lock, in.Play = r.numbers, r.Slots, r.Emit, r.Now, r.Lock, r.Play
	in.HasEarlier, in.TakeEarlier, in.EarlierResults = r.HasEarlier, r.TakeEarlier, r.EarlierResults
	in.Stop = until
	r.emit(i, pipeline.Report{Kind: pipeline.ReportChild, Child: in.ID})
	if !waits {
		r.loose.Add(1)
		release = func() {}
		go func() {
			defer r.loose.Done()
			defer made()
			if _, err := r.runChild(ctx, job.Name, *in); err != nil {
				r.emit(i, pipeline.Report{Kind: pipeline.ReportJobNote, Text: err.Error()})
			}
		}()
		return engine.JobResult{Status: pipeline.StatusSuccess}
	}
	res, err := r.runChild(ctx, job.Name, *in)
	if err != nil {
		return fail(err)
	}
	status := job.Downstream.StatusFor(res.Status)
	switch {
	case res.Status == pipeline.StatusCanceled && stop.Err() != nil:
		return engine.JobResult{Status: pipeline.StatusCanceled}
	case status == pipeline.StatusFailed:
		return engine.JobResult{Status: status, Reason: pipeline.ReasonUnknown,
			Err: errs.E(errs.Conflict, "the child pipeline ended %s", res.Status)}
	default:
		return engine.JobResult{Status: status}
	}
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
