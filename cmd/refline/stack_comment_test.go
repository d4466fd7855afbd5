package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"refline/internal/stack"
)

func TestPlansAreCommented(t *testing.T) {
	t.Parallel()
	var said string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, "[]")
			return
		}
		body, _ := io.ReadAll(r.Body)
		said = r.Method + " " + r.URL.EscapedPath() + " " + string(body)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(server.Close)
	plans := []*stack.Plan{{StackName: "landing-dev", Digest: "sha256:1", Changes: []stack.Change{{Effect: stack.Added, LogicalID: "Vpc", Type: "AWS::EC2::VPC"}}}}
	for name, tc := range map[string]struct {
		vars map[string]string
		want string // of the request
		err  string
	}{
		"merge request": {map[string]string{"CI_SERVER_URL": server.URL, "CI_PROJECT_PATH": "data/landing", "CI_MERGE_REQUEST_IID": "7", "GITLAB_TOKEN": "t"},
			"POST /api/v4/projects/data%2Flanding/merge_requests/7/notes", ""},
		"branch with a merge request": {map[string]string{"CI_SERVER_URL": server.URL, "CI_OPEN_MERGE_REQUESTS": "data/other!12,data/landing!13", "GITLAB_TOKEN": "t"},
			"POST /api/v4/projects/data%2Fother/merge_requests/12/notes", ""},
		"branch without one": {map[string]string{"CI_SERVER_URL": server.URL, "CI_PROJECT_PATH": "data/landing", "GITLAB_TOKEN": "t"}, "", ""},
		"pull request": {map[string]string{"GITHUB_API_URL": server.URL, "GITHUB_REPOSITORY": "data/landing", "GITHUB_REF": "refs/pull/9/merge", "GITHUB_TOKEN": "t"},
			"POST /repos/data/landing/issues/9/comments", ""},
		"push":     {map[string]string{"GITHUB_API_URL": server.URL, "GITHUB_REPOSITORY": "data/landing", "GITHUB_REF": "refs/heads/9"}, "", ""},
		"no token": {map[string]string{"GITHUB_REPOSITORY": "data/landing", "GITHUB_REF": "refs/pull/9/merge"}, "", "--comment needs a token in GITHUB_TOKEN"},
	} {
		said = ""
		e := &env{getenv: func(key string) string { return tc.vars[key] }, environ: func() []string { return nil }, stderr: io.Discard}
		err := commentPlans(t.Context(), e, "dev", plans)
		if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) || tc.err == "" && err != nil {
			t.Errorf("%s: got %v, want %q", name, err, tc.err)
		}
		if !strings.HasPrefix(said, tc.want) || tc.want == "" && said != "" {
			t.Errorf("%s: asked %s, want %s", name, said, tc.want)
		}
		if tc.want != "" && (!strings.Contains(said, "refline stack plans dev") || !strings.Contains(said, "1 added")) {
			t.Errorf("%s: the comment is %s", name, said)
		}
	}
}
