package stackrun

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
)

// notes is as much of GitLab and GitHub as keeps the comments of one request.
type notes struct {
	mu     sync.Mutex
	bodies []string
	calls  []string
	denied bool
}

func (n *notes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Method == http.MethodGet {
		list := []map[string]any{}
		for i, b := range n.bodies {
			list = append(list, map[string]any{"id": i + 1, "body": b})
		}
		_ = json.NewEncoder(w).Encode(list)
		return
	}
	if n.denied {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message": "Resource not accessible by integration"}`)
		return
	}
	var in struct{ Body string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	n.calls = append(n.calls, r.Method+" "+r.URL.EscapedPath())
	if r.Method == http.MethodPost {
		n.bodies = append(n.bodies, in.Body)
		w.WriteHeader(http.StatusCreated)
	} else {
		var id int
		fmt.Sscanf(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], "%d", &id)
		n.bodies[id-1] = in.Body
	}
	fmt.Fprint(w, "{}")
}

func TestPlansAreCommented(t *testing.T) {
	t.Parallel()
	plan := &planfile.Plan{StackName: "landing-dev", Digest: "sha256:1", Changes: []planfile.Change{{Effect: planfile.EffectAdd, LogicalID: "Vpc", Type: "AWS::EC2::VPC"}}}
	for name, tc := range map[string]struct {
		vars   map[string]string
		want   string // the request that makes the comment
		denied bool
		note   string
	}{
		"merge request": {vars: map[string]string{"CI_SERVER_URL": "", "CI_PROJECT_PATH": "data/landing", "CI_MERGE_REQUEST_IID": "7", "GITLAB_TOKEN": "t"},
			want: "POST /api/v4/projects/data%2Flanding/merge_requests/7/notes"},
		"branch with a merge request": {vars: map[string]string{"CI_SERVER_URL": "", "CI_OPEN_MERGE_REQUESTS": "data/other!12,data/landing!13", "GITLAB_TOKEN": "t"},
			want: "POST /api/v4/projects/data%2Fother/merge_requests/12/notes"},
		"branch without one": {vars: map[string]string{"CI_SERVER_URL": "", "CI_PROJECT_PATH": "data/landing", "GITLAB_TOKEN": "t"},
			note: "no comment: this pipeline has no merge request"},
		"a job's own token": {vars: map[string]string{"CI_SERVER_URL": "", "CI_PROJECT_PATH": "data/landing", "CI_MERGE_REQUEST_IID": "7", "CI_JOB_TOKEN": "t"}, denied: true,
			note: "no comment: comment on the merge request: .* needs the scope api"},
		"pull request": {vars: map[string]string{"GITHUB_API_URL": "", "GITHUB_REPOSITORY": "data/landing", "GITHUB_REF": "refs/pull/9/merge", "GITHUB_TOKEN": "t"},
			want: "POST /repos/data/landing/issues/9/comments"},
		"push": {vars: map[string]string{"GITHUB_API_URL": "", "GITHUB_REPOSITORY": "data/landing", "GITHUB_REF": "refs/heads/9"},
			note: "no comment: this pipeline has no merge request"},
		"pull request without a token": {vars: map[string]string{"GITHUB_REPOSITORY": "data/landing", "GITHUB_REF": "refs/pull/9/merge"},
			note: "no comment: it needs a token in GITHUB_TOKEN, which forks do not get"},
		"pull request of a fork": {vars: map[string]string{"GITHUB_API_URL": "", "GITHUB_REPOSITORY": "data/landing", "GITHUB_REF": "refs/pull/9/merge", "GITHUB_TOKEN": "t"}, denied: true,
			note: "no comment: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forge := &notes{bodies: []string{"looks good"}, denied: tc.denied}
			server := httptest.NewServer(forge)
			t.Cleanup(server.Close)
			var said strings.Builder
			p := &Place{Environ: func() []string { return nil }, Notes: &said, Getenv: func(key string) string {
				if v, ok := tc.vars[key]; ok && v == "" {
					return server.URL
				}
				return tc.vars[key]
			}}
			s := &stack.Session{Config: &stack.Config{File: "refline.stacks.yml"}, Env: &stack.Environment{Name: "dev"}}
			for i, digest := range []string{"sha256:1", "sha256:2"} {
				plan := *plan
				plan.Digest = digest
				if err := commentPlans(t.Context(), p, s, &stack.Review{Plans: []*planfile.Plan{&plan}}); err != nil {
					t.Fatalf("comment %d: %v", i, err)
				}
			}
			if tc.want == "" {
				if got := said.String(); len(forge.calls) > 0 || !regexp.MustCompile(tc.note).MatchString(got) {
					t.Errorf("did %q and said %q, want only %q", forge.calls, got, tc.note)
				}
				return
			}
			// The second plan is in the first one's comment.
			if len(forge.calls) != 2 || forge.calls[0] != tc.want || !strings.HasSuffix(forge.calls[1], "/2") || len(forge.bodies) != 2 {
				t.Fatalf("did %q, and there are %d comments", forge.calls, len(forge.bodies))
			}
			if body := forge.bodies[1]; !strings.Contains(body, "sha256:2") || strings.Contains(body, "sha256:1") || !strings.Contains(body, "1 added") {
				t.Errorf("the comment is\n%s", body)
			}
			// Another environment, and another configuration, have comments of their own.
			for _, other := range []*stack.Session{
				{Config: s.Config, Env: &stack.Environment{Name: "prod"}},
				{Config: &stack.Config{File: "billing/refline.stacks.yml"}, Env: s.Env},
			} {
				if err := commentPlans(t.Context(), p, other, &stack.Review{Plans: []*planfile.Plan{plan}}); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(forge.bodies); n != 4 || slices.Contains(forge.bodies, "") {
				t.Errorf("there are %d comments, want 4", n)
			}
		})
	}
}
