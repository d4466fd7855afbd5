package scheduler

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/store"
	"refline/internal/webhook"
)

func TestRequestOfWantedRuns(t *testing.T) {
	t.Parallel()
	p := store.Project{ID: 1, Name: "p"}
	n := Wanted{
		Source: pipeline.TriggerPush, Ref: git.Ref{Kind: git.KindBranch, Name: "main"}, Commit: sha("b"), Before: sha("a"),
		Actor: webhook.Actor{ID: "4", Login: "ann", Email: "ann@example.com"}, Variables: map[string]string{"B": "$HOME", "A": "1"}, Inputs: map[string]string{"n": "1"},
		OpenRequests: []string{"g/p!3", "g/p!4"},
	}.Request(p, "k")
	want := Launch{
		Project: p, Ref: git.Ref{Kind: git.KindBranch, Name: "main"}, Commit: sha("b"), Before: sha("a"), Trigger: pipeline.TriggerPush, Actor: "ann", Key: "k",
		Inputs: map[string]any{"n": "1"},
		Variables: []pipeline.Variable{
			{Name: "A", Value: "1", Raw: true}, {Name: "B", Value: "$HOME", Raw: true}, {Name: "GITLAB_USER_ID", Value: "4", Raw: true},
			{Name: "GITLAB_USER_LOGIN", Value: "ann", Raw: true}, {Name: "GITLAB_USER_NAME", Value: "ann", Raw: true},
			{Name: "GITLAB_USER_EMAIL", Value: "ann@example.com", Raw: true}, {Name: "CI_OPEN_MERGE_REQUESTS", Value: "g/p!3,g/p!4", Raw: true},
		},
	}
	if diff := gocmp.Diff(want, n, gocmp.AllowUnexported(Launch{})); diff != "" {
		t.Errorf("a push (-want +got):\n%s", diff)
	}

	m := webhook.MergeRequest{Number: 7, Ref: "refs/merge-requests/7/head", Source: "main", Target: "rel", Title: "$(id)", Labels: []string{"a", "b"}, Draft: true, SourcePath: "f/p"}
	w := Wanted{Source: pipeline.TriggerMergeRequest, Ref: git.Ref{Kind: git.KindMergeRequest, Name: "7"}, Commit: sha("b"), MergeRequest: &m, Approval: true}
	n = w.Request(p, "k")
	if n.Ref != (git.Ref{Kind: git.KindMergeRequest, Name: "7"}) || n.Target != "rel" {
		t.Errorf("a fork's branch counts as one of ours: %+v", n.Ref)
	}
	got := map[string]string{}
	for _, v := range n.Variables {
		if !v.Raw {
			t.Errorf("%s would be expanded", v.Name)
		}
		got[v.Name] = v.Value
	}
	for name, value := range map[string]string{
		"CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_TITLE": "$(id)", "CI_MERGE_REQUEST_LABELS": "a,b", "CI_MERGE_REQUEST_DRAFT": "true",
		"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "main", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "rel", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "f/p", "CI_COMMIT_REF_NAME": "main",
		"CI_MERGE_REQUEST_REF_PATH": "refs/merge-requests/7/head", "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
	} {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	w.Approval = false
	if n := w.Request(p, "k"); n.Ref != (git.Ref{Kind: git.KindBranch, Name: "main"}) {
		t.Errorf("ref %+v", n.Ref)
	}
}
