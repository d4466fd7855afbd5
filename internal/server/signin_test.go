package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// signInWith posts a token into the form and returns the session's cookie.
func (s *testServer) signInWith(token string) string {
	s.t.Helper()
	got := s.do(request{method: "POST", path: "/sign-in", body: url.Values{"token": {token}}.Encode()})
	if got.StatusCode != http.StatusSeeOther || got.cookie() == "" {
		s.t.Fatalf("sign in: %d %s", got.StatusCode, got.body)
	}
	return got.cookie()
}

func (s *testServer) link() string {
	s.t.Helper()
	token, err := s.secrets.SignInLink(s.t.Context(), owned())
	if err != nil {
		s.t.Fatal(err)
	}
	return token.RevealString()
}

func TestSignInLink(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	token := s.link()
	u, err := url.Parse(SignInURL("http://127.0.0.1:7400/", secretOf(token)))
	if err != nil || u.Path != "/sign-in" {
		t.Fatalf("%s, %v", u, err)
	}
	// A program that looks at the link does not use it up.
	for range 3 {
		page := s.do(request{path: u.RequestURI()})
		if page.StatusCode != http.StatusOK || !strings.Contains(page.body, token) || page.cookie() != "" || page.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("the page: %d %s", page.StatusCode, page.body)
		}
	}
	form := request{method: "POST", path: "/sign-in", body: url.Values{"token": {token}, "next": {"/runs?status=failed"}}.Encode()}
	got := s.do(form)
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/runs?status=failed" {
		t.Fatalf("%d to %s: %s", got.StatusCode, got.Header.Get("Location"), got.body)
	}
	c := got.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure || c.MaxAge != int(sessionLife.Seconds()) || c.Name != "refline" {
		t.Errorf("cookie %+v", c)
	}
	session := request{path: "/api/v1/projects", cookie: got.cookie()}
	if got := s.do(session); got.StatusCode != http.StatusOK {
		t.Errorf("with the session: %d %s", got.StatusCode, got.body)
	}
	if again := s.do(form); again.StatusCode != http.StatusUnauthorized || again.cookie() != "" || !strings.Contains(again.body, "revoked") {
		t.Errorf("the link a second time: %d %s", again.StatusCode, again.body)
	}
	// The cookie is not a token for programs, and the other way round.
	_, value, _ := strings.Cut(session.cookie, "=")
	if got := s.do(request{path: "/api/v1/projects", token: value}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session as bearer: %d", got.StatusCode)
	}
	if got := s.do(request{path: "/api/v1/projects", cookie: "refline=" + s.owner}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the owner's token as cookie: %d", got.StatusCode)
	}
	if got := s.do(request{path: "/api/v1/projects", token: s.link()}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a link as bearer: %d", got.StatusCode)
	}
}

func TestSignInEnds(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	late := s.link()
	session := request{path: "/api/v1/projects", cookie: s.signInWith(s.link())}
	s.pass(linkLife)
	if got := s.do(request{method: "POST", path: "/sign-in", body: "token=" + late}); got.StatusCode != http.StatusUnauthorized || !strings.Contains(got.body, "expired") {
		t.Errorf("a link after ten minutes: %d %s", got.StatusCode, got.body)
	}
	out := s.do(request{method: "POST", path: "/sign-out", cookie: session.cookie})
	if out.StatusCode != http.StatusSeeOther || out.Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign out: %d %+v", out.StatusCode, out.Cookies())
	}
	if got := s.do(session); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", got.StatusCode)
	}
	session.cookie = s.signInWith(s.owner)
	s.pass(sessionLife)
	if got := s.do(session); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after a week: %d", got.StatusCode)
	}
	// An old cookie does not hide the page to sign in.
	if got := s.do(request{path: "/sign-in", cookie: session.cookie}); got.StatusCode != http.StatusOK {
		t.Errorf("the page with an old cookie: %d", got.StatusCode)
	}
}

func TestSessionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	text, tok, err := s.secrets.NewToken(t.Context(), owned(), TokenInput{Name: "owner", Scopes: []string{"read"}, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	session := request{path: "/api/v1/projects", cookie: s.signInWith(text.RevealString())}
	if got := s.do(session); got.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	// A token that is called like the owner does not become it.
	if got := s.do(request{method: "DELETE", path: "/api/v1/runtimes/x", cookie: session.cookie}); got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, "token owner may not") {
		t.Errorf("an admin's call: %d %s", got.StatusCode, got.body)
	}
	if err := s.secrets.RevokeToken(t.Context(), owned(), tok.ID); err != nil {
		t.Fatal(err)
	}
	if got := s.do(session); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the token was revoked: %d", got.StatusCode)
	}
	for _, in := range []TokenInput{{Runner: true}} {
		if got := s.do(request{method: "POST", path: "/sign-in", body: "token=" + s.token(in)}); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("a runner's token signs in: %d", got.StatusCode)
		}
	}
}

func TestBrowserIsSentToSignIn(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	got := s.do(request{path: "/api/v1/runs?status=failed", header: map[string]string{"Accept": "text/html,*/*"}})
	if want := "/sign-in?next=%2Fapi%2Fv1%2Fruns%3Fstatus%3Dfailed"; got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != want {
		t.Errorf("%d to %s, want %s", got.StatusCode, got.Header.Get("Location"), want)
	}
	p := s.do(request{path: "/api/v1/runs"})
	if p.StatusCode != http.StatusUnauthorized || p.Header.Get("WWW-Authenticate") == "" || !strings.Contains(p.problem(t).Hint, "refline login") {
		t.Errorf("a program: %d %v %s", p.StatusCode, p.Header, p.body)
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/runs?q=a%20b":         "/runs?q=a%20b",
		"/p/data%2Fx":           "/p/data%2Fx",
		"":                      "/",
		"runs":                  "/",
		"//evil.example.com":    "/",
		"/\\evil.example.com":   "/",
		"https://evil.example":  "/",
		"/..//evil.example.com": "/..//evil.example.com",
		"javascript:alert(1)":   "/",
		"/a\r\nSet-Cookie: x=y": "/",
		"/sign-in?token=x":      "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%q: %q, want %q", next, got, want)
		}
	}
}
