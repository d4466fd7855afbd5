package webhook

import (
	"cmp"
	"strconv"
	"strings"
)

// Repositories, users and pull requests of GitHub, Gitea and Forgejo have one
// shape.

type hubRepository struct {
	ID            text   `json:"id"`
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

func (r hubRepository) event() Project {
	return Project{ID: r.ID.id(), Path: r.FullName, DefaultBranch: r.DefaultBranch}
}

type hubUser struct {
	ID       text   `json:"id"`
	Login    string `json:"login"`
	Username string `json:"username"`
	Name     string `json:"name"`
	FullName string `json:"full_name"`
	Email    string `json:"email"`
}

func (u hubUser) event() Actor {
	return Actor{u.ID.id(), cmp.Or(u.Login, u.Username), cmp.Or(u.FullName, u.Name), u.Email}
}

type hubBranch struct {
	Ref    string         `json:"ref"`
	SHA    string         `json:"sha"`
	RepoID text           `json:"repo_id"` // Gitea
	Repo   *hubRepository `json:"repo"`
}

func (b hubBranch) repository() string {
	if b.Repo != nil && b.Repo.ID != "" {
		return b.Repo.ID.id()
	}
	return b.RepoID.id()
}

type hubPullRequest struct {
	Number int64     `json:"number"`
	State  string    `json:"state"`
	Merged bool      `json:"merged"`
	Draft  bool      `json:"draft"`
	Title  string    `json:"title"`
	Body   string    `json:"body"`
	Head   hubBranch `json:"head"`
	Base   hubBranch `json:"base"`
	Labels []struct {
		Name string `json:"name"`
	} `json:"labels"`
}

func (in *hubPullRequest) event(number int64) *MergeRequest {
	number = cmp.Or(in.Number, number)
	m := &MergeRequest{
		Number: number, Ref: pullRef(number), Head: in.Head.SHA, Source: in.Head.Ref, Target: in.Base.Ref,
		Origin: OriginFork, Closed: in.Merged || in.State == "closed", Draft: in.Draft, Title: in.Title, Description: in.Body,
	}
	if in.Head.Repo != nil {
		m.SourcePath = in.Head.Repo.FullName
	}
	switch source, target := in.Head.repository(), in.Base.repository(); {
	case target == "":
		m.Origin = OriginUnknown
	case source == target:
		m.Origin = OriginSame
	}
	for _, l := range in.Labels {
		m.Labels = append(m.Labels, l.Name)
	}
	return m
}

func pullRef(number int64) string { return "refs/pull/" + strconv.FormatInt(number, 10) + "/head" }

// hubEvent has the fields of all events that are read.
type hubEvent struct {
	Action     string        `json:"action"`
	Number     int64         `json:"number"`
	Repository hubRepository `json:"repository"`
	Sender     hubUser       `json:"sender"`

	Ref     string `json:"ref"`
	RefType string `json:"ref_type"`
	SHA     string `json:"sha"` // of Gitea's create: the value of the ref
	Before  string `json:"before"`
	After   string `json:"after"`
	Forced  bool   `json:"forced"`
	Head    *struct {
		ID string `json:"id"`
	} `json:"head_commit"`
	Pusher hubUser `json:"pusher"`

	PullRequest *hubPullRequest `json:"pull_request"`
	Changes     struct {
		Base       any `json:"base"` // GitHub: a retarget
		Ref        any `json:"ref"`  // Gitea: a retarget
		Repository struct {
			Name struct {
				From string `json:"from"`
			} `json:"name"`
		} `json:"repository"`
		Owner struct {
			From struct {
				User         hubUser `json:"user"`
				Organization hubUser `json:"organization"`
			} `json:"from"`
		} `json:"owner"`
	} `json:"changes"`

	Issue *struct {
		Number      int64  `json:"number"`
		Title       string `json:"title"`
		PullRequest any    `json:"pull_request"`
	} `json:"issue"`
	IsPull  bool `json:"is_pull"`
	Comment *struct {
		ID   text    `json:"id"`
		Body string  `json:"body"`
		User hubUser `json:"user"`
	} `json:"comment"`

	MergeGroup *struct {
		HeadSHA string `json:"head_sha"`
		HeadRef string `json:"head_ref"`
		BaseSHA string `json:"base_sha"`
	} `json:"merge_group"`
	CheckRun *struct {
		HeadSHA    string `json:"head_sha"`
		CheckSuite struct {
			HeadBranch string `json:"head_branch"`
		} `json:"check_suite"`
	} `json:"check_run"`
	CheckSuite *struct {
		HeadSHA    string `json:"head_sha"`
		HeadBranch string `json:"head_branch"`
	} `json:"check_suite"`
}

func (in *hubEvent) change() RefChange {
	c := RefChange{Ref: in.Ref, Before: in.Before, After: in.After, Forced: in.Forced}
	switch {
	case c.Deleted():
	case in.Head != nil:
		c.Commit = in.Head.ID
	default:
		c = branchCommit(c)
	}
	return c
}

// announced is the change of a create or delete event, which has the short name
// of the ref.
func (in *hubEvent) announced(deleted bool) []RefChange {
	prefix := map[string]string{"branch": "refs/heads/", "tag": "refs/tags/"}[in.RefType]
	if prefix == "" {
		return nil
	}
	c := RefChange{Ref: prefix + in.Ref, After: in.SHA}
	if deleted {
		c.After = zeros
	}
	return []RefChange{c}
}

const zeros = "0000000000000000000000000000000000000000"

// readGitHub reads events of GitHub: https://docs.github.com/webhooks/webhook-events-and-payloads.
func readGitHub(e *Event, body []byte) error {
	var in hubEvent
	if err := decode(body, &in); err != nil {
		return err
	}
	e.Project, e.Actor = in.Repository.event(), in.Sender.event()
	switch e.Name {
	case "ping":
		e.Kind = KindTest
	case "push":
		e.Kind, e.Changes = KindPush, []RefChange{in.change()}
		if in.Pusher.Email != "" {
			e.Actor.Email = in.Pusher.Email
		}
	case "create", "delete":
		e.Kind, e.Changes = KindPush, in.announced(e.Name == "delete")
	case "repository":
		switch in.Action {
		case "renamed", "transferred", "edited":
			e.Kind, e.Project.OldPath = KindRepository, in.oldPath()
		}
	case "pull_request":
		if in.PullRequest != nil {
			e.Kind, e.MergeRequest = KindMergeRequest, in.PullRequest.event(in.Number)
			e.MergeRequest.RawAction, e.MergeRequest.Action = in.Action, in.pullAction()
			if e.MergeRequest.Action == ActionPushed {
				e.MergeRequest.Previous = in.Before
			}
		}
	case "issue_comment":
		in.readComment(e)
	case "merge_group":
		if in.MergeGroup != nil && in.Action == "checks_requested" {
			e.Kind = KindPush
			e.Changes = []RefChange{{Ref: in.MergeGroup.HeadRef, Before: in.MergeGroup.BaseSHA, After: in.MergeGroup.HeadSHA, Commit: in.MergeGroup.HeadSHA}}
		}
	case "check_run", "check_suite":
		in.readRerun(e)
	}
	return nil
}

func (in *hubEvent) pullAction() Action {
	switch in.Action {
	case "opened":
		return ActionOpened
	case "synchronize", "synchronized":
		return ActionPushed
	case "reopened":
		return ActionReopened
	case "closed":
		if in.PullRequest.Merged {
			return ActionMerged
		}
		return ActionClosed
	case "edited":
		if in.Changes.Base != nil || in.Changes.Ref != nil {
			return ActionRetargeted
		}
	}
	return ActionOther
}

// oldPath is the repository before it was renamed or transferred.
func (in *hubEvent) oldPath() string {
	owner, name, _ := strings.Cut(in.Repository.FullName, "/")
	from := in.Changes.Owner.From
	oldName, oldOwner := in.Changes.Repository.Name.From, cmp.Or(from.User.Login, from.Organization.Login)
	if oldName == "" && oldOwner == "" {
		return ""
	}
	return cmp.Or(oldOwner, owner) + "/" + cmp.Or(oldName, name)
}

// readComment reads a comment, if it is on a pull request.
func (in *hubEvent) readComment(e *Event) {
	if in.Issue == nil || in.Comment == nil || !in.IsPull && in.Issue.PullRequest == nil {
		return
	}
	e.Kind = KindComment
	e.MergeRequest = &MergeRequest{Number: in.Issue.Number, Ref: pullRef(in.Issue.Number), Title: in.Issue.Title, Origin: OriginUnknown}
	if in.PullRequest != nil && in.PullRequest.Head.SHA != "" { // newer Gitea
		e.MergeRequest = in.PullRequest.event(in.Issue.Number)
	}
	e.MergeRequest.Action, e.MergeRequest.RawAction = ActionOther, in.Action
	e.Comment = &Comment{in.Comment.ID.id(), in.Comment.Body, in.Action == "created"}
}

// readRerun reads the button that runs checks again, which apps of GitHub get.
func (in *hubEvent) readRerun(e *Event) {
	if in.Action != "rerequested" {
		return
	}
	branch, commit := "", ""
	switch {
	case in.CheckRun != nil:
		branch, commit = in.CheckRun.CheckSuite.HeadBranch, in.CheckRun.HeadSHA
	case in.CheckSuite != nil:
		branch, commit = in.CheckSuite.HeadBranch, in.CheckSuite.HeadSHA
	}
	if branch != "" {
		e.Kind, e.Changes = KindRerun, []RefChange{{Ref: "refs/heads/" + branch, After: commit, Commit: commit}}
	}
}
