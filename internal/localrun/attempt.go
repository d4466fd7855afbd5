package localrun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"refline/internal/engine"
	"refline/internal/pipeline"
)

// attemptInput is what the loop knows for one attempt. The loop makes it, the
// job's goroutine reads it.
type attemptInput struct {
	take    []string
	dotenv  []pipeline.Variable
	attempt int
	kept    map[string]string // of each job that kept artifacts, their key
}

func (r *runner) inputFor(i int) attemptInput {
	g := attemptInput{attempt: r.state.Jobs[i].Attempt}
	from := r.graph.ArtifactSources(i)
	for _, name := range from.Parent {
		if r.Parent == nil {
			continue
		}
		if key := r.Parent(name); key != "" {
			g.take = append(g.take, key)
		}
	}
	for _, n := range from.Projects {
		r.emit(i, pipeline.Report{Kind: pipeline.ReportJobNote, Text: fmt.Sprintf("artifacts of job %q of project %s need a server; they are not taken", n.Job, n.Project)})
	}
	for _, j := range from.Jobs {
		if key := r.records[j].Artifacts; key != "" {
			g.take = append(g.take, key)
		}
		g.dotenv = append(g.dotenv, r.dotenv[j]...)
	}
	if r.Pipeline.Jobs[i].Downstream != nil {
		g.kept = map[string]string{}
		for j, rec := range r.records {
			if rec.Artifacts != "" {
				g.kept[r.Pipeline.Jobs[j].Name] = rec.Artifacts
			}
		}
	}
	return g
}

// runAttempt runs one attempt, or a child pipeline, and reports to the loop.
func (r *runner) runAttempt(ctx, stop context.Context, i int, id string, g attemptInput, need slotNeed) {
	begin := time.Now()
	o := outcome{job: i, attempt: g.attempt}
	job := &r.Pipeline.Jobs[i]
	release, err := r.lock(ctx, stop, i)
	if err == nil && need == slotAfterGroup {
		select {
		case r.Slots <- struct{}{}:
		case <-stop.Done():
			err, need = context.Cause(stop), slotNever
		}
	} else if err != nil {
		need = slotNever
	}
	switch {
	case err != nil && (stop.Err() != nil || ctx.Err() != nil):
		o.res = engine.JobResult{Status: pipeline.StatusCanceled}
	case err != nil:
		o.res = engine.JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonRunnerSystemFailure, Err: fmt.Errorf("resource group: %w", err)}
	case job.Downstream != nil:
		o.res = r.child(ctx, stop, i, id, g)
	default:
		o.res, o.record = r.attempt(ctx, stop, i, id, g)
	}
	release()
	if need != slotNever {
		<-r.Slots
	}
	o.record.Started, o.record.Seconds = begin, time.Since(begin).Seconds()
	o.record.Result = o.res
	r.done <- o
}

func (r *runner) lock(ctx, stop context.Context, i int) (func(), error) {
	group := r.Pipeline.Jobs[i].ResourceGroup
	if group == "" || r.Lock == nil {
		return func() {}, nil
	}
	ctx, cancel := engine.WithStop(ctx, stop)
	defer cancel()
	release, err := r.Lock(ctx, group)
	if err != nil {
		return func() {}, err
	}
	return release, nil
}

func (r *runner) attempt(ctx, stop context.Context, i int, id string, g attemptInput) (engine.JobResult, JobRecord) {
	job := &r.Pipeline.Jobs[i]
	in, err := r.Job(job)
	if err != nil {
		return engine.JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonRunnerSystemFailure, Err: err}, JobRecord{}
	}
	rec := JobRecord{Log: filepath.Join(r.Dir, "logs", id+".log")}
	log, err := engine.CreateFileLog(rec.Log)
	if err != nil {
		return engine.JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonRunnerSystemFailure, Err: err}, JobRecord{}
	}
	defer log.Close()
	r.emit(i, pipeline.Report{Kind: pipeline.ReportJobStarted, Attempt: g.attempt, Log: rec.Log})
	below, above := r.Variables(job)
	in.RunID = r.ID
	in.ID, in.Job, in.Started, in.Stop = id, job, time.Now(), stop
	in.Variables = pipeline.JobVariables(job, below, g.dotenv, above)
	in.Take = g.take
	in.Slot = r.numbers.Take()
	in.Dir = filepath.Join(r.Work, strconv.Itoa(in.Slot+1))
	in.Artifacts, in.Keep, in.KeepResults = r.Artifacts, "artifacts/"+id, "results/"+id
	if r.EarlierResults != nil {
		if in.TakeResults, err = r.EarlierResults(ctx, r.ID, job.Name); err != nil {
			r.emit(i, pipeline.Report{Kind: pipeline.ReportJobNote, Text: fmt.Sprintf("results of tasks of the earlier run: %v; every task runs again", err)})
			in.TakeResults = ""
		}
	}
	in.Log = log
	in.Emit = func(ev pipeline.Report) { r.emit(i, ev) }
	in.Later = r.later.Go
	res := engine.RunJob(ctx, in)
	if _, err := os.Lstat(in.Dir); errors.Is(err, fs.ErrNotExist) {
		r.numbers.Free(in.Slot)
	}
	if res.Artifacts {
		rec.Artifacts = in.Keep
	}
	if res.Results {
		rec.Results = in.KeepResults
	}
	return res, rec
}
