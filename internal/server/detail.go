package server

import (
	"cmp"
	"context"
	"encoding/json"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/store"
)

const (
	mostAttempts = 2000
	mostActs     = 20
)

// runDetail returns all that explains a run.
func (s *Server) runDetail(ctx context.Context, id int64) (api.RunDetail, error) {
	var out api.RunDetail
	r, err := s.store.Run(ctx, id)
	if err != nil {
		return out, err
	}
	if out.Run, err = s.showRun(ctx, id); err != nil {
		return out, err
	}
	p, err := s.pipelineOf(ctx, r)
	if err != nil {
		return out, err
	}
	out.Stages = p.Stages
	if err = s.addUsual(ctx, r, &out.Run); err != nil {
		return out, err
	}
	if err = s.addSource(ctx, r, &out); err != nil {
		return out, err
	}
	if out.Before, out.After, err = s.store.Neighbours(ctx, r); err != nil {
		return out, err
	}
	if out.Failing, err = s.failingSince(ctx, r); err != nil {
		return out, err
	}
	if out.Failures, err = s.failuresOf(ctx, r, mostFailures, failureLines); err != nil {
		return out, err
	}
	if out.Attempts, err = s.wireAttempts(ctx, r, out.Run.Jobs); err != nil {
		return out, err
	}
	children, err := s.store.Runs(ctx, store.RunFilter{Parent: id, Limit: 100})
	if err != nil {
		return out, err
	}
	for _, c := range children {
		out.Children = append(out.Children, c.ID)
	}
	events, err := s.store.RunAudit(ctx, auditedRun(id), mostActs)
	for _, e := range events {
		out.Acts = append(out.Acts, api.Act{At: e.At, Actor: e.Actor, Action: e.Action, Detail: e.Detail})
	}
	return out, err
}

// addSource adds where the code comes from, and with what the run was started.
// failingLook is how many runs are looked at to find since when they fail.
const failingLook = 100

// failingSince looks back from a run that failed to the last good one of the same flow
// and ref. Runs that were canceled or skipped change nothing.
func (s *Server) failingSince(ctx context.Context, r store.Run) (*api.FailingSince, error) {
	if r.Status != pipeline.StatusFailed || r.Parent != 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	list, err := s.store.Runs(ctx, store.RunFilter{Project: r.Project, Flow: r.Flow, Ref: r.Ref, Before: r.ID + 1, Limit: failingLook})
	if err != nil {
		return nil, err
	}
	out := &api.FailingSince{More: len(list) == failingLook}
	for _, x := range list {
		if x.Parent != 0 || x.Line() != r.Line() {
			continue
		}
		if x.Status == pipeline.StatusSuccess || x.Status == pipeline.StatusManual {
			out.Good, out.GoodCommit, out.More = x.ID, x.SHA, false
			break
		}
		if x.Status == pipeline.StatusFailed {
			out.Run, out.Commit, out.Created = x.ID, x.SHA, x.Created
			out.Failed++
		}
	}
	return out, nil
}

func (s *Server) addSource(ctx context.Context, r store.Run, out *api.RunDetail) error {
	facts, err := s.runFacts(ctx, r.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	f := facts.Facts
	out.Source = api.RunSource{Repository: f.Remote, Path: f.ConfigPath, Author: f.Author, Committed: f.Committed, Protected: r.Protected}
	switch {
	case f.Tag != "":
		out.Source.RefKind = string(git.KindTag)
	case f.Branch != "":
		out.Source.RefKind = string(git.KindBranch)
	default:
		out.Source.RefKind = string(git.KindCommit)
	}
	out.Inputs, out.Variables = facts.Inputs, map[string]string{}
	for _, v := range facts.Variables {
		out.Variables[v.Name] = v.Value
	}
	if r.Flow == 0 {
		return nil
	}
	flow, err := s.store.Flow(ctx, r.Flow)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	out.Source.Path, out.Source.Runtime = cmp.Or(out.Source.Path, flow.Path), flow.Runtime
	return nil
}

// wireAttempts are the attempts of a run's jobs, of very many the newest.
func (s *Server) wireAttempts(ctx context.Context, r store.Run, jobs []api.Job) ([]api.Attempt, error) {
	list, err := s.store.RunAttempts(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	list = list[max(len(list)-mostAttempts, 0):]
	ids := make([]int64, len(list))
	for i, a := range list {
		ids[i] = a.ID
	}
	results, err := s.store.AttemptResults(ctx, ids)
	if err != nil {
		return nil, err
	}
	kept := map[int64]bool{}
	for _, result := range results {
		var body struct {
			Artifacts bool `json:"artifacts"`
		}
		if err := json.Unmarshal([]byte(result.Body), &body); err != nil {
			return nil, err
		}
		kept[result.Attempt] = body.Artifacts
	}
	var out []api.Attempt
	for i, a := range list {
		if a.Pos >= len(jobs) {
			continue
		}
		last := i == len(list)-1 || list[i+1].Pos != a.Pos
		out = append(out, api.Attempt{Job: jobs[a.Pos].Name, Attempt: a.Attempt, State: string(a.State), Started: a.Started, Finished: a.Finished, Artifacts: kept[a.ID], Last: last})
	}
	return out, nil
}
