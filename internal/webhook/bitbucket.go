package webhook

import "cmp"

type cloudRepository struct {
	UUID       string `json:"uuid"`
	FullName   string `json:"full_name"`
	MainBranch *struct {
		Name string `json:"name"`
	} `json:"mainbranch"`
}

type cloudUser struct {
	UUID        string `json:"uuid"`
	AccountID   string `json:"account_id"`
	Nickname    string `json:"nickname"`
	Username    string `json:"username"`
	DisplayName string `json:"display_name"`
}

type cloudRef struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Target struct {
		Hash string `json:"hash"`
	} `json:"target"`
}

// full is the whole name of a ref, "" if it is neither a branch nor a tag.
func (r *cloudRef) full() string {
	switch r.Type {
	case "branch", "named_branch":
		return "refs/heads/" + r.Name
	case "tag", "annotated_tag":
		return "refs/tags/" + r.Name
	}
	return ""
}

type cloudSide struct {
	Commit struct {
		Hash string `json:"hash"`
	} `json:"commit"`
	Branch struct {
		Name string `json:"name"`
	} `json:"branch"`
	Repository *cloudRepository `json:"repository"`
}

type cloudEvent struct {
	Actor      cloudUser       `json:"actor"`
	Repository cloudRepository `json:"repository"`
	Push       struct {
		Changes []struct {
			Old    *cloudRef `json:"old"`
			New    *cloudRef `json:"new"`
			Forced bool      `json:"forced"`
		} `json:"changes"`
	} `json:"push"`
	PullRequest *struct {
		ID          int64     `json:"id"`
		Title       string    `json:"title"`
		Description string    `json:"description"`
		Draft       bool      `json:"draft"`
		State       string    `json:"state"`
		Source      cloudSide `json:"source"`
		Destination cloudSide `json:"destination"`
	} `json:"pullrequest"`
	Comment *struct {
		ID      text `json:"id"`
		Content struct {
			Raw string `json:"raw"`
		} `json:"content"`
	} `json:"comment"`
	Changes struct {
		FullName struct {
			Old string `json:"old"`
			New string `json:"new"`
		} `json:"full_name"`
	} `json:"changes"`
}

// readBitbucket reads events of Bitbucket Cloud:
// https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/.
func readBitbucket(e *Event, body []byte) error {
	var in cloudEvent
	if err := decode(body, &in); err != nil {
		return err
	}
	e.Project = Project{ID: in.Repository.UUID, Path: in.Repository.FullName}
	if in.Repository.MainBranch != nil {
		e.Project.DefaultBranch = in.Repository.MainBranch.Name
	}
	e.Actor = Actor{cmp.Or(in.Actor.AccountID, in.Actor.UUID), cmp.Or(in.Actor.Nickname, in.Actor.Username), in.Actor.DisplayName, ""}
	action := ActionOther
	switch e.Name {
	case "repo:push":
		e.Kind = KindPush
		in.readChanges(e)
		return nil
	case "repo:updated", "repo:transfer":
		e.Kind, e.Project.OldPath = KindRepository, in.Changes.FullName.Old
		return nil
	case "pullrequest:created":
		action = ActionOpened
	case "pullrequest:updated":
		action = ActionUnclear
	case "pullrequest:fulfilled":
		action = ActionMerged
	case "pullrequest:rejected":
		action = ActionClosed
	case "pullrequest:comment_created", "pullrequest:comment_updated", "pullrequest:comment_deleted":
		if in.Comment != nil {
			e.Comment = &Comment{in.Comment.ID.id(), in.Comment.Content.Raw, e.Name == "pullrequest:comment_created"}
		}
	case "pullrequest:approved", "pullrequest:unapproved", "pullrequest:changes_request_created", "pullrequest:changes_request_removed":
	default:
		return nil
	}
	in.readPullRequest(e, action)
	return nil
}

// closedState reports whether a pull request of Bitbucket has ended. Old samples
// have no state.
func closedState(state string) bool { return state != "" && state != "OPEN" && state != "DRAFT" }

func (in *cloudEvent) readChanges(e *Event) {
	for _, c := range in.Push.Changes[:min(len(in.Push.Changes), maxChanges)] {
		change := RefChange{Before: zeros, After: zeros, Forced: c.Forced}
		if c.Old != nil {
			change.Ref, change.Before = c.Old.full(), c.Old.Target.Hash
		}
		if c.New != nil {
			// The target of a tag is its commit.
			change.Ref, change.After, change.Commit = c.New.full(), c.New.Target.Hash, c.New.Target.Hash
		}
		if change.Ref != "" {
			e.Changes = append(e.Changes, change)
		}
	}
}

func (in *cloudEvent) readPullRequest(e *Event, action Action) {
	p := in.PullRequest
	if p == nil {
		return
	}
	e.Kind = KindMergeRequest
	if e.Comment != nil {
		e.Kind = KindComment
	}
	m := &MergeRequest{
		Number: p.ID, Action: action, RawAction: e.Name, Ref: "refs/heads/" + p.Source.Branch.Name, Head: p.Source.Commit.Hash,
		Source: p.Source.Branch.Name, Target: p.Destination.Branch.Name, Origin: OriginFork,
		Closed: closedState(p.State), Draft: p.Draft, Title: p.Title, Description: p.Description,
	}
	target := p.Destination.Repository
	if target == nil || target.UUID == "" {
		target = &in.Repository
	}
	switch source := p.Source.Repository; { // null if the fork is gone
	case target.UUID == "":
		m.Origin = OriginUnknown
	case source != nil:
		m.SourcePath = source.FullName
		if source.UUID == target.UUID {
			m.Origin = OriginSame
		}
	}
	e.MergeRequest = m
}
