package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"refline/internal/web"
)

// browser is what a browser sends.
func browser(path, cookie string) request {
	return request{path: path, cookie: cookie, header: map[string]string{"Accept": "text/html,*/*;q=0.8"}}
}

func TestPageForBrowsers(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	if got := s.do(browser("/?project=a%2Fb", "")); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/sign-in?next=%2F%3Fproject%3Da%252Fb" {
		t.Errorf("without a session: %d to %s", got.StatusCode, got.Header.Get("Location"))
	}
	cookie := s.signInWith(s.link())
	got := s.do(browser("/", cookie))
	policy := http.Header{}
	web.SecurityHeaders(policy)
	if got.StatusCode != http.StatusOK || !strings.Contains(got.body, "<h1>Overview</h1>") || got.Header.Get("Content-Security-Policy") != policy.Get("Content-Security-Policy") || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the overview: %d %v %s", got.StatusCode, got.Header, got.body)
	}
	if got := s.do(browser("/nothing", cookie)); got.StatusCode != http.StatusNotFound || !strings.Contains(got.body, "<h1>") || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
		t.Errorf("no page: %d %v", got.StatusCode, got.Header)
	}
	// Programs get problems, also with the cookie of a browser, and so does the API in a browser.
	if got := s.do(request{path: "/nothing", cookie: cookie}); got.StatusCode != http.StatusNotFound || got.problem(t).Detail == "" {
		t.Errorf("a program: %d", got.StatusCode)
	}
	if got := s.do(browser("/api/v1/runs/999", cookie)); got.StatusCode != http.StatusNotFound || got.problem(t).Detail == "" {
		t.Errorf("the API: %d", got.StatusCode)
	}
	// A form of a page whose session has ended.
	form := browser("/preferences", "refline=rfl_session_old")
	form.method, form.body = "POST", "next=/"
	if got := s.do(form); got.StatusCode != http.StatusSeeOther {
		t.Errorf("preferences need no session: %d", got.StatusCode)
	}
}

// The page shows what the API shows its caller, and no more.
func TestPageOfOneProject(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.work()
	s.addTestProject(1, "data/own")
	s.addTestProject(2, "data/other")
	s.addTestRun(1, "own-branch")
	s.addTestRun(2, "other-branch")
	cookie := s.signInWith(s.token(TokenInput{Scopes: []string{"read"}, Project: 1}))
	got := s.do(browser("/", cookie))
	if got.StatusCode != http.StatusOK || !strings.Contains(got.body, "own-branch") || strings.Contains(got.body, "other-branch") || strings.Contains(got.body, "data/other") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	all := s.do(browser("/", s.signInWith(s.link())))
	if !strings.Contains(all.body, "own-branch") || !strings.Contains(all.body, "other-branch") {
		t.Errorf("the owner: %s", all.body)
	}
}

func TestPageBelowBasePath(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(o *Options) { o.PublicURL = &url.URL{Scheme: "http", Host: "ci.example.com", Path: "/refline"} })
	got := s.do(browser("/refline/", ""))
	if got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), "/refline/sign-in") {
		t.Errorf("%d to %s", got.StatusCode, got.Header.Get("Location"))
	}
	page := s.do(browser("/refline/sign-in", ""))
	for _, part := range []string{`href="/refline/assets/page.`, `action="/refline/sign-in"`, `data-base="/refline"`} {
		if !strings.Contains(page.body, part) {
			t.Errorf("no %s in %s", part, page.body)
		}
	}
}

// The page of a run acts as its caller, and shows who did what.
func TestRunPage(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.work()
	s.addTestProject(1, "data/own")
	s.addTestProject(2, "data/other")
	own, other := s.addTestRun(1, "main"), s.addTestRun(2, "main")
	path := func(id int64, verb string) string { return fmt.Sprintf("/runs/%d%s", id, verb) }
	reader := s.signInWith(s.token(TokenInput{Scopes: []string{"read"}, Project: 1}))
	if got := s.do(browser(path(own.ID, ""), reader)); got.StatusCode != http.StatusOK || strings.Contains(got.body, "/cancel") {
		t.Errorf("who may only read: %d %s", got.StatusCode, got.body)
	}
	post := func(path, cookie, body string) response {
		q := browser(path, cookie)
		q.method, q.body = "POST", body
		return s.do(q)
	}
	if got := post(path(own.ID, "/cancel"), reader, "x=y"); got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, "Not allowed") {
		t.Errorf("cancel by who may only read: %d %s", got.StatusCode, got.body)
	}
	for _, verb := range []string{"", "/cancel"} {
		got := s.do(browser(path(other.ID, verb), reader))
		if verb != "" {
			got = post(path(other.ID, verb), s.signInWith(s.token(TokenInput{Name: "run", Scopes: []string{"run"}, Project: 1})), "x=y")
		}
		if got.StatusCode != http.StatusNotFound {
			t.Errorf("a run of another project%s: %d", verb, got.StatusCode)
		}
	}
	owner := s.signInWith(s.link())
	if got := post(path(own.ID, "/play"), owner, "job=nothing"); got.StatusCode != http.StatusNotFound || !strings.Contains(got.body, `role="alert"`) || !strings.Contains(got.body, "Start job") {
		t.Errorf("a job that is not there is said on the page: %d %s", got.StatusCode, got.body)
	}
	if got := post(path(own.ID, "/play"), owner, "job=job"); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != path(own.ID, "") {
		t.Errorf("play: %d to %s: %s", got.StatusCode, got.Header.Get("Location"), got.body)
	}
	if got := s.do(browser(path(own.ID, ""), owner)); !strings.Contains(got.body, "owner started job") {
		t.Errorf("who did what: %s", got.body)
	}
	if got := s.do(browser("/runs/x", owner)); got.StatusCode != http.StatusBadRequest && got.StatusCode != http.StatusNotFound {
		t.Errorf("not a number: %d", got.StatusCode)
	}
	// Fragments are parts of the same page.
	part := browser(path(own.ID, ""), owner)
	part.header["Refline-Fragments"] = "run-head layout"
	if got := s.do(part); !strings.Contains(got.body, `id="run-head"`) || strings.Contains(got.body, "<html") || strings.Contains(got.body, `id="run-jobs"`) {
		t.Errorf("a fragment: %s", got.body)
	}
}
