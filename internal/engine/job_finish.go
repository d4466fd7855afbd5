package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"refline/internal/pipeline"
)

// finish keeps caches and artifacts by what became of the script.
func (a *attempt) finish(ctx context.Context, res *JobResult) {
	if a.coverage != nil {
		res.Coverage = a.coverage.value()
	}
	if res.Status == pipeline.Canceled || ctx.Err() != nil {
		return
	}
	// Everything the sandbox wrote must belong to us before it is read.
	if err := a.sandbox.Close(ctx); err != nil {
		a.note(fmt.Sprintf("not cleaned up: %v", err))
	}
	a.tellDeployment(res)
	failed := res.Status == pipeline.Failed
	a.saveCaches(ctx, failed)
	if err := a.keepArtifacts(ctx, failed, res); err != nil && !failed {
		res.Status, res.Reason, res.Err = pipeline.Failed, pipeline.RunnerSystemFailure, err
	}
}

// tellDeployment says which environment a job reached, and where it is seen.
func (a *attempt) tellDeployment(res *JobResult) {
	env := a.Job.Environment
	if env == nil || res.Status != pipeline.Success || env.Action != "" && env.Action != "start" {
		return
	}
	text := "deployed to " + a.expand(env.Name)
	if env.URL != "" {
		text += ": " + a.expand(env.URL)
	}
	a.note(text)
}

// keepArtifacts collects what artifacts: names, and the variables of dotenv
// reports. Its failure fails the job.
func (a *attempt) keepArtifacts(ctx context.Context, failed bool, res *JobResult) error {
	if a.Job.Artifacts == nil {
		return nil
	}
	req := ArtifactRequest{
		Workspace: a.workspace, ProjectDir: a.paths.project, Artifacts: a.Job.Artifacts,
		Failed: failed, Base: a.Tree, Expand: a.expand, Move: a.InPlace == "",
	}
	return a.section("upload_artifacts", "Keeping artifacts", func() error {
		report, err := Collect(ctx, req, a.Keep)
		for _, line := range append(report.Notes, report.Warnings...) {
			fmt.Fprintln(a.log, line)
		}
		if err != nil {
			return err
		}
		res.Artifacts = report.Stored
		res.Dotenv, err = readDotenv(a.Keep, report.Reports["dotenv"])
		return err
	})
}

func readDotenv(dir string, files []string) ([]pipeline.Variable, error) {
	if len(files) == 0 {
		return nil, nil
	}
	kept, err := OpenArtifacts(dir)
	if err != nil {
		return nil, err
	}
	var out []pipeline.Variable
	for _, file := range files {
		f, err := kept.OpenReport("dotenv", file)
		if err != nil {
			return nil, err
		}
		vars, err := ParseDotenv(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("reports:dotenv %s: %w", file, err)
		}
		out = append(out, vars...)
	}
	return out, nil
}

// followSteps reads $REFLINE_EVENTS until the returned function is called.
func (a *attempt) followSteps(ctx context.Context) (stop func()) {
	r := &stepReader{
		path: filepath.Join(a.temp, "events.jsonl"),
		note: a.note,
		emit: func(raw json.RawMessage) {
			a.Emit(Event{Kind: StepEvent, Job: a.Job.Name, Step: json.RawMessage(a.Secrets.String(string(raw)))})
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); r.follow(ctx) }()
	return func() { cancel(); <-done; r.finish() }
}

func (a *attempt) note(text string) {
	a.Emit(Event{Kind: JobNote, Job: a.Job.Name, Text: a.Secrets.String(text)})
}

// cleanUp gives everything back, also after a cancel.
func (a *attempt) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if a.endAgent != nil {
		if err := a.endAgent(); err != nil {
			a.note(fmt.Sprintf("ssh agent: %v", err))
		}
	}
	if a.sandbox != nil {
		if err := a.sandbox.Close(ctx); err != nil {
			a.note(fmt.Sprintf("not cleaned up: %v", err))
		}
	}
	if a.Later != nil {
		a.Later(a.remove)
		return
	}
	a.remove()
}

func (a *attempt) remove() {
	if a.clone != nil {
		if err := a.clone.Close(); err != nil {
			a.note(fmt.Sprintf("workspace not removed: %v", err))
		}
	}
	if err := removeAll(a.Dir); err != nil {
		a.note(fmt.Sprintf("temporary folder not removed: %v", err))
	}
}

// mergeDone is done when either context is.
func mergeDone(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() { stop(); cancel(nil) }
}
