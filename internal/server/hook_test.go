package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"refline/internal/api"
	"refline/internal/forge/forgetest"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/secret"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// hookBench is a server that works, a repository that a real git serves, and the
// forge that both belong to.
type hookBench struct {
	*testServer
	kind    string
	forge   *forgetest.Forge
	work    string // clone of the repository
	project int64
	path    string // of the webhook
	secret  string
	last    int
	options Options
	halt    func() // ends what Run does
}

const forgeToken = "forge-token-18dk27fh"

// pipelineFile has a job for each way to a pipeline.
const pipelineFile = `workflow:
  rules:
    - if: $CI_COMMIT_BRANCH == "docs"
      when: never
    - when: always
job:
  script: [echo hello]
`

// startHooks starts all of it, and creates the webhook through the forge's API.
func startHooks(t *testing.T, kind string, change func(*Options)) *hookBench {
	t.Helper()
	where, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Skip("no git")
	}
	backend := filepath.Join(strings.TrimSpace(string(where)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skip("git has no http-backend")
	}
	b := &hookBench{kind: kind, forge: forgetest.StartForge(t, kind, forgeToken)}
	folder := t.TempDir()
	bare := filepath.Join(folder, "g", "p.git")
	b.work = filepath.Join(t.TempDir(), "work")
	b.gitIn(t, folder, "init", "-q", "--bare", "-b", "main", bare)
	b.gitIn(t, folder, "-C", bare, "config", "uploadpack.allowAnySHA1InWant", "true")
	b.gitIn(t, folder, "clone", "-q", bare, b.work)
	web := httptest.NewServer(&cgi.Handler{Path: backend, Env: []string{
		"GIT_PROJECT_ROOT=" + folder, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}})
	t.Cleanup(web.Close)
	b.write(t, ".gitlab-ci.yml", pipelineFile)
	b.push(t, "first")
	b.testServer = startServer(t, func(o *Options) {
		o.Environ = os.Environ()
		o.PublicURL = mustURL(t, "https://ci.example.com")
		if change != nil {
			change(o)
		}
		b.options = *o
	})
	b.begin(t)
	p := postJSON[api.Project](t, b, "POST", "/api/v1/projects", map[string]any{"url": web.URL + "/g/p.git", "name": "p"})
	b.project = p.ID
	b.await(t, "the first look", func() bool {
		l, err := b.store.LookOf(t.Context(), b.project)
		return err == nil && !l.Looked.IsZero()
	})
	b.setVariable(b.project, secret.Variable{Name: "FORGE_TOKEN", Environment: "*", Value: secretOf(forgeToken), Masked: true, Raw: true})
	h := postJSON[api.Hook](t, b, "PUT", "/api/v1/projects/p/hook", map[string]any{"forge": kind, "forge_url": b.forge.URL, "token_variable": "FORGE_TOKEN"})
	hooks := b.forge.Hooks()
	if len(hooks) != 1 || h.Note != "" || h.Secret != "" || h.Hook == "" || hooks[0].URL != h.URL {
		t.Fatalf("webhook %+v at the forge %+v", h, hooks)
	}
	b.path, b.secret = h.Path, hooks[0].Secret
	b.await(t, "the look at the new webhook", func() bool {
		l, err := b.store.LookOf(t.Context(), b.project)
		return err == nil && l.Next.Sub(l.Looked) >= time.Hour && l.Version >= 2
	})
	// A look that is still to come would find what a test pushes before its delivery
	// does, and not know who pushed.
	quiet := 0
	b.await(t, "the end of all looks", func() bool {
		quiet++
		if b.looks.Busy(b.project) {
			quiet = 0
		}
		return quiet > 20
	})
	return b
}

// begin lets the server work until halt or the end of the test.
func (b *hookBench) begin(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	b.halt = func() { stop(); ended.Wait() }
	t.Cleanup(b.halt)
}

func (b *hookBench) gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (b *hookBench) git(t *testing.T, args ...string) string {
	t.Helper()
	return b.gitIn(t, b.work, args...)
}

func (b *hookBench) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.work, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// push commits and pushes the branch that is checked out, and returns the commit.
func (b *hookBench) push(t *testing.T, message string) string {
	t.Helper()
	b.git(t, "add", "-A")
	b.git(t, "commit", "-q", "--allow-empty", "-m", message)
	b.git(t, "push", "-q", "origin", "HEAD")
	return b.git(t, "rev-parse", "HEAD")
}

func (b *hookBench) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("waited for %s\n%s", what, b.log.String())
		}
	}
}

// postJSON calls the API as the owner.
func postJSON[T any](t *testing.T, b *hookBench, method, path string, in any) (out T) {
	t.Helper()
	body := ""
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = string(text)
	}
	r := b.do(request{method: method, path: path, token: b.owner, body: body, header: map[string]string{"Content-Type": "application/json"}})
	if r.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, r.StatusCode, r.body)
	}
	if r.body != "" {
		if err := json.Unmarshal([]byte(r.body), &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// deliver sends a signed event; id "" makes a new one.
func (b *hookBench) deliver(t *testing.T, event, id string, payload any) response {
	t.Helper()
	body, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	if b.last++; id == "" {
		id = fmt.Sprintf("delivery-%d", b.last)
	}
	return b.do(request{method: "POST", path: b.path, body: string(body), header: signed(b.kind, event, id, b.secret, body)})
}

// signed are the headers of a forge's delivery.
func signed(kind, event, id, secret string, body []byte) map[string]string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	sum := hex.EncodeToString(mac.Sum(nil))
	h := map[string]string{"Content-Type": "application/json"}
	switch kind {
	case "gitlab":
		h["X-Gitlab-Event"], h["X-Gitlab-Token"], h["Idempotency-Key"] = event, secret, id
	case "github":
		h["X-GitHub-Event"], h["X-Hub-Signature-256"], h["X-GitHub-Delivery"] = event, "sha256="+sum, id
	case "gitea":
		h["X-Gitea-Event"], h["X-Gitea-Signature"], h["X-Gitea-Delivery"] = event, sum, id
	}
	return h
}

// pushEvent is what the forge sends of a push; tags are pushes too.
func (b *hookBench) pushEvent(ref, after string) (event string, payload map[string]any) {
	payload = map[string]any{"ref": ref, "before": strings.Repeat("1", 40), "after": after}
	if b.kind == "gitlab" {
		payload["object_kind"], payload["checkout_sha"], payload["user_username"] = "push", after, "ann"
		payload["project"] = map[string]any{"id": 7, "path_with_namespace": "g/p", "default_branch": "main"}
		if strings.HasPrefix(ref, "refs/tags/") {
			payload["object_kind"] = "tag_push"
			return "Tag Push Hook", payload
		}
		return "Push Hook", payload
	}
	payload["repository"] = map[string]any{"id": 7, "full_name": "g/p", "default_branch": "main"}
	payload["sender"] = map[string]any{"id": 3, "login": "ann"}
	payload["head_commit"] = map[string]any{"id": after}
	return "push", payload
}

// requestEvent is what the forge sends of a merge request from branch, of this
// repository or of a fork.
func (b *hookBench) requestEvent(number int, branch, head string, fork bool) (event string, payload map[string]any) {
	source := map[bool]int{false: 7, true: 8}[fork]
	if b.kind == "gitlab" {
		return "Merge Request Hook", map[string]any{
			"object_kind": "merge_request", "user": map[string]any{"username": "ann"},
			"project": map[string]any{"id": 7, "path_with_namespace": "g/p", "default_branch": "main"},
			"object_attributes": map[string]any{
				"iid": number, "action": "open", "state": "opened", "source_branch": branch, "target_branch": "main", "title": "Change it",
				"source_project_id": source, "target_project_id": 7, "last_commit": map[string]any{"id": head},
			},
		}
	}
	repository := func(id int) map[string]any { return map[string]any{"id": id, "full_name": fmt.Sprintf("g%d/p", id)} }
	return "pull_request", map[string]any{
		"action": "opened", "number": number, "repository": map[string]any{"id": 7, "full_name": "g/p", "default_branch": "main"},
		"sender": map[string]any{"id": 3, "login": "ann"},
		"pull_request": map[string]any{
			"number": number, "state": "open", "title": "Change it",
			"head": map[string]any{"ref": branch, "sha": head, "repo": repository(source)},
			"base": map[string]any{"ref": "main", "sha": head, "repo": repository(7)},
		},
	}
}

// runs lists the runs as "source ref commit", oldest first.
func (b *hookBench) runs(t *testing.T) []string {
	t.Helper()
	list, err := b.store.Runs(t.Context(), store.RunFilter{Project: b.project, Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		out = append(out, fmt.Sprintf("%s %s %.7s %s", r.Source, r.Ref, r.SHA, r.Actor))
	}
	slices.Reverse(out)
	return out
}

// awaitRuns waits until nothing is left to do, and compares the runs.
func (b *hookBench) awaitRuns(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	settled := func() bool {
		waiting, err := b.store.WaitingDeliveries(t.Context(), b.project, 10)
		wanted, failed := b.store.WantedRuns(t.Context(), b.project)
		if err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		got = b.runs(t)
		return len(waiting) == 0 && !slices.ContainsFunc(wanted, func(w store.WantedRun) bool { return w.State == store.WantedWaiting })
	}
	b.await(t, "the looks", func() bool { return settled() && len(got) >= len(want) })
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("runs (-want +got):\n%s\n%s", diff, b.log.String())
	}
}

// statuses are those at the forge: "context state commit".
func (b *hookBench) statuses() []string {
	var out []string
	for _, s := range b.forge.Statuses() {
		out = append(out, fmt.Sprintf("%s %s %.7s %s", s.Context, s.State, s.Commit, s.URL))
	}
	return out
}

// TestHooks pushes to a branch, tags, and opens a merge request, on three forges.
func TestHooks(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"gitlab", "github", "gitea"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := startHooks(t, kind, nil)
			one := b.push(t, "one")
			event, payload := b.pushEvent("refs/heads/main", one)
			if r := b.deliver(t, event, "", payload); r.StatusCode != http.StatusAccepted {
				t.Fatalf("%d %s", r.StatusCode, r.body)
			}
			main := fmt.Sprintf("push main %.7s ann", one)
			b.awaitRuns(t, main)

			b.git(t, "tag", "-a", "v1", "-m", "v1")
			b.git(t, "push", "-q", "origin", "v1")
			event, payload = b.pushEvent("refs/tags/v1", b.git(t, "rev-parse", "v1"))
			b.deliver(t, event, "", payload)
			tag := fmt.Sprintf("push v1 %.7s ann", one)
			b.awaitRuns(t, main, tag)

			b.git(t, "checkout", "-q", "-b", "docs") // its rules let no branch pipeline in
			two := b.push(t, "two")
			event, payload = b.pushEvent("refs/heads/docs", two)
			b.deliver(t, event, "", payload)
			event, payload = b.requestEvent(4, "docs", two, false)
			b.deliver(t, event, "", payload)
			b.awaitRuns(t, main, tag, fmt.Sprintf("merge_request_event docs %.7s ann", two))

			skipped := b.push(t, "three [skip ci]")
			event, payload = b.pushEvent("refs/heads/docs", skipped)
			b.deliver(t, event, "", payload)
			b.awaitRuns(t, main, tag, fmt.Sprintf("merge_request_event docs %.7s ann", two), fmt.Sprintf("merge_request_event docs %.7s ann", skipped))
			list, err := b.store.Runs(t.Context(), store.RunFilter{Project: b.project, Limit: 1})
			if err != nil || list[0].Status != "skipped" || !strings.Contains(list[0].Note, "[ci skip]") {
				t.Errorf("%+v %v", list, err)
			}
		})
	}
}

// TestRefusedDeliveries keeps what cannot be from the forge out.
func TestRefusedDeliveries(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "github", nil)
	body := []byte(`{"zen":"x","hook_id":1}`)
	for name, c := range map[string]struct {
		path   string
		header map[string]string
		body   string
		want   int
	}{
		"unknown address": {"/hooks/nowhere", signed("github", "ping", "1", b.secret, body), string(body), 404},
		"wrong secret":    {b.path, signed("github", "ping", "2", "another-secret", body), string(body), 403},
		"no signature":    {b.path, map[string]string{"X-GitHub-Event": "ping"}, string(body), 403},
		"other body":      {b.path, signed("github", "ping", "3", b.secret, body), string(body) + " ", 403},
		"a test":          {b.path, signed("github", "ping", "4", b.secret, body), string(body), 202},
		"not JSON":        {b.path, signed("github", "push", "5", b.secret, []byte("x")), "x", 400},
	} {
		r := b.do(request{method: "POST", path: c.path, header: c.header, body: c.body})
		if r.StatusCode != c.want || strings.Contains(r.body, b.secret) {
			t.Errorf("%s: %d %s, want %d", name, r.StatusCode, r.body, c.want)
		}
	}
	list := postJSON[[]api.Delivery](t, b, "GET", "/api/v1/projects/p/deliveries", nil)
	if len(list) != 1 || list[0].Kind != "test" || list[0].Read == nil {
		t.Errorf("%+v", list)
	}
}

// TestPingDataCenter answers the test of Bitbucket Data Center, which is not signed.
func TestPingDataCenter(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(1, "p")
	g, _, _, err := s.secrets.SetHook(t.Context(), owned(), 1, HookInput{Forge: "bitbucket-dc"})
	if err != nil {
		t.Fatal(err)
	}
	r := s.do(request{method: "POST", path: "/hooks/" + g.Address, header: map[string]string{"X-Event-Key": "diagnostics:ping"}, body: `{"test":true}`})
	list, err := s.store.Deliveries(t.Context(), g.ID, 10)
	if r.StatusCode != http.StatusOK || len(list) != 0 || err != nil {
		t.Errorf("%d %s, %+v %v", r.StatusCode, r.body, list, err)
	}
}

// TestEqualDeliveries is invariant 11: one push is sent 50 times, some of it at once,
// with another push between, and each commit gets one run.
func TestEqualDeliveries(t *testing.T) {
	t.Parallel()
	storetest.Each(t, testEqualDeliveries)
}

func testEqualDeliveries(t *testing.T, address string) {
	b := startHooks(t, "gitea", func(o *Options) {
		if strings.HasPrefix(address, "postgres") {
			o.Database = address
		}
	})
	one := b.push(t, "one")
	event, payload := b.pushEvent("refs/heads/main", one)
	send := func(n int, id string) {
		for i := range n {
			if r := b.deliver(t, event, id, payload); r.StatusCode != http.StatusAccepted || strings.Contains(r.body, `"duplicate":true`) != (id != "" && i > 0) {
				t.Errorf("delivery %d: %d %s", i, r.StatusCode, r.body)
			}
		}
	}
	send(13, "the-same")
	send(12, "")
	b.awaitRuns(t, fmt.Sprintf("push main %.7s ann", one))
	two := b.push(t, "two")
	event, payload = b.pushEvent("refs/heads/main", two)
	atOnce(t, b, 13, event, "another", payload)
	send(12, "")
	b.awaitRuns(t, fmt.Sprintf("push main %.7s ann", one), fmt.Sprintf("push main %.7s ann", two))

	list := postJSON[[]api.Delivery](t, b, "GET", "/api/v1/projects/p/deliveries?limit=200", nil)
	made := 0
	for _, d := range list {
		for _, r := range d.Results {
			if r.State != "made" || r.Run == 0 {
				t.Errorf("%+v", d)
			}
			made++
		}
	}
	if len(list) != 26 || made < 2 {
		t.Errorf("%d deliveries, %d with a run", len(list), made)
	}
}

// atOnce sends a delivery n times at the same time: one of them is new.
func atOnce(t *testing.T, b *hookBench, n int, event, id string, payload any) {
	t.Helper()
	body, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	var fresh atomic.Int64
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			r := b.do(request{method: "POST", path: b.path, body: string(body), header: signed(b.kind, event, id, b.secret, body)})
			if r.StatusCode != http.StatusAccepted {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			if !strings.Contains(r.body, `"duplicate":true`) {
				fresh.Add(1)
			}
		})
	}
	group.Wait()
	if got := fresh.Load(); got != 1 {
		t.Errorf("%d of %d equal deliveries at once were new, want 1", got, n)
	}
}

// TestPolling makes runs of pushes only where somebody asked for it.
func TestPolling(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "gitea", nil)
	postJSON[any](t, b, "DELETE", "/api/v1/projects/p/hook", nil)
	looked := func(what string) {
		t.Helper()
		before, err := b.store.LookOf(t.Context(), b.project)
		if err != nil {
			t.Fatal(err)
		}
		b.pass(2 * time.Hour)
		b.await(t, what, func() bool {
			wakeUp(b.polls)
			l, err := b.store.LookOf(t.Context(), b.project)
			return err == nil && l.Looked.After(before.Looked.Add(time.Hour))
		})
	}
	b.push(t, "one")
	looked("a look without a webhook and polling")
	b.awaitRuns(t)
	postJSON[api.Project](t, b, "PATCH", "/api/v1/projects/p", map[string]any{"poll_seconds": 60})
	two := b.push(t, "two")
	looked("a look by polling")
	b.awaitRuns(t, fmt.Sprintf("push main %.7s ", two))
	l, err := b.store.LookOf(t.Context(), b.project)
	if wait := l.Next.Sub(l.Looked); err != nil || wait < time.Minute || wait > 70*time.Second {
		t.Errorf("the next look is in %v, %v", wait, err)
	}
}

// TestDeliveriesWait takes up after a start what came before it.
func TestDeliveriesWait(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "gitlab", nil)
	b.halt()
	one := b.push(t, "one")
	event, payload := b.pushEvent("refs/heads/main", one)
	if r := b.deliver(t, event, "", payload); r.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	err := b.Close()
	if err == nil {
		b.Server, err = Open(t.Context(), b.options)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := b.runs(t); len(got) != 0 {
		t.Errorf("%q before the start", got)
	}
	b.begin(t)
	b.awaitRuns(t, fmt.Sprintf("push main %.7s ann", one))
}

// TestLostHook finds a push that no delivery reported, an hour later, and warns.
func TestLostHook(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "gitlab", nil)
	one := b.push(t, "one")
	wakeUp(b.polls)
	b.pass(2 * time.Hour)
	b.await(t, "the slow look", func() bool { wakeUp(b.polls); return len(b.runs(t)) == 1 })
	b.awaitRuns(t, fmt.Sprintf("push main %.7s ", one))
	if log := b.log.String(); !strings.Contains(log, "the webhook did not report") || !strings.Contains(log, "refs/heads/main") {
		t.Error(log)
	}
	l, err := b.store.LookOf(t.Context(), b.project)
	if err != nil || l.Next.Sub(l.Looked) < time.Hour {
		t.Errorf("next look %v after the last, %v", l.Next.Sub(l.Looked), err)
	}
}

// TestStatuses shows states at the forge: when the run is made, and when it ends.
func TestStatuses(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "github", nil)
	one := b.push(t, "one")
	b.forge.Fail(http.StatusConflict, "", "")
	event, payload := b.pushEvent("refs/heads/main", one)
	b.deliver(t, event, "", payload)
	b.awaitRuns(t, fmt.Sprintf("push main %.7s ann", one))
	list, err := b.store.Runs(t.Context(), store.RunFilter{Project: b.project})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprintf("refline pending %.7s https://ci.example.com/runs/%d", one, list[0].ID)}
	b.await(t, "a pending status, at the second try", func() bool { b.pass(10 * time.Second); return len(b.statuses()) == 1 })
	if diff := gocmp.Diff(want, b.statuses()); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	postJSON[any](t, b, "POST", fmt.Sprintf("/api/v1/runs/%d/cancel", list[0].ID), nil)
	want = append(want, strings.Replace(want[0], "pending", "error", 1))
	b.await(t, "the state of the end", func() bool { return len(b.statuses()) == 2 })
	if diff := gocmp.Diff(want, b.statuses()); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}

	b.write(t, ".gitlab-ci.yml", "job: {script: 7}\n")
	two := b.push(t, "broken")
	event, payload = b.pushEvent("refs/heads/main", two)
	b.deliver(t, event, "", payload)
	b.await(t, "why no run could be made", func() bool {
		s := b.forge.Statuses()
		return len(s) == 3 && s[2].Commit == two && s[2].State == "error" && strings.Contains(s[2].Description, ".gitlab-ci.yml:1")
	})
	b.await(t, "the project to say so", func() bool {
		l := postJSON[api.Project](t, b, "GET", "/api/v1/projects/p", nil).Look
		return l != nil && l.Hook && len(l.Unmade) == 1 && strings.Contains(l.Unmade[0], ".gitlab-ci.yml:1")
	})
}

// TestRefusedStatus stops when the forge refuses the token, and the run says why.
func TestRefusedStatus(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "gitlab", nil)
	b.setVariable(b.project, secret.Variable{Name: "FORGE_TOKEN", Environment: "*", Value: secretOf("revoked-token-18sk"), Masked: true, Raw: true})
	one := b.push(t, "one")
	event, payload := b.pushEvent("refs/heads/main", one)
	b.deliver(t, event, "", payload)
	b.awaitRuns(t, fmt.Sprintf("push main %.7s ann", one))
	list, err := b.store.Runs(t.Context(), store.RunFilter{Project: b.project})
	if err != nil {
		t.Fatal(err)
	}
	var r api.Run
	b.await(t, "the refusal", func() bool {
		r = postJSON[api.Run](t, b, "GET", fmt.Sprintf("/api/v1/runs/%d", list[0].ID), nil)
		return len(r.Notices) == 1
	})
	if !strings.Contains(r.Notices[0], "status: ") || !strings.Contains(r.Notices[0], "401") || strings.Contains(r.Notices[0], "revoked-token") {
		t.Errorf("%q", r.Notices)
	}
}

// TestPlanComments writes the plan of a merge request's run as one comment, over the
// one before.
func TestPlanComments(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "gitea", nil)
	b.git(t, "checkout", "-q", "-b", "change")
	b.write(t, ".gitlab-ci.yml", strings.Replace(pipelineFile, "job:", "plan:\n  rules: [{when: always}]", 1))
	head := b.push(t, "with a plan")
	event, payload := b.requestEvent(9, "change", head, false)
	b.deliver(t, event, "", payload)
	var run store.Run
	b.await(t, "the run of the merge request", func() bool {
		list, err := b.store.Runs(t.Context(), store.RunFilter{Project: b.project})
		i := slices.IndexFunc(list, func(r store.Run) bool { return r.Source == "merge_request_event" })
		if i >= 0 {
			run = list[i]
		}
		return err == nil && i >= 0
	})
	for n, text := range []string{"one stack changes", "two stacks change"} {
		b.finishJob(t, run.ID, int64(n+1), `{"event":"step","step":{"type":"plan","title":"x","text":"`+text+`"}}`)
		b.await(t, "the comment", func() bool {
			c := b.forge.Comments()
			return len(c) == 1 && c[0].Request == 9 && strings.Contains(c[0].Body, text)
		})
	}
}

// finishJob does what a runner does with the first job of a run: it reports an event
// and ends the attempt, which is as if retried for n above 1.
func (b *hookBench) finishJob(t *testing.T, run, n int64, event string) {
	t.Helper()
	if n > 1 {
		if err := b.scheduler.Act(t.Context(), run, pipeline.Event{Kind: pipeline.EventRetry, Job: "plan"}); err != nil {
			t.Fatal(err)
		}
	}
	session, err := b.scheduler.OpenSession(t.Context(), 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		answer, err := b.scheduler.Poll(t.Context(), session, 1, nil, 10*time.Second)
		if err != nil || len(answer.Jobs) == 0 {
			t.Fatalf("%+v %v", answer, err)
		}
		for _, a := range answer.Jobs {
			if done = done || a.Run == run; a.Run == run {
				err = b.store.Update(t.Context(), func(tx *store.Tx) error {
					return tx.AddEvents(t.Context(), []store.AttemptEvent{{Attempt: a.Fence, Seq: 0, Body: event}})
				})
			}
			if err := errors.Join(err, b.scheduler.Finish(t.Context(), session, a.Fence, scheduler.Result{Status: pipeline.StatusSuccess})); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestForks waits for a person, at the forge too, and the run is one of a fork.
func TestForks(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "gitea", nil)
	b.git(t, "checkout", "-q", "-b", "main-of-fork")
	b.git(t, "commit", "-q", "--allow-empty", "-m", "from a fork")
	head := b.git(t, "rev-parse", "HEAD")
	b.git(t, "push", "-q", "origin", "HEAD:refs/pull/5/head")
	event, payload := b.requestEvent(5, "main", head, true) // the branch has the name of the protected one
	b.deliver(t, event, "", payload)
	var list []api.Approval
	b.await(t, "the approval", func() bool {
		list = postJSON[[]api.Approval](t, b, "GET", "/api/v1/approvals?project=p", nil)
		return len(list) == 1
	})
	if list[0].Commit != head || list[0].Request != 5 || list[0].Title != "Change it" || list[0].Actor != "ann" {
		t.Errorf("%+v", list[0])
	}
	b.awaitRuns(t)
	b.await(t, "a status that waits", func() bool { return len(b.statuses()) == 1 })
	if got, want := b.forge.Statuses()[0], "waits for a person"; got.Context != "refline (mr)" || got.State != "pending" || !strings.Contains(got.Description, want) {
		t.Errorf("%+v", got)
	}
	approve := fmt.Sprintf("/api/v1/approvals/%d/approve", list[0].ID)
	if r := b.do(request{method: "POST", path: approve, token: b.token(TokenInput{Scopes: []string{"read"}})}); r.StatusCode != http.StatusForbidden {
		t.Errorf("with read alone: %d %s", r.StatusCode, r.body)
	}
	postJSON[any](t, b, "POST", approve, nil)
	b.await(t, "the run", func() bool { return len(b.runs(t)) == 1 })
	runs, err := b.store.Runs(t.Context(), store.RunFilter{Project: b.project})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := b.runFacts(t.Context(), runs[0].ID)
	if err != nil || !facts.Trust.Fork || runs[0].Protected || runs[0].SHA != head || facts.Facts.Branch != "" {
		t.Errorf("%+v %+v %v", runs[0], facts, err)
	}
	if r := b.do(request{method: "POST", path: approve, token: b.owner}); r.StatusCode != http.StatusNotFound {
		t.Errorf("approved twice: %d %s", r.StatusCode, r.body)
	}
}

// TestHookRotation takes the old and the new secret for a day, also after the keys
// of the server are rotated.
func TestHookRotation(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "github", nil)
	old := b.secret
	postJSON[api.Hook](t, b, "PUT", "/api/v1/projects/p/hook", map[string]any{"rotate": true})
	if b.secret = b.forge.Hooks()[0].Secret; b.secret == old {
		t.Fatal("the secret is the same")
	}
	postJSON[any](t, b, "PUT", "/api/v1/projects/p/notifications/team", map[string]any{"slack_url": "https://chat.example.com/secret-path"})
	postJSON[any](t, b, "POST", "/api/v1/secret-keys/rotate", nil)
	postJSON[any](t, b, "POST", "/api/v1/secret-keys/retire", nil)
	send := func(secret string) int {
		b.last++
		body := []byte(`{"zen":"x"}`)
		return b.do(request{method: "POST", path: b.path, body: string(body), header: signed("github", "ping", fmt.Sprint("ping", b.last), secret, body)}).StatusCode
	}
	if got := []int{send(old), send(b.secret)}; !slices.Equal(got, []int{202, 202}) {
		t.Errorf("while both hold: %v", got)
	}
	if list := postJSON[[]api.Notification](t, b, "GET", "/api/v1/projects/p/notifications", nil); len(list) != 1 || list[0].Host != "chat.example.com" {
		t.Errorf("%+v", list)
	}
	b.pass(25 * time.Hour)
	if got := []int{send(old), send(b.secret)}; !slices.Equal(got, []int{403, 202}) {
		t.Errorf("a day later: %v", got)
	}
}

// TestDeletedBranch archives its flows.
func TestDeletedBranch(t *testing.T) {
	t.Parallel()
	b := startHooks(t, "gitea", nil)
	b.git(t, "checkout", "-q", "-b", "feature")
	head := b.push(t, "feature")
	event, payload := b.pushEvent("refs/heads/feature", head)
	b.deliver(t, event, "", payload)
	b.awaitRuns(t, fmt.Sprintf("push feature %.7s ann", head))
	postJSON[any](t, b, "POST", "/api/v1/flows", map[string]any{"project": "p", "path": ".gitlab-ci.yml", "ref_kind": "branch", "ref": "feature", "name": "f"})
	b.git(t, "push", "-q", "origin", ":feature")
	b.deliver(t, "delete", "", map[string]any{"ref": "feature", "ref_type": "branch", "repository": map[string]any{"id": 7, "full_name": "g/p"}})
	b.await(t, "the archive", func() bool {
		list, err := b.store.Flows(t.Context(), store.FlowFilter{Project: b.project, Archived: true})
		return err == nil && len(list) == 1 && !list[0].Archived.IsZero()
	})
}
