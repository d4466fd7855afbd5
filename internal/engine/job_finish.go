package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/artifact"
	"refline/internal/executor"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// finish keeps caches and artifacts by what became of the script.
func (a *attempt) finish(ctx context.Context, res *JobResult) {
	if a.coverage != nil {
		res.Coverage = a.coverage.value()
	}
	a.keepResults(ctx, res)
	if res.Status == pipeline.StatusCanceled || res.Reason == pipeline.ReasonJobExecutionTimeout && !a.cutShort {
		return // as on GitLab, a job that ran out of time keeps nothing
	}
	if ctx.Err() != nil {
		a.late(ctx, res)
		return
	}
	// Everything the sandbox wrote must belong to us before it is read.
	failed := res.Status == pipeline.StatusFailed
	err := a.sandbox.Close(ctx)
	if err != nil && !errors.Is(err, executor.ErrLost) {
		a.note(fmt.Sprintf("not cleaned up: %v", err))
		err = nil
	}
	if err == nil {
		a.saveCaches(ctx, failed)
		if err = a.keepArtifacts(ctx, failed, res); err == nil {
			a.noteDeployment(res)
		}
	}
	switch {
	case err == nil:
	case a.late(ctx, res):
	case failed:
		fmt.Fprintln(a.log, err)
	default:
		res.Status, res.Reason, res.Err = pipeline.StatusFailed, pipeline.ReasonRunnerSystemFailure, err
	}
}

// late replaces res if the job's timeout was over after its script, and reports
// whether it was.
func (a *attempt) late(ctx context.Context, res *JobResult) bool {
	if !timedOut(ctx) {
		return false
	}
	coverage := res.Coverage
	*res = a.overTime()
	res.Coverage = coverage
	return true
}

// noteDeployment shows which environment a job deployed to, and its URL, which may
// name variables of the job's own dotenv reports.
func (a *attempt) noteDeployment(res *JobResult) {
	env := a.Job.Environment
	if env == nil || res.Status != pipeline.StatusSuccess || env.Action != "" && env.Action != "start" {
		return
	}
	vars := pipeline.Merge(machineVariables(a.JobInput, a.paths), a.Variables, res.Dotenv)
	name, url, err := pipeline.Deployment(a.Job, vars)
	switch {
	case err != nil:
		a.note(err.Error())
	case url != "":
		a.note("deployed to " + name + ": " + url)
	default:
		a.note("deployed to " + name)
	}
}

// keepArtifacts collects what artifacts: names, and the variables of dotenv
// reports. Its failure fails the job.
func (a *attempt) keepArtifacts(ctx context.Context, failed bool, res *JobResult) error {
	artifacts := a.wantedArtifacts()
	if artifacts == nil || a.Artifacts == nil {
		return nil
	}
	req := artifact.Request{
		Workspace: a.workspace, ProjectDir: a.paths.project, Artifacts: artifacts,
		Failed: failed, Base: a.Tree, Expand: a.expand, Move: a.InPlace == "" && !a.keeps(),
	}
	return a.section("upload_artifacts", "Keeping artifacts", func() error {
		kept, err := artifact.Keep(ctx, a.Artifacts, a.Keep, req)
		for _, line := range append(kept.Notes, kept.Warnings...) {
			fmt.Fprintln(a.log, line)
		}
		if err != nil {
			return err
		}
		res.Artifacts = !kept.Empty()
		res.Dotenv, err = readDotenv(ctx, a.Artifacts, a.Keep, kept.Info.Reports["dotenv"], a.note)
		return err
	})
}

// wantedArtifacts are what artifacts: names, with the files that tasks reported. Those
// alone are kept whatever the job's result.
func (a *attempt) wantedArtifacts() *pipeline.Artifacts {
	if len(a.reported) == 0 {
		return a.Job.Artifacts
	}
	wanted := pipeline.Artifacts{When: pipeline.WhenAlways}
	if a.Job.Artifacts != nil {
		wanted = *a.Job.Artifacts
	}
	wanted.Paths = slices.Clone(wanted.Paths)
	literal := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "{", `\{`, "$", "$$")
	for _, path := range a.reported {
		wanted.Paths = append(wanted.Paths, literal.Replace(path))
	}
	return &wanted
}

// KeptDotenv gives the variables of the dotenv reports among kept artifacts.
func KeptDotenv(ctx context.Context, store artifact.Store, key string) ([]pipeline.Variable, error) {
	info, err := store.Info(ctx, key)
	if err != nil {
		return nil, err
	}
	return readDotenv(ctx, store, key, info.Reports["dotenv"], func(string) {})
}

func readDotenv(ctx context.Context, store artifact.Store, key string, files []string, note func(string)) ([]pipeline.Variable, error) {
	var out []pipeline.Variable
	for _, file := range files {
		f, err := store.OpenReport(ctx, key, "dotenv", file)
		if err != nil {
			return nil, err
		}
		vars, err := ParseDotenv(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("reports:dotenv %s: %w", file, err)
		}
		if len(vars) > dotenvVariables {
			note(fmt.Sprintf("reports:dotenv %s has %d variables; GitLab refuses more than %d by default, on gitlab.com more than 50 (Free), 100 (Premium) or 150 (Ultimate)",
				file, len(vars), dotenvVariables))
		}
		out = append(out, vars...)
	}
	return out, nil
}

// followSteps reads $REFLINE_EVENTS until the returned function is called.
func (a *attempt) followSteps(ctx context.Context) (stop func(*JobResult)) {
	fold := newEventFold(func(raw json.RawMessage) { a.emitStep(raw) }, a.note)
	r := &stepReader{dir: a.events, note: a.note, fold: fold}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); r.follow(ctx) }()
	return func(res *JobResult) {
		cancel()
		<-done
		r.finish(res)
		a.reported = fold.artifacts
	}
}

// emitStep passes a step on with its secrets masked: value by value, so that
// it stays JSON.
func (a *attempt) emitStep(raw []byte) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return
	}
	masked, err := json.Marshal(maskValue(a.Secrets, v))
	if err != nil {
		return
	}
	a.Emit(pipeline.Report{Kind: pipeline.ReportStep, Job: a.Job.Name, Step: masked})
}

// maskValue masks the texts of a JSON value, and a number that is a secret.
func maskValue(secrets *mask.Set, v any) any {
	switch v := v.(type) {
	case string:
		return secrets.String(v)
	case json.Number:
		if text := secrets.String(v.String()); text != v.String() {
			return text
		}
		return v
	case []any:
		for i := range v {
			v[i] = maskValue(secrets, v[i])
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[secrets.String(key)] = maskValue(secrets, value)
		}
		return out
	default:
		return v
	}
}

// mostNotes bounds how many notes of one job are shown.
const mostNotes = 100

func (a *attempt) note(text string) {
	switch n := a.notes.Add(1); {
	case n > mostNotes:
		return
	case n == mostNotes:
		text = "more notes are left out"
	}
	a.Emit(pipeline.Report{Kind: pipeline.ReportJobNote, Job: a.Job.Name, Text: a.Secrets.String(text)})
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
		} else if a.clone != nil {
			a.clone.Release()
		}
	}
	if a.events != nil {
		_ = a.events.Close()
	}
	if a.Later != nil {
		a.putAside()
		a.Later(a.remove)
		return
	}
	a.remove()
}

// putAside makes Dir free for another job at once, before what is in it is
// removed.
func (a *attempt) putAside() {
	aside := filepath.Join(filepath.Dir(a.Dir), "ended-"+a.ID)
	if os.Rename(a.Dir, aside) != nil {
		return // remove finds it where it is
	}
	if a.clone != nil {
		a.clone.Dir = filepath.Join(aside, filepath.Base(a.clone.Dir))
	}
	a.Dir = aside
}

func (a *attempt) remove() {
	if a.clone != nil {
		if err := a.clone.Close(); err != nil {
			a.note(fmt.Sprintf("workspace not removed: %v", err))
		}
	}
	if err := workspace.RemoveAll(a.Dir); err != nil {
		a.note(fmt.Sprintf("temporary folder not removed: %v", err))
	}
}

// WithStop returns a context that is done when ctx is, or when stop is.
func WithStop(ctx, stop context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if stop.Err() != nil {
		cancel(context.Cause(stop)) // at once: AfterFunc would take a moment
	}
	forget := context.AfterFunc(stop, func() { cancel(context.Cause(stop)) })
	return ctx, func() { forget(); cancel(nil) }
}
