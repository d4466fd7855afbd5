package scheduler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/store"
	"refline/internal/webhook"
)

// Request is the launch of a wanted run. Whoever launches one with Approval gives
// it no secrets, no protected runner and no write to caches.
func (w Wanted) Request(p store.Project, key string) Launch {
	n := Launch{
		Project: p, Ref: w.Ref, Commit: w.Commit, Before: w.Before, Trigger: w.Source, Actor: cmp.Or(w.Actor.Login, w.Actor.Name),
		Variables: w.variables(), Key: key,
	}
	for name, value := range w.Inputs {
		if n.Inputs == nil {
			n.Inputs = map[string]any{}
		}
		n.Inputs[name] = value
	}
	if m := w.MergeRequest; m != nil {
		n.Target = m.Target
		// The name of a fork's branch says nothing here: it may be that of a
		// protected one.
		n.Ref = git.Ref{Kind: git.KindMergeRequest, Name: strconv.FormatInt(m.Number, 10)}
		if !w.Approval {
			n.Ref = git.Ref{Kind: git.KindBranch, Name: m.Source}
		}
	}
	return n
}

// variables are those that only events know, and those of the push options. They
// are texts from outside, so nothing in them is expanded.
func (w Wanted) variables() []pipeline.Variable {
	var list []pipeline.Variable
	set := func(name, value string) {
		if value != "" {
			list = append(list, pipeline.Variable{Name: name, Value: value, Raw: true})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Variables)) {
		set(name, w.Variables[name])
	}
	set("GITLAB_USER_ID", w.Actor.ID)
	set("GITLAB_USER_LOGIN", w.Actor.Login)
	set("GITLAB_USER_NAME", cmp.Or(w.Actor.Name, w.Actor.Login))
	set("GITLAB_USER_EMAIL", w.Actor.Email)
	set("CI_OPEN_MERGE_REQUESTS", strings.Join(w.OpenRequests, ","))
	if w.MergeRequest != nil {
		requestVariables(w.MergeRequest, set)
	}
	return list
}

// longestDescription is how much of a description GitLab puts into its variable.
const longestDescription = 2700

func requestVariables(m *webhook.MergeRequest, set func(name, value string)) {
	number := strconv.FormatInt(m.Number, 10)
	set("CI_MERGE_REQUEST_ID", number)
	set("CI_MERGE_REQUEST_IID", number)
	set("CI_MERGE_REQUEST_REF_PATH", m.Ref)
	set("CI_MERGE_REQUEST_EVENT_TYPE", "detached")
	set("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", m.Source)
	set("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", m.Target)
	set("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", m.SourcePath)
	set("CI_MERGE_REQUEST_TITLE", m.Title)
	set("CI_MERGE_REQUEST_DESCRIPTION", m.Description)
	set("CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED", fmt.Sprint(len(m.Description) >= longestDescription))
	set("CI_MERGE_REQUEST_LABELS", strings.Join(m.Labels, ","))
	set("CI_MERGE_REQUEST_DRAFT", fmt.Sprint(m.Draft))
	set("CI_COMMIT_REF_NAME", m.Source)
}
