package forge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go"
)

// State is what a commit status shows. Each forge has its own words for it.
type State string

// The states.
const (
	StatePending  State = "pending" // waits, also for a person
	StateRunning  State = "running"
	StateSuccess  State = "success"
	StateFailed   State = "failed"
	StateError    State = "error" // not the code's fault
	StateCanceled State = "canceled"
	StateSkipped  State = "skipped"
)

// Status is the status of a commit in one context.
type Status struct {
	Commit      string
	Ref         string // full: refs/heads/main; "" if it is not known
	Context     string // refline/FLOW; required checks go by it
	State       State
	Description string // cut to what the forge takes
	URL         string // where a click leads
	PipelineID  int64  // of GitLab, if the commit has several pipelines there; else 0
}

const doingStatus = "set the commit status"

// SetStatus implements Repository. https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
func (g *GitLab) SetStatus(ctx context.Context, s Status) error {
	state := map[State]gitlab.BuildStateValue{
		StatePending: gitlab.Pending, StateRunning: gitlab.Running, StateSuccess: gitlab.Success, StateFailed: gitlab.Failed,
		StateError: gitlab.Failed, StateCanceled: gitlab.Canceled, StateSkipped: gitlab.Skipped,
	}[s.State]
	o := &gitlab.SetCommitStatusOptions{State: state, Name: &s.Context}
	if description := cutText(s.Description, 255); description != "" {
		o.Description = &description
	}
	if s.URL != "" {
		o.TargetURL = &s.URL
	}
	if ref := shortRef(s.Ref); ref != "" {
		o.Ref = &ref
	}
	if s.PipelineID != 0 {
		o.PipelineID = &s.PipelineID
	}
	_, _, err := g.client.Commits.SetCommitStatus(g.project, s.Commit, o, gitlab.WithContext(ctx))
	var answer *gitlab.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.StatusCode == http.StatusBadRequest &&
		strings.Contains(strings.ToLower(answer.Message), "cannot transition") {
		return nil // it has this state already
	}
	return g.answered(ctx, doingStatus, "the scope api and the role Developer", err)
}

// SetStatus implements Repository. https://docs.github.com/rest/commits/statuses
func (g *GitHub) SetStatus(ctx context.Context, s Status) error {
	_, err := g.call(ctx, doingStatus, http.MethodPost, "/repos/"+g.repository+"/statuses/"+s.Commit, hubStatus(s, 140), nil)
	return err
}

// SetStatus implements Repository. https://docs.gitea.com/api/ (repoCreateStatus)
func (g *Gitea) SetStatus(ctx context.Context, s Status) error {
	_, err := g.call(ctx, doingStatus, http.MethodPost, g.repo+"/statuses/"+s.Commit, hubStatus(s, 255), nil)
	return err
}

func hubStatus(s Status, most int) map[string]string {
	state := map[State]string{
		StatePending: "pending", StateRunning: "pending", StateSuccess: "success", StateFailed: "failure",
		StateError: "error", StateCanceled: "error", StateSkipped: "success",
	}[s.State]
	body := map[string]string{"state": state, "context": s.Context, "description": cutText(s.Description, most)}
	if s.URL != "" {
		body["target_url"] = s.URL
	}
	return body
}

// SetStatus implements Repository. https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/
func (b *Bitbucket) SetStatus(ctx context.Context, s Status) error {
	body := bucketStatus(s, "STOPPED")
	body["key"] = statusKey(s.Context)
	body["refname"] = shortRef(s.Ref)
	_, err := b.call(ctx, doingStatus, http.MethodPost, b.repo+"/commit/"+s.Commit+"/statuses/build", body, nil)
	return err
}

// SetStatus implements Repository. https://developer.atlassian.com/server/bitbucket/rest/ (builds)
func (b *BitbucketDC) SetStatus(ctx context.Context, s Status) error {
	body := bucketStatus(s, "CANCELLED")
	body["key"] = s.Context
	if s.Ref != "" {
		body["ref"] = s.Ref
	}
	_, err := b.call(ctx, doingStatus, http.MethodPost, b.repo+"/commits/"+s.Commit+"/builds", body, nil)
	return err
}

func bucketStatus(s Status, canceled string) map[string]string {
	state := map[State]string{
		StatePending: "INPROGRESS", StateRunning: "INPROGRESS", StateSuccess: "SUCCESSFUL", StateFailed: "FAILED",
		StateError: "FAILED", StateCanceled: canceled, StateSkipped: "SUCCESSFUL",
	}[s.State]
	return map[string]string{"state": state, "name": s.Context, "description": cutText(s.Description, 255), "url": s.URL}
}

// statusKey is a key that Bitbucket Cloud takes, which may have 40 characters.
func statusKey(context string) string {
	if len(context) <= 40 {
		return context
	}
	sum := sha256.Sum256([]byte(context))
	return strings.ToValidUTF8(context[:27], "") + "-" + hex.EncodeToString(sum[:6])
}

func shortRef(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if short, is := strings.CutPrefix(ref, prefix); is {
			return short
		}
	}
	return ref
}
