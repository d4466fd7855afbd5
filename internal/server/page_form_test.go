package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"refline/internal/api"
)

// send posts a form as a browser does.
func (s *testServer) send(path, cookie string, fields ...string) response {
	s.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	q := browser(path, cookie)
	q.method, q.body = "POST", values.Encode()
	return s.do(q)
}

// A variable is set, changed and removed by forms. Its value is on no page, also when it
// is refused; what else was typed stays in the form beside the error.
func TestVariableForms(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(1, "data/own")
	cookie, client := s.signInWith(s.link()), s.client()
	for _, of := range []struct{ project, path string }{{"data/own", "/p/data/own/-/variables"}, {"", "/settings/variables"}} {
		list := func() []api.Variable {
			t.Helper()
			list, err := client.Variables(t.Context(), of.project)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		got := s.send(of.path, cookie, "form", "set-variable", "name", "PASSWORD", "value", "hunter", "masked", "on", "protected", "on", "description", "the old one")
		if got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, `role="alert"`) || strings.Contains(got.body, "hunter") {
			t.Errorf("%s: too short to mask: %d %s", of.path, got.StatusCode, got.body)
		}
		form := regexp.MustCompile(`(?s)<details class="fold" id="set-variable" open>.*?</details>`).FindString(got.body)
		for _, part := range []string{`role="alert"`, `value="PASSWORD"`, `name="protected" value="on" checked`, `value="the old one"`} {
			if !strings.Contains(form, part) {
				t.Errorf("%s: the form that failed has no %s: %s", of.path, part, form)
			}
		}
		if strings.Count(got.body, `role="alert"`) != 1 {
			t.Errorf("%s: the error is shown twice", of.path)
		}
		got = s.send(of.path, cookie, "name", "PASSWORD", "value", "line one of it\r\nline two of it\r\n", "masked", "on", "protected", "on")
		if got.StatusCode != http.StatusSeeOther || strings.Contains(got.Header.Get("Location"), "line") {
			t.Fatalf("%s: %d to %s: %s", of.path, got.StatusCode, got.Header.Get("Location"), got.body)
		}
		shown := s.do(browser(got.Header.Get("Location"), cookie))
		if !strings.Contains(shown.body, "PASSWORD is set") || strings.Contains(shown.body, "line one") {
			t.Errorf("%s: after it: %s", of.path, shown.body)
		}
		if v := list(); len(v) != 1 || v[0].Bytes != int64(len("line one of it\nline two of it\n")) || !v[0].Protected || !v[0].Masked || !v[0].Raw || v[0].File {
			t.Errorf("%s: %+v", of.path, v)
		}
		if got = s.send(of.path, cookie, "form", "set-variable", "name", "PASSWORD", "value", "another value"); got.StatusCode != http.StatusConflict || !list()[0].Protected {
			t.Errorf("%s: the form for a new variable took the flags of one away: %d %+v", of.path, got.StatusCode, list())
		}
		if got = s.send(of.path, cookie, "name", "PASSWORD", "environment", "*", "known", "yes", "value", "", "masked", "on", "file", "on"); got.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: a change: %d %s", of.path, got.StatusCode, got.body)
		}
		if v := list()[0]; v.Bytes != 30 || v.Protected || !v.File {
			t.Errorf("%s: after a change of flags: %+v", of.path, v)
		}
		if got = s.send(of.path+"/remove", cookie, "name", "PASSWORD", "environment", "*"); got.StatusCode != http.StatusSeeOther || len(list()) != 0 {
			t.Errorf("%s: removed: %d %+v", of.path, got.StatusCode, list())
		}
	}
}

// A token is in the one answer to its form: in no address, no cache and no other page.
func TestTokenForms(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	cookie := s.signInWith(s.link())
	for path, fields := range map[string][]string{
		"/settings": {"name", "nightly", "scope-read", "on", "scope-run", "on", "days", "30"},
		"/runners":  {"name", "box", "tags", "gpu, docker", "protected", "on"},
	} {
		got := s.send(path+"/tokens", cookie, append(fields, "form", "make-token")...)
		text := regexp.MustCompile(`<code class="once">(rfl_[^<]+)</code>`).FindStringSubmatch(got.body)
		if got.StatusCode != http.StatusOK || text == nil || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Location") != "" {
			t.Fatalf("%s: %d %v %s", path, got.StatusCode, got.Header, got.body)
		}
		if again := s.do(browser(path, cookie)); strings.Contains(again.body, text[1]) || !strings.Contains(again.body, fields[1]) {
			t.Errorf("%s: the list shows the token, or not its name: %s", path, again.body)
		}
		if strings.Contains(s.log.String(), text[1]) {
			t.Errorf("%s: the log has the token", path)
		}
		list, err := s.client().Tokens(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			if x.Name == fields[1] {
				if got := s.send(path+"/tokens/remove", cookie, "id", fmt.Sprint(x.ID)); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != path {
					t.Errorf("%s: revoke: %d %s", path, got.StatusCode, got.body)
				}
			}
		}
		if again := s.do(browser(path, cookie)); strings.Contains(again.body, ">"+fields[1]+"<") {
			t.Errorf("%s: the token is still in the list", path)
		}
	}
	if got := s.send("/settings/tokens", cookie, "form", "make-token", "name", "x", "days", "30"); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, "say what the token may do") {
		t.Errorf("no scope: %d", got.StatusCode)
	}
	if got := s.send("/settings/tokens", cookie, "form", "make-token", "name", "x", "scope-read", "on", "days", "999999999999999999"); got.StatusCode != http.StatusBadRequest {
		t.Errorf("days: %d", got.StatusCode)
	}
}

// The other forms do what they say.
func TestSettingsForms(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.work()
	s.addTestProject(1, "data/own")
	cookie, client, ctx := s.signInWith(s.link()), s.client(), t.Context()
	ok := func(path string, fields ...string) string {
		t.Helper()
		got := s.send(path, cookie, fields...)
		if got.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", path, got.StatusCode, got.body)
		}
		return got.Header.Get("Location")
	}
	if at := ok("/p/data/own/-/keys", "name", "deploy", "repos", "git@git.example.com:data/own.git", "known_hosts", hostLine, "type", "ed25519"); !strings.Contains(s.do(browser(strings.TrimSuffix(at, "#keys"), cookie)).body, "<details class=\"fold\" open><summary class=\"btn slim\">Show</summary><p><code class=\"once\">ssh-ed25519 ") {
		t.Errorf("the public half is not shown at %s", at)
	}
	ok("/p/data/own/-/retention", "days", "90", "runs", "5000", "last_good", "on")
	ok("/p/data/own/-/settings", "name", "data/own", "url", "https://git.example.com/data/own.git", "file", "ci/main.yml", "protected", "main, release/*", "poll", "5", "key", "deploy", "token_variable", "")
	p, err := client.Project(ctx, "data/own")
	if err != nil || p.File != "ci/main.yml" || p.Key != "deploy" || p.PollSeconds != 300 || strings.Join(p.Protected, " ") != "main release/*" || p.Retention == nil || *p.Retention != (api.Retention{Seconds: 90 * 86400, Runs: 5000, LastGood: true}) {
		t.Errorf("%+v %+v %v", p, p.Retention, err)
	}
	if got := s.send("/p/data/own/-/keys/remove", cookie, "name", "deploy"); got.StatusCode != http.StatusConflict || !strings.Contains(got.body, "reaches its repository with key deploy") {
		t.Errorf("a key that is used: %d", got.StatusCode)
	}
	for project, path := range map[string]string{"": "/settings/notifications", "data/own": "/p/data/own/-/notifications"} {
		ok(path, "name", "team", "kind", "webhook", "address", "https://hooks.example.invalid/secret-path", "failure", "on", "waiting", "on")
		list, err := client.Notifications(ctx, project)
		if err != nil || len(list) == 0 || strings.Join(list[0].Events, " ") != "failure waiting" || list[0].Host != "hooks.example.invalid" {
			t.Errorf("%q: %+v %v", project, list, err)
		}
		got := s.send(path+"/test", cookie, "name", "team")
		if got.StatusCode < 400 || !strings.Contains(got.body, "the test of team was not sent") || strings.Contains(got.body, "secret-path") {
			t.Errorf("a test to nowhere: %d %s", got.StatusCode, got.body)
		}
		ok(path+"/remove", "name", "team")
	}
	got := s.send("/p/data/own/-/hook", cookie, "forge", "gitlab")
	secret := regexp.MustCompile(`<code class="once">([^<]+)</code>`).FindStringSubmatch(got.body)
	if got.StatusCode != http.StatusOK || secret == nil || !strings.Contains(got.body, "Settings &gt; Webhooks") {
		t.Fatalf("hook: %d %s", got.StatusCode, got.body)
	}
	if again := s.do(browser("/p/data/own/-/hook", cookie)); strings.Contains(again.body, secret[1]) || !strings.Contains(again.body, "Nothing was delivered yet") {
		t.Errorf("hook: %s", again.body)
	}
	ok("/p/data/own/-/hook/remove")
	ok("/slots", "name", "warehouse", "max", "3")
	ok("/runtimes", "name", "python", "executor", "docker", "image", "python:3.13", "tags", "docker", "pull", "always")
	r, err := client.Runtime(ctx, "python")
	slot, serr := client.Slot(ctx, "warehouse")
	if err != nil || serr != nil || r.Image != "python:3.13" || r.Pull != "always" || slot.Max != 3 {
		t.Errorf("%+v %v, %+v %v", r, err, slot, serr)
	}
	if got := s.send("/runtimes", cookie, "name", "python", "executor", "process"); got.StatusCode != http.StatusBadRequest {
		t.Errorf("a runtime of this name is replaced: %d", got.StatusCode)
	}
	ok("/slots/remove", "name", "warehouse")
	ok("/runtimes/python/remove")
	if at := ok("/p/data/own/-/settings", "name", "data/renamed", "url", "https://git.example.com/data/own.git", "protected", ""); at != "/p/data/renamed/-/settings" {
		t.Errorf("renamed: to %s", at)
	}
	ok("/p/data/renamed/-/remove")
	if list, err := client.Projects(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

// Forms do what their caller may do by the API, and are shown to those only. What is in
// another project is not there.
func TestFormsNeedTheirAction(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	project, _ := fillPages(t, s)
	s.addTestProject(2, "data/other")
	before := s.state(t)
	cookie := func(project int64, scopes ...string) string {
		return s.signInWith(s.token(TokenInput{Name: strings.Join(scopes, "-"), Scopes: scopes, Project: project}))
	}
	posts := map[string][]string{ // by the action that they need
		"secret": {"/variables", "/variables/remove", "/keys", "/keys/remove"},
		"write":  {"/settings", "/retention", "/remove"},
		"admin":  {"/hook", "/hook/remove", "/notifications", "/notifications/remove", "/notifications/test"},
		"run":    {"/check"},
	}
	fields := []string{"name", "deploy", "value", "a value that is long", "url", "https://git.example.com/x.git", "failure", "on", "kind", "email", "address", "a@example.com", "known_hosts", hostLine, "repos", "git@git.example.com:a/b.git"}
	for action, paths := range posts {
		less := cookie(0, map[string]string{"secret": "write", "write": "secret", "admin": "write", "run": "read"}[action])
		foreign := cookie(2, action)
		for _, path := range paths {
			path = "/p/" + project + "/-" + path
			if got := s.send(path, less, fields...); got.StatusCode != http.StatusForbidden {
				t.Errorf("%s without %s: %d", path, action, got.StatusCode)
			}
			if got := s.send(path, foreign, fields...); got.StatusCode != http.StatusNotFound && got.StatusCode != http.StatusForbidden {
				t.Errorf("%s from another project: %d", path, got.StatusCode)
			}
		}
	}
	reader, own := cookie(0, "read"), cookie(1, "admin")
	for _, path := range []string{"/settings/variables", "/settings/variables/remove", "/settings/keys", "/settings/keys/remove", "/settings/tokens", "/settings/tokens/remove", "/settings/notifications", "/settings/notifications/remove",
		"/settings/notifications/test", "/runners/tokens", "/runners/tokens/remove", "/runners/box/drain", "/runners/box/remove", "/runtimes", "/runtimes/python/remove", "/slots", "/slots/remove"} {
		if got := s.send(path, reader, fields...); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s of who may only read: %d", path, got.StatusCode)
		}
		if strings.Contains(path, "tokens") {
			continue // a project's admin makes and removes those of its project
		}
		if got := s.send(path, own, fields...); got.StatusCode != http.StatusForbidden && got.StatusCode != http.StatusNotFound {
			t.Errorf("%s of who sees one project: %d", path, got.StatusCode)
		}
	}
	for _, path := range []string{"/settings", "/settings/variables", "/runners", "/runtimes/python", "/p/" + project, "/p/" + project + "/-/variables", "/p/" + project + "/-/hook", "/p/" + project + "/-/settings"} {
		got := s.do(browser(path, reader))
		if got.StatusCode != http.StatusOK || len(regexp.MustCompile(`<main[^§]*method="post"`).FindAllString(got.body, 1)) > 0 {
			t.Errorf("%s shows forms to who may only read: %d", path, got.StatusCode)
		}
	}
	if got := s.do(browser("/settings", reader)); !strings.Contains(got.body, "may not do this") {
		t.Errorf("tokens are refused and the page does not say so: %s", got.body)
	}
	if after := s.state(t); after != before {
		t.Errorf("refused forms changed something:\n%s\n%s", before, after)
	}
	if got := s.send("/p/"+project+"/-/variables", cookie(1, "secret"), "name", "NEW", "value", "a value that is long"); got.StatusCode != http.StatusSeeOther {
		t.Errorf("who may set secrets of its project: %d %s", got.StatusCode, got.body)
	}
}

// state is what the forms could change.
func (s *testServer) state(t *testing.T) string {
	t.Helper()
	client, ctx := s.client(), t.Context()
	var all []any
	for _, project := range []string{"", "data/own", "data/other"} {
		variables, err1 := client.Variables(ctx, project)
		keys, err2 := client.Keys(ctx, project)
		rules, err3 := client.Notifications(ctx, project)
		all = append(all, project, variables, keys, rules)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
	}
	projects, err1 := client.Projects(ctx)
	runtimes, err2 := client.Runtimes(ctx)
	slots, err3 := client.Slots(ctx)
	text, err := json.Marshal(append(all, projects, runtimes, slots))
	if err := errors.Join(err, err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A form that is too large is an error with a way out, not a broken page.
func TestLargeForm(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	got := s.send("/settings/variables", s.signInWith(s.link()), "name", "BIG", "value", strings.Repeat("x", 2<<20))
	if got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, "send it by the command") {
		t.Errorf("%d %s", got.StatusCode, got.body[:min(len(got.body), 3000)])
	}
}
