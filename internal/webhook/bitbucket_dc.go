package webhook

import (
	"strconv"
	"strings"
)

const pingDC = "diagnostics:ping"

type dcRepository struct {
	ID      text   `json:"id"`
	Slug    string `json:"slug"`
	Project struct {
		Key string `json:"key"`
	} `json:"project"`
}

func (r *dcRepository) path() string {
	if r.Slug == "" {
		return ""
	}
	return r.Project.Key + "/" + r.Slug
}

type dcRef struct {
	ID           string        `json:"id"`
	LatestCommit string        `json:"latestCommit"`
	Repository   *dcRepository `json:"repository"`
}

func (r *dcRef) branch() string { return strings.TrimPrefix(r.ID, "refs/heads/") }

type dcEvent struct {
	Actor struct {
		ID          text   `json:"id"`
		Name        string `json:"name"`
		DisplayName string `json:"displayName"`
		Email       string `json:"emailAddress"`
	} `json:"actor"`
	Repository *dcRepository `json:"repository"`
	New        *dcRepository `json:"new"` // of repo:modified
	Old        *dcRepository `json:"old"`
	Changes    []struct {
		RefID string `json:"refId"`
		From  string `json:"fromHash"`
		To    string `json:"toHash"`
		Type  string `json:"type"`
		Ref   struct {
			ID string `json:"id"`
		} `json:"ref"`
	} `json:"changes"`
	PullRequest *struct {
		ID          int64  `json:"id"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Draft       bool   `json:"draft"`
		State       string `json:"state"`
		From        dcRef  `json:"fromRef"`
		To          dcRef  `json:"toRef"`
	} `json:"pullRequest"`
	PreviousFrom   string `json:"previousFromHash"`
	PreviousTarget *dcRef `json:"previousTarget"`
	Comment        *struct {
		ID   text   `json:"id"`
		Text string `json:"text"`
	} `json:"comment"`
}

// readBitbucketDC reads events of Bitbucket Data Center:
// https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html.
func readBitbucketDC(e *Event, body []byte) error {
	var in dcEvent
	if err := decode(body, &in); err != nil {
		return err
	}
	e.setProject(in.Repository)
	e.Actor = Actor{in.Actor.ID.id(), in.Actor.Name, in.Actor.DisplayName, in.Actor.Email}
	switch {
	case e.Name == "repo:refs_changed", e.Name == "mirror:repo_synchronized":
		e.Kind = KindPush // of a mirror: the look is at the repository that the project reads from
		in.readChanges(e)
	case e.Name == "repo:modified":
		e.Kind = KindRepository
		e.setProject(in.New)
		if in.Old != nil {
			e.Project.OldPath = in.Old.path()
		}
	case strings.HasPrefix(e.Name, "pr:") && in.PullRequest != nil:
		in.readPullRequest(e)
	}
	return nil
}

func (e *Event) setProject(r *dcRepository) {
	if r != nil {
		e.Project.ID, e.Project.Path = r.ID.id(), r.path()
	}
}

func (in *dcEvent) readChanges(e *Event) {
	for _, c := range in.Changes[:min(len(in.Changes), maxChanges)] {
		change := RefChange{Ref: c.RefID, Before: c.From, After: c.To}
		if change.Ref == "" {
			change.Ref = c.Ref.ID
		}
		switch c.Type {
		case "ADD":
			change.Before = zeros
		case "DELETE":
			change.After = zeros
		}
		e.Changes = append(e.Changes, branchCommit(change))
	}
}

func (in *dcEvent) readPullRequest(e *Event) {
	p := in.PullRequest
	e.Kind = KindMergeRequest
	e.setProject(p.To.Repository)
	m := &MergeRequest{
		Number: p.ID, Action: in.pullAction(e.Name), RawAction: e.Name, Ref: "refs/pull-requests/" + strconv.FormatInt(p.ID, 10) + "/from",
		Head: p.From.LatestCommit, Previous: in.PreviousFrom, Source: p.From.branch(), Target: p.To.branch(),
		Origin: OriginFork, Closed: closedState(p.State), Draft: p.Draft, Title: p.Title, Description: p.Description,
	}
	switch from, to := p.From.Repository, p.To.Repository; {
	case to == nil || to.ID.id() == "":
		m.Origin = OriginUnknown
	case from != nil:
		m.SourcePath = from.path()
		if from.ID == to.ID {
			m.Origin = OriginSame
		}
	}
	e.MergeRequest = m
	if in.Comment != nil && strings.HasPrefix(e.Name, "pr:comment:") {
		e.Kind = KindComment
		e.Comment = &Comment{in.Comment.ID.id(), in.Comment.Text, e.Name == "pr:comment:added"}
	}
}

func (in *dcEvent) pullAction(name string) Action {
	switch name {
	case "pr:opened":
		return ActionOpened
	case "pr:reopened":
		return ActionReopened
	case "pr:from_ref_updated":
		return ActionPushed
	case "pr:modified":
		if in.PreviousTarget != nil && in.PreviousTarget.ID != "" && in.PreviousTarget.ID != in.PullRequest.To.ID {
			return ActionRetargeted
		}
	case "pr:merged":
		return ActionMerged
	case "pr:declined", "pr:deleted":
		return ActionClosed
	}
	return ActionOther
}
