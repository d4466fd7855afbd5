package localrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"refline/internal/engine"
	"refline/internal/pipeline"
)

// attemptInput is what the loop knows for one attempt; made in the loop, read by the
// job's goroutine.
type attemptInput struct {
	take    []string
	dotenv  []pipeline.Variable
	attempt int
	kept    map[string]string // of each job that kept artifacts, their key
}

func (r *runner) inputFor(i int) attemptInput {
	g := attemptInput{attempt: r.state.Jobs[i].Attempt}
	for _, n := range r.Pipeline.Jobs[i].Needs {
		if n.Pipeline != "" && r.Parent != nil && n.Artifacts {
			if dir := r.Parent(n.Job); dir != "" {
				g.take = append(g.take, dir)
			}
		}
		if n.Project != "" {
			r.emit(i, pipeline.Report{Kind: pipeline.ReportJobNote, Text: fmt.Sprintf("artifacts of job %q of project %s need a server; they are not taken", n.Job, n.Project)})
		}
	}
	if r.Pipeline.Jobs[i].Downstream != nil {
		g.kept = map[string]string{}
		for j, rec := range r.records {
			if rec.Artifacts != "" {
				g.kept[r.Pipeline.Jobs[j].Name] = rec.Artifacts
			}
		}
	}
	for _, j := range r.sources(i) {
		if dir := r.records[j].Artifacts; dir != "" {
			g.take = append(g.take, dir)
		}
		g.dotenv = append(g.dotenv, r.dotenv[j]...)
	}
	return g
}

// sources are the jobs whose artifacts job i takes: those of its needs, else of
// all earlier stages, and of these only the ones that dependencies names. Their
// order is that of the pipeline, however they are named, as on GitLab.
func (r *runner) sources(i int) []int {
	job := &r.Pipeline.Jobs[i]
	var out []int
	for j := range r.Pipeline.Jobs {
		from := &r.Pipeline.Jobs[j]
		if !job.DAG && from.Stage == job.Stage {
			break
		}
		needed := !job.DAG || slices.ContainsFunc(job.Needs, func(n pipeline.Need) bool {
			return n.Job == from.Name && n.Artifacts && n.Project == "" && n.Pipeline == ""
		})
		named := job.Dependencies == nil || slices.Contains(*job.Dependencies, from.Name) || slices.Contains(*job.Dependencies, from.Base)
		if needed && named {
			out = append(out, j)
		}
	}
	return out
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
	o.record.Seconds = time.Since(begin).Seconds()
	o.record.Result = o.res
	r.done <- o
}

func (r *runner) lock(ctx, stop context.Context, i int) (func(), error) {
	group := r.Pipeline.Jobs[i].ResourceGroup
	if group == "" || r.Lock == nil {
		return func() {}, nil
	}
	ctx, cancel := mergeDone(ctx, stop)
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
	f, err := os.OpenFile(rec.Log, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return engine.JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonRunnerSystemFailure, Err: err}, JobRecord{}
	}
	defer f.Close()
	r.emit(i, pipeline.Report{Kind: pipeline.ReportJobStarted, Attempt: g.attempt, Log: rec.Log})
	below, above := r.Variables(job)
	in.RunID = strconv.FormatInt(r.Number, 10)
	in.ID, in.Job, in.Started, in.Stop = id, job, time.Now(), stop
	in.Variables = pipeline.Merge(below, job.Variables, g.dotenv, above)
	in.Take = g.take
	in.Slot = r.numbers.take()
	in.Dir = filepath.Join(r.Work, strconv.Itoa(in.Slot+1))
	in.Artifacts, in.Keep = r.Artifacts, "artifacts/"+id
	in.Log = &jobLog{file: f, emit: func(p []byte) { r.emit(i, pipeline.Report{Kind: pipeline.ReportJobLog, Data: p}) }}
	in.Emit = func(ev pipeline.Report) { r.emit(i, ev) }
	in.Later = r.later.Go
	res := engine.RunJob(ctx, in)
	if _, err := os.Lstat(in.Dir); errors.Is(err, fs.ErrNotExist) {
		r.numbers.free(in.Slot)
	}
	if res.Err != nil { // is shown with the job; who reads the log later wants it too
		fmt.Fprintf(f, "the job could not be run as it should: %v\n", res.Err)
	}
	if res.Artifacts {
		rec.Artifacts = in.Keep
	}
	if leaked, err := rescan(in, f); err != nil {
		res.Status, res.Reason, res.Err = pipeline.StatusFailed, pipeline.ReasonDataIntegrity, err
	} else if leaked != "" {
		res.Status, res.Reason = pipeline.StatusFailed, pipeline.ReasonDataIntegrity
		res.Err = errors.New(leaked)
	}
	return res, rec
}

// rescan looks for secrets in the stored log once more. A finding fails closed:
// the log is emptied and the job is red.
func rescan(in engine.JobInput, f *os.File) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	found, err := in.Secrets.Scan(f)
	if err != nil || len(found) == 0 {
		return "", err
	}
	if err := f.Truncate(0); err != nil {
		return "", err
	}
	return fmt.Sprintf("the log held a part of the secret %s after masking and was emptied; this is a fault of the masker, please report it", found[0].Name), nil
}

// maxLog bounds a job's stored log, so that one that prints without end does
// not fill the disk.
const maxLog = 256 << 20

// jobLog writes a job's bytes to its file and tells whoever watches.
type jobLog struct {
	file    *os.File
	emit    func([]byte)
	written int64
}

func (l *jobLog) Write(p []byte) (int, error) {
	switch {
	case l.written > maxLog:
		return len(p), nil
	case l.written+int64(len(p)) > maxLog:
		l.written = maxLog + 1
		end := fmt.Appendf(nil, "\n\nthe log is longer than %d MiB; the rest is not kept, the job goes on\n", maxLog>>20)
		_, err := l.file.Write(end)
		l.emit(end)
		return len(p), err
	}
	n, err := l.file.Write(p)
	l.written += int64(n)
	if err == nil {
		l.emit(p)
	}
	return n, err
}

// mergeDone is done when either context is.
func mergeDone(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if other.Err() != nil {
		cancel(context.Cause(other)) // at once: AfterFunc would take a moment
	}
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() { stop(); cancel(nil) }
}
