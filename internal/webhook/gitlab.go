package webhook

import (
	"cmp"
	"strconv"
	"strings"
)

type gitlabProject struct {
	ID            text   `json:"id"`
	Path          string `json:"path_with_namespace"`
	DefaultBranch string `json:"default_branch"`
}

type gitlabUser struct {
	ID       text   `json:"id"`
	Name     string `json:"name"`
	Username string `json:"username"`
	Email    string `json:"email"`
}

type gitlabMergeRequest struct {
	IID             int64         `json:"iid"`
	Action          string        `json:"action"`
	State           string        `json:"state"`
	OldRevision     string        `json:"oldrev"`
	SourceBranch    string        `json:"source_branch"`
	TargetBranch    string        `json:"target_branch"`
	SourceProjectID text          `json:"source_project_id"`
	TargetProjectID text          `json:"target_project_id"`
	Source          gitlabProject `json:"source"`
	Target          gitlabProject `json:"target"`
	Title           string        `json:"title"`
	Description     string        `json:"description"`
	Draft           bool          `json:"draft"`
	WorkInProgress  bool          `json:"work_in_progress"`
	MergeStatus     string        `json:"merge_status"`
	DetailedStatus  string        `json:"detailed_merge_status"`
	LastCommit      struct {
		ID string `json:"id"`
	} `json:"last_commit"`
	Labels []gitlabLabel `json:"labels"`
}

type gitlabLabel struct {
	Title string `json:"title"`
}

// gitlabEvent is what project hooks and system hooks send. System hooks have
// event_name only.
type gitlabEvent struct {
	ObjectKind string        `json:"object_kind"`
	EventName  string        `json:"event_name"`
	Project    gitlabProject `json:"project"`
	ProjectID  text          `json:"project_id"`
	User       gitlabUser    `json:"user"`

	Ref          string `json:"ref"`
	Before       string `json:"before"`
	After        string `json:"after"`
	CheckoutSHA  string `json:"checkout_sha"`
	UserID       text   `json:"user_id"`
	UserName     string `json:"user_name"`
	UserUsername string `json:"user_username"`
	UserEmail    string `json:"user_email"`

	PushOptions map[string]any `json:"push_options"`
	// Of a system hook's repository_update; a push with more than three refs has
	// nothing else. Merge requests have an object of this name.
	Changes any `json:"changes"`

	Path    string `json:"path_with_namespace"` // of project_rename, project_transfer
	OldPath string `json:"old_path_with_namespace"`

	Attributes struct {
		gitlabMergeRequest
		NoteID       text   `json:"id"`
		Note         string `json:"note"`
		NoteableType string `json:"noteable_type"` //nolint:misspell // GitLab's word
		System       bool   `json:"system"`
	} `json:"object_attributes"`
	MergeRequest *gitlabMergeRequest `json:"merge_request"`
	Labels       []gitlabLabel       `json:"labels"`
}

// readGitLab reads events of GitLab:
// https://docs.gitlab.com/user/project/integrations/webhook_events/ and
// https://docs.gitlab.com/administration/system_hooks/.
func readGitLab(e *Event, body []byte) error {
	var in gitlabEvent
	if err := decode(body, &in); err != nil {
		return err
	}
	e.Project = in.Project.event()
	e.Project.ID = cmp.Or(e.Project.ID, in.ProjectID.id())
	e.Actor = Actor{in.User.ID.id(), in.User.Username, in.User.Name, in.User.Email}
	switch cmp.Or(in.ObjectKind, in.EventName) {
	case "push", "tag_push":
		e.Kind = KindPush
		e.Actor = in.pusher()
		e.Changes = []RefChange{in.change()}
		e.Push = gitlabPushOptions(in.PushOptions)
	case "repository_update":
		e.Kind = KindPush
		e.Actor = in.pusher()
		e.Changes = gitlabChanges(in.Changes)
	case "project_rename", "project_transfer":
		e.Kind = KindRepository
		e.Project.Path, e.Project.OldPath = cmp.Or(in.Path, e.Project.Path), in.OldPath
	case "merge_request":
		e.Kind = KindMergeRequest
		e.setGitLabMergeRequest(&in.Attributes.gitlabMergeRequest, in.Labels)
		e.MergeRequest.Action = gitlabAction(&in)
	case "note":
		if in.MergeRequest == nil || in.Attributes.NoteableType != "MergeRequest" {
			return nil
		}
		e.Kind = KindComment
		e.setGitLabMergeRequest(in.MergeRequest, in.MergeRequest.Labels)
		e.MergeRequest.Action = ActionOther
		e.Comment = &Comment{in.Attributes.NoteID.id(), in.Attributes.Note, !in.Attributes.System && cmp.Or(in.Attributes.Action, "create") == "create"}
	}
	return nil
}

func (p gitlabProject) event() Project {
	return Project{ID: p.ID.id(), Path: p.Path, DefaultBranch: p.DefaultBranch}
}

func (in *gitlabEvent) pusher() Actor {
	return Actor{in.UserID.id(), in.UserUsername, in.UserName, in.UserEmail}
}

func (in *gitlabEvent) change() RefChange {
	c := RefChange{Ref: in.Ref, Before: in.Before, After: in.After}
	if !c.Deleted() {
		c.Commit = in.CheckoutSHA
	}
	return c
}

// gitlabChanges reads the list of changed refs of a repository_update.
func gitlabChanges(in any) []RefChange {
	list, _ := in.([]any)
	var changes []RefChange
	for _, entry := range list[:min(len(list), maxChanges)] {
		fields, _ := entry.(map[string]any)
		ref, _ := fields["ref"].(string)
		before, _ := fields["before"].(string)
		after, _ := fields["after"].(string)
		changes = append(changes, branchCommit(RefChange{Ref: ref, Before: before, After: after}))
	}
	return changes
}

// branchCommit fills in the commit of a change whose forge gives the value of the
// ref only: a tag may be an object of its own.
func branchCommit(c RefChange) RefChange {
	if strings.HasPrefix(c.Ref, "refs/heads/") && !c.Deleted() {
		c.Commit = c.After
	}
	return c
}

func (e *Event) setGitLabMergeRequest(in *gitlabMergeRequest, labels []gitlabLabel) {
	if target := in.Target.event(); target.Path != "" {
		// The project of a system hook's event may be another one.
		target.ID = cmp.Or(target.ID, in.TargetProjectID.id(), e.Project.ID)
		e.Project = target
	}
	m := &MergeRequest{
		Number: in.IID, RawAction: in.Action, Ref: "refs/merge-requests/" + strconv.FormatInt(in.IID, 10) + "/head",
		Head: in.LastCommit.ID, Previous: in.OldRevision, Source: in.SourceBranch, Target: in.TargetBranch,
		SourcePath: in.Source.Path, Origin: OriginFork, Closed: in.State == "closed" || in.State == "merged", Draft: in.Draft || in.WorkInProgress, Title: in.Title, Description: in.Description,
		Preparing: in.MergeStatus == "preparing" || in.DetailedStatus == "preparing",
	}
	switch { // the source of a deleted fork is null
	case in.TargetProjectID.id() == "":
		m.Origin = OriginUnknown
	case in.SourceProjectID == in.TargetProjectID:
		m.Origin = OriginSame
	}
	if len(labels) == 0 {
		labels = in.Labels
	}
	for _, l := range labels {
		m.Labels = append(m.Labels, l.Title)
	}
	e.MergeRequest = m
}

func gitlabAction(in *gitlabEvent) Action {
	changes, _ := in.Changes.(map[string]any)
	_, retargeted := changes["target_branch"]
	switch a := in.Attributes; a.Action {
	case "open":
		return ActionOpened
	case "reopen":
		return ActionReopened
	case "close":
		return ActionClosed
	case "merge":
		return ActionMerged
	case "update":
		switch {
		case a.OldRevision != "":
			return ActionPushed
		case retargeted:
			return ActionRetargeted
		}
		return ActionOther
	case "":
		switch a.State {
		case "closed", "locked":
			return ActionClosed
		case "merged":
			return ActionMerged
		}
		return ActionUnclear
	}
	return ActionOther
}

// gitlabPushOptions reads {"ci":{"skip":true,"variable":{"A=B":1}}}.
func gitlabPushOptions(in map[string]any) PushOptions {
	ci, _ := in["ci"].(map[string]any)
	_, skip := ci["skip"]
	return PushOptions{Skip: skip, Variables: gitlabPairs(ci["variable"]), Inputs: gitlabPairs(ci["input"])}
}

func gitlabPairs(in any) map[string]string {
	given, _ := in.(map[string]any)
	if one, is := in.(string); is {
		given = map[string]any{one: 1}
	}
	var pairs map[string]string
	for pair := range given {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" || len(pairs) >= maxPushOptions {
			continue
		}
		if pairs == nil {
			pairs = map[string]string{}
		}
		pairs[cut(name, maxName)] = cut(value, maxComment)
	}
	return pairs
}
