// Package webhook verifies and reads what forges send to a server: pushes, merge
// requests, comments. [Verify] decides over the raw bytes whether a delivery is
// from the forge, [Read] makes one form of what all forges send.
//
// It is pure: it asks no forge, keeps nothing and has no clock. It promises that
// no input makes it panic, that what it returns is bounded, and that no secret
// is in an error. An event is a hint: what is at a ref only git knows.
package webhook

import (
	"net/textproto"
	"strings"
)

// Forge is the kind of forge that a trigger is for.
type Forge string

// The forges. Gitea and Forgejo send the same with other headers; of Bitbucket,
// Cloud and Data Center have little in common.
const (
	GitLab      Forge = "gitlab"
	GitHub      Forge = "github"
	Gitea       Forge = "gitea"
	Forgejo     Forge = "forgejo"
	Bitbucket   Forge = "bitbucket" // Cloud
	BitbucketDC Forge = "bitbucket-dc"
)

// Forges lists all forges.
func Forges() []Forge { return []Forge{GitLab, GitHub, Gitea, Forgejo, Bitbucket, BitbucketDC} }

// Delivery is one request of a forge, as it arrived.
type Delivery struct {
	Header textproto.MIMEHeader // an http.Header converts to it
	Body   []byte               // raw: signatures are over these bytes
}

// MaxBody is how many bytes a body may have: GitHub and GitLab send up to 25 MB.
const MaxBody = 26 << 20

// Kind is what an event means here.
type Kind string

// The kinds.
const (
	KindPush         Kind = "push" // refs changed, maybe; Changes may be empty
	KindMergeRequest Kind = "merge_request"
	KindComment      Kind = "comment"    // on a merge request
	KindRepository   Kind = "repository" // renamed, moved, another default branch
	KindRerun        Kind = "rerun"      // a person asks for the checks of Changes[0] again
	KindTest         Kind = "test"       // sent to try the hook
	KindIgnored      Kind = "ignored"    // nothing follows; the answer is 2xx all the same
)

// Event is a delivery in the form that all forges share. Its texts come from
// outside and are not to be trusted; long ones are cut.
type Event struct {
	Forge        Forge         `json:"forge"`
	Kind         Kind          `json:"kind"`
	Name         string        `json:"name"`               // as the forge's header has it
	Delivery     string        `json:"delivery,omitempty"` // id, which a retry keeps; "" if there is none
	Project      Project       `json:"project"`
	Changes      []RefChange   `json:"changes,omitempty"`
	MergeRequest *MergeRequest `json:"merge_request,omitempty"`
	Comment      *Comment      `json:"comment,omitempty"`
	Actor        Actor         `json:"actor"`
	Push         PushOptions   `json:"push_options"`
}

// Project is the repository of an event: that of the target for a merge request.
type Project struct {
	ID            string `json:"id,omitempty"` // numeric, of Bitbucket Cloud a UUID; survives renames
	Path          string `json:"path,omitempty"`
	OldPath       string `json:"old_path,omitempty"` // of a rename or transfer, if known
	DefaultBranch string `json:"default_branch,omitempty"`
}

// RefChange is what an event says of a ref. Before and After are the values of
// the ref, of an annotated tag its object; all zeros if the ref does not exist, "" if
// the event does not say.
type RefChange struct {
	Ref    string `json:"ref"` // refs/heads/main
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Commit string `json:"commit,omitempty"` // peeled; "" if the event does not say
	Forced bool   `json:"forced,omitempty"` // only GitHub and Bitbucket Cloud say so
}

// Deleted reports whether the event says that the ref is gone.
func (c RefChange) Deleted() bool { return IsZero(c.After) }

// Created reports whether the event says that the ref is new.
func (c RefChange) Created() bool { return IsZero(c.Before) && !c.Deleted() }

// IsZero reports whether text is the object id of all zeros.
func IsZero(text string) bool { return text != "" && strings.Trim(text, "0") == "" }

// Action is what happened to a merge request.
type Action string

// The actions.
const (
	ActionOpened     Action = "opened"
	ActionPushed     Action = "pushed"     // the event says that the head moved
	ActionRetargeted Action = "retargeted" // the event says that the target is another
	ActionUnclear    Action = "unclear"    // maybe one of these: compare with what is stored
	ActionReopened   Action = "reopened"
	ActionClosed     Action = "closed"
	ActionMerged     Action = "merged"
	ActionOther      Action = "other" // labels, title, draft, approval, …
)

// Origin says whether a merge request comes from another repository.
type Origin string

// The origins. The zero value is not used.
const (
	OriginSame    Origin = "same"
	OriginFork    Origin = "fork"
	OriginUnknown Origin = "unknown" // the event does not say
)

// MergeRequest is a merge request, or a pull request. Of a comment on GitHub and
// Gitea only Number is known.
type MergeRequest struct {
	Number    int64  `json:"number"`
	Action    Action `json:"action"`
	RawAction string `json:"raw_action,omitempty"` // in the forge's words

	// Ref is where the forge keeps the head. Bitbucket Cloud keeps none: there it
	// is the source branch, in SourcePath.
	Ref        string `json:"ref,omitempty"`
	Head       string `json:"head,omitempty"`     // of Bitbucket Cloud its first 12 characters
	Previous   string `json:"previous,omitempty"` // the head before, if the event says
	Source     string `json:"source,omitempty"`   // branches
	Target     string `json:"target,omitempty"`
	SourcePath string `json:"source_path,omitempty"` // of the repository with the source branch, if known
	Origin     Origin `json:"origin"`

	Closed      bool     `json:"closed,omitempty"` // or merged: labels change after that too
	Draft       bool     `json:"draft,omitempty"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Labels      []string `json:"labels,omitempty"`
	// Preparing says that Ref may not exist yet (GitLab).
	Preparing bool `json:"preparing,omitempty"`
}

// Comment is a comment on the event's merge request.
type Comment struct {
	ID      string `json:"id,omitempty"`
	Body    string `json:"body,omitempty"`
	Created bool   `json:"created,omitempty"` // new, and by a person; else edited, deleted or by the forge
}

// Actor is who did it.
type Actor struct {
	ID    string `json:"id,omitempty"`
	Login string `json:"login,omitempty"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// PushOptions are what git push -o gave; only GitLab's push events have them.
type PushOptions struct {
	Skip      bool              `json:"skip,omitempty"`      // ci.skip
	Variables map[string]string `json:"variables,omitempty"` // ci.variable="NAME=value"
	Inputs    map[string]string `json:"inputs,omitempty"`    // ci.input="name=value"
}
