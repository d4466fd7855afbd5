package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/source"
	"refline/internal/store"
)

var _ Starter = (*Launcher)(nil)

// StartFlow implements [Starter].
func (l *Launcher) StartFlow(ctx context.Context, start FlowStart) (store.Run, error) {
	f, err := l.Store.Flow(ctx, start.Flow)
	if err != nil {
		return store.Run{}, err
	}
	project, err := l.Store.Project(ctx, f.Project)
	if err != nil {
		return store.Run{}, err
	}
	n := Launch{Project: project, Flow: &f, Trigger: start.Trigger, Inputs: start.Inputs, Actor: start.Actor, Key: start.Key,
		Trust: secret.Trust{Level: secret.LevelProtected}} // who set the schedule may
	if !start.Due.IsZero() {
		n.Variables = logicalDate(start.Due)
		n.Inputs = DatedInputs(n.inputs(), start.Due)
	}
	return l.Launch(ctx, n)
}

// logicalDate are the variables with the date that a run is for, in the time zone
// of its schedule.
func logicalDate(due time.Time) []pipeline.Variable {
	return []pipeline.Variable{
		{Name: "REFLINE_LOGICAL_DATE", Value: due.Format(time.RFC3339), Raw: true},
		{Name: "REFLINE_LOGICAL_DAY", Value: due.Format(time.DateOnly), Raw: true},
	}
}

// DatedInputs puts the date that a run is for into the inputs that name it by
// $REFLINE_LOGICAL_DATE or $REFLINE_LOGICAL_DAY.
func DatedInputs(inputs map[string]any, due time.Time) map[string]any {
	out := maps.Clone(inputs)
	for name, value := range out {
		text, ok := value.(string)
		if !ok {
			continue
		}
		for _, v := range logicalDate(due) {
			text = strings.NewReplacer("${"+v.Name+"}", v.Value, "$"+v.Name, v.Value).Replace(text)
		}
		out[name] = text
	}
	return out
}

// StartChild implements [Starter]. A trigger of another project runs that
// project's pipeline file; else the child is compiled from the parent's commit.
func (l *Launcher) StartChild(ctx context.Context, start ChildStart) (store.Run, error) {
	parent, err := l.parent(ctx, start)
	if err != nil {
		return store.Run{}, err
	}
	if start.Job.Downstream.Project != "" {
		return l.startProject(ctx, start, parent)
	}
	ids, err := l.Store.NewIDs(ctx, "run", 1)
	if err != nil {
		return store.Run{}, err
	}
	code, end, err := l.parentCode(ctx, parent)
	if err != nil {
		return store.Run{}, err
	}
	defer end()
	d, err := definition.Resume(ctx, definition.Request{Source: code, Variables: parent.variables}, parent.facts, parent.pipeline).Child(ctx, definition.ChildRequest{
		Job: start.Job, ID: ids[0], Variables: parent.forwarded,
		Open: func(job, path string) (io.ReadCloser, error) {
			if l.Artifact == nil {
				return nil, errs.E(errs.NotFound, "job %s kept no artifacts", job)
			}
			return l.Artifact(ctx, start.Run, job, path)
		},
	})
	if err != nil {
		return store.Run{}, err
	}
	p, err := l.prepare(ctx, Launch{Project: parent.project, Flow: parent.flow}, d)
	if err != nil {
		return store.Run{}, err
	}
	kept := d.RunFacts()
	kept.Trust = parent.facts.Trust
	if kept.Image = parent.facts.Image; kept.Image != "" {
		p = definition.WithImage(p, kept.Image)
	}
	facts, err := json.Marshal(kept)
	if err != nil {
		return store.Run{}, err
	}
	return l.Scheduler.Create(ctx, NewRun{
		ID: ids[0], Project: parent.run.Project, Pipeline: p, Facts: facts, Source: pipeline.TriggerParent,
		Ref: parent.run.Ref, SHA: parent.run.SHA, Actor: parent.run.Actor, Priority: parent.run.Priority, Protected: parent.run.Protected,
		Parent: parent.run.ID, ParentPos: start.Pos, ParentAttempt: start.Attempt, Key: start.Key,
	})
}

// parentCode opens the files that a parent was compiled from.
func (l *Launcher) parentCode(ctx context.Context, parent *parentRun) (_ source.Project, end func(), err error) {
	if image := parent.facts.Image; image != "" {
		if l.Image == nil {
			return nil, nil, errs.E(errs.Invalid, "run %d is of the image %s, and this server reads none", parent.run.ID, image)
		}
		img, err := l.Image(ctx, parent.project, store.Flow{RefKind: store.RefImage, Ref: image})
		return img.Code, func() {}, err
	}
	remote, endRemote, err := l.Remote(ctx, parent.project)
	if err != nil {
		return nil, nil, err
	}
	commit := git.Resolved{Kind: git.KindCommit, Commit: parent.run.SHA}
	switch f := parent.facts.Facts; {
	case f.Tag != "":
		commit.Kind, commit.Name = git.KindTag, f.Tag
	case f.Branch != "":
		commit.Kind, commit.Name = git.KindBranch, f.Branch
	}
	if err := remote.Fetch(ctx, commit, 1); err != nil {
		endRemote()
		return nil, nil, err
	}
	code := source.NewCommit(ctx, remote, commit, source.Options{Includes: l.Includes(ctx, parent.project), Before: parent.facts.Facts.BeforeSHA, Origin: parent.project.URL})
	return code, func() {
		code.Close()
		endRemote()
	}, nil
}

// parentRun is what a child pipeline takes from its parent.
type parentRun struct {
	run       store.Run
	project   store.Project
	flow      *store.Flow
	facts     definition.RunFacts
	pipeline  *pipeline.Pipeline
	variables definition.Variables
	forwarded []pipeline.Variable
}

func (l *Launcher) parent(ctx context.Context, start ChildStart) (*parentRun, error) {
	p := &parentRun{run: start.Run}
	var err error
	if p.project, err = l.Store.Project(ctx, p.run.Project); err != nil {
		return nil, err
	}
	if p.run.Flow != 0 {
		if f, err := l.Store.Flow(ctx, p.run.Flow); err == nil {
			p.flow = &f
		}
	}
	body, err := l.Store.RunFacts(ctx, p.run.ID)
	if err == nil {
		err = json.Unmarshal(body, &p.facts)
	}
	if err != nil {
		return nil, err
	}
	if body, err = l.Store.PipelineBody(ctx, p.run.Pipeline); err != nil {
		return nil, err
	}
	if p.pipeline, err = decode(body); err != nil {
		return nil, err
	}
	if p.variables, err = l.Variables(ctx, p.project); err != nil {
		return nil, err
	}
	p.variables.Project = p.facts.Trust.Visible(p.variables.Project)
	var dotenv []pipeline.Variable
	if l.Dotenv != nil {
		if dotenv, err = l.Dotenv(ctx, p.run, start.Pos); err != nil {
			return nil, err
		}
	}
	below, above := p.facts.JobVariables(p.pipeline, start.Job, p.variables)
	p.forwarded, err = pipeline.ForwardedVariables(start.Job, below, dotenv, above)
	return p, err
}

// startProject starts the pipeline of another project of this server.
func (l *Launcher) startProject(ctx context.Context, start ChildStart, parent *parentRun) (store.Run, error) {
	t := start.Job.Downstream
	project, err := l.Store.ProjectNamed(ctx, t.Project)
	if errs.Is(err, errs.NotFound) {
		return store.Run{}, errs.E(errs.NotFound, "trigger of %s: this server has no project of that name; add it: refline project add URL --name %s", t.Project, t.Project)
	}
	if err != nil {
		return store.Run{}, err
	}
	n := Launch{
		Project: project, Trigger: pipeline.TriggerPipeline, Variables: parent.forwarded, Actor: parent.run.Actor, Inputs: t.Inputs, Key: start.Key,
		Trust: parent.facts.Trust, parent: parent.run.ID, parentPos: start.Pos, parentAttempt: start.Attempt,
	}
	if t.Branch != "" {
		n.Ref = git.Ref{Kind: git.KindBranch, Name: t.Branch}
	}
	run, err := l.Launch(ctx, n)
	if err != nil {
		return run, fmt.Errorf("trigger of %s: %w", t.Project, err)
	}
	return run, nil
}
