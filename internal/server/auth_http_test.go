package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"refline/internal/errs"
)

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := parsePublicURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// echo answers with what is known of the request.
func echo(s *testServer) {
	s.router.handle("/echo/{rest...}", actPublic, func(w http.ResponseWriter, r *http.Request) {
		i := infoOf(r.Context())
		_, _ = fmt.Fprintf(w, "client=%s host=%s scheme=%s base=%s path=%s cookie=%s", i.client, r.Host, i.scheme(), i.base, r.URL.Path, cookieName(r))
	})
}

func TestProxies(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(o *Options) { o.Proxies = []string{"10.0.0.0/24", "192.0.2.1"} })
	echo(s)
	forwarded := map[string]string{"X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.0.0.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "ci.example.org"}
	for name, tt := range map[string]struct {
		q    request
		want string
	}{
		"from a proxy":      {request{remote: "10.0.0.5", header: forwarded}, "client=203.0.113.9 host=ci.example.org scheme=https base= path=/echo/x cookie=__Host-refline"},
		"from somebody":     {request{remote: "203.0.113.5", header: forwarded}, "client=203.0.113.5 host=ci.example.com scheme=http base= path=/echo/x cookie=refline"},
		"single address":    {request{remote: "192.0.2.1", header: map[string]string{"X-Forwarded-For": "198.51.100.1"}}, "client=198.51.100.1 host=ci.example.com scheme=http base= path=/echo/x cookie=refline"},
		"garbage":           {request{remote: "10.0.0.5", header: map[string]string{"X-Forwarded-For": "x, <script>", "X-Forwarded-Host": "a/b"}}, "client=10.0.0.5 host=ci.example.com scheme=http base= path=/echo/x cookie=refline"},
		"only proxies":      {request{remote: "10.0.0.5", header: map[string]string{"X-Forwarded-For": "10.0.0.8, 10.0.0.7"}}, "client=10.0.0.8 host=ci.example.com scheme=http base= path=/echo/x cookie=refline"},
		"list of protocols": {request{remote: "10.0.0.5", header: map[string]string{"X-Forwarded-Proto": "https, http"}}, "client=10.0.0.5 host=ci.example.com scheme=http base= path=/echo/x cookie=refline"},
		"another port":      {request{remote: "10.0.0.5", host: "127.0.0.1:7401"}, "client=10.0.0.5 host=127.0.0.1:7401 scheme=http base= path=/echo/x cookie=refline-7401"},
	} {
		tt.q.path = "/echo/x"
		if got := s.do(tt.q); got.body != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got.body, tt.want)
		}
	}
	if _, err := parseProxies([]string{"10.0.0.0/33"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a wrong network: %v", err)
	}
}

func TestBasePath(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(o *Options) {
		o.PublicURL, o.Proxies = &url.URL{Scheme: "https", Host: "example.com", Path: "/ci/"}, []string{"10.0.0.5"}
	})
	echo(s)
	for path, want := range map[string]string{
		"/ci/echo/a%2Fb": "base=/ci path=/echo/a/b",
		"/echo/x":        "base= path=/echo/x", // a command on this computer
	} {
		if got := s.do(request{path: path}); !strings.Contains(got.body, want) {
			t.Errorf("%s: %s, want %s", path, got.body, want)
		}
	}
	// A proxy may have taken the base path away.
	if got := s.do(request{path: "/echo/x", remote: "10.0.0.5"}); !strings.Contains(got.body, "base=/ci path=/echo/x") {
		t.Errorf("through a proxy: %s", got.body)
	}
	if got := s.do(request{path: "/cicada/echo/x"}); got.StatusCode != http.StatusNotFound {
		t.Errorf("a path that only begins like it: %d", got.StatusCode)
	}
	if got := s.do(request{path: "/ci"}); got.Header.Get("Location") != "/ci/" {
		t.Errorf("/ci: %d to %s", got.StatusCode, got.Header.Get("Location"))
	}
	got := s.do(request{path: "/ci/api/v1/runs", header: map[string]string{"Accept": "text/html"}})
	if want := "/ci/sign-in?next=%2Fapi%2Fv1%2Fruns"; got.Header.Get("Location") != want {
		t.Errorf("to sign in: %s, want %s", got.Header.Get("Location"), want)
	}
	in := s.do(request{method: "POST", path: "/ci/sign-in", remote: "10.0.0.5", header: map[string]string{"X-Forwarded-Proto": "https"},
		body: url.Values{"token": {s.link()}, "next": {"/runs"}}.Encode()})
	if c := in.Cookies(); in.Header.Get("Location") != "/ci/runs" || len(c) != 1 || c[0].Name != "__Host-refline-ci" || !c[0].Secure || c[0].Path != "/" {
		t.Errorf("signed in: to %s, %+v", in.Header.Get("Location"), c)
	}
	for _, bad := range []string{"", "ci.example.com", "ftp://x", "https://u:p@x", "https://x/?a=b", "https://x/#y"} {
		if _, err := parsePublicURL(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("public URL %q: %v", bad, err)
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(o *Options) { o.PublicURL = mustURL(t, "https://ci.example.org") })
	cookie := s.signInWith(s.owner)
	for name, tt := range map[string]struct {
		header map[string]string
		want   int
	}{
		"a program":           {nil, http.StatusSeeOther},
		"our page":            {map[string]string{"Sec-Fetch-Site": "same-origin"}, http.StatusSeeOther},
		"our page, old":       {map[string]string{"Origin": "http://ci.example.com"}, http.StatusSeeOther},
		"the public URL":      {map[string]string{"Origin": "https://ci.example.org", "Sec-Fetch-Site": "cross-site"}, http.StatusSeeOther},
		"another site":        {map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"a sister host":       {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example.com"}, http.StatusForbidden},
		"another site, old":   {map[string]string{"Origin": "https://evil.example.com"}, http.StatusForbidden},
		"a sandboxed page":    {map[string]string{"Origin": "null"}, http.StatusForbidden},
		"another port, old":   {map[string]string{"Origin": "http://ci.example.com:81"}, http.StatusForbidden},
		"public URL by http":  {map[string]string{"Origin": "http://ci.example.org"}, http.StatusForbidden},
		"longer than the URL": {map[string]string{"Origin": "https://ci.example.org.evil.example"}, http.StatusForbidden},
	} {
		got := s.do(request{method: "POST", path: "/sign-out", cookie: cookie, header: tt.header})
		if got.StatusCode != tt.want {
			t.Errorf("%s: %d %s, want %d", name, got.StatusCode, got.body, tt.want)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for _, path := range []string{"/sign-in", "/healthz", "/api/v1/runs", "/nothing"} {
		h := s.do(request{path: path}).Header
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
			}
		}
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if h.Get("X-Request-Id") == "" {
			t.Errorf("%s: no request id", path)
		}
	}
	if strings.Contains(s.do(request{path: "/sign-in"}).body, "style=") {
		t.Error("the page has a style that the policy forbids")
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for name, err := range map[string]error{
		"invalid":     errs.E(errs.Invalid, "the colour is wrong"),
		"not-found":   errs.E(errs.NotFound, "no run 7"),
		"denied":      withHint(errs.E(errs.Denied, "not you"), "ask the owner"),
		"conflict":    errs.E(errs.Conflict, "it runs"),
		"unavailable": errs.E(errs.Unavailable, "the disk is full"),
		"internal":    errors.New("open /secret/path: no such file"),
		"wrapped":     fmt.Errorf("look at it: %w", errs.E(errs.NotFound, "no run 7")),
	} {
		s.router.plain("GET /fails/"+name, actPublic, func(http.ResponseWriter, *http.Request) error { return err })
	}
	s.router.handle("GET /panics", actPublic, func(http.ResponseWriter, *http.Request) { panic("of the handler") })
	for name, want := range map[string]string{
		"invalid": "400 invalid the colour is wrong | ", "not-found": "404 not found no run 7 | ", "denied": "403 denied not you | ask the owner",
		"conflict": "409 conflict it runs | ", "unavailable": "503 unavailable the disk is full | ",
		"internal": "500 internal internal error; the server's log has it under the request's id | ", "wrapped": "404 not found look at it: no run 7 | ",
	} {
		got := s.do(request{path: "/fails/" + name})
		p := got.problem(t)
		if text := fmt.Sprintf("%d %s %s | %s", got.StatusCode, p.Kind, p.Detail, p.Hint); text != want || p.Status != got.StatusCode || p.Title != http.StatusText(p.Status) {
			t.Errorf("%s: %s, want %s", name, text, want)
		}
		if (name == "unavailable") != (got.Header.Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", name, got.Header.Get("Retry-After"))
		}
	}
	func() {
		defer func() {
			if recover() != any(http.ErrAbortHandler) { //nolint:errorlint // a panic's own value
				t.Error("the connection of a handler that panicked goes on")
			}
		}()
		s.do(request{path: "/panics"})
	}()
	log := s.log.String()
	for _, want := range []string{"open /secret/path", `panic="of the handler"`, "status=500"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
	if got := s.do(request{path: "/nothing"}); got.StatusCode != http.StatusNotFound || got.problem(t).Kind != errs.NotFound {
		t.Errorf("no route: %d %s", got.StatusCode, got.body)
	}
	if got := s.do(request{method: "DELETE", path: "/sign-in"}); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") == "" || got.problem(t).Detail == "" {
		t.Errorf("another method: %d %v %s", got.StatusCode, got.Header, got.body)
	}
}

// Regression: huma puts the value that it refuses into its answer.
func TestProblemsDoNotEchoValues(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	const canary = "kanarie-9c41d7aa"
	for name, body := range map[string]string{
		"wrong type":   `{"url": 17, "name": {"` + canary + `": "` + canary + `"}}`,
		"not JSON":     `{"url": "` + canary + `", `,
		"unknown":      `{"` + canary + `": 1}`,
		"a text alone": `"` + canary + `"`,
	} {
		got := s.do(request{method: "POST", path: "/api/v1/projects", token: s.owner, body: body, header: map[string]string{"Content-Type": "application/json"}})
		if got.StatusCode < 400 || got.StatusCode >= 500 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
		if name != "unknown" && strings.Contains(got.body, canary) {
			t.Errorf("%s: the answer has the value: %s", name, got.body)
		}
		got.problem(t)
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	link := s.link()
	s.do(request{path: "/sign-in?token=" + link})
	s.do(request{method: "POST", path: "/sign-in", body: "token=" + link, remote: "203.0.113.9"})
	s.do(request{path: "/api/v1/runs/7?cursor=x", token: s.owner})
	s.do(request{path: "/api/v1/runs/%0Alevel=ERROR"})
	s.do(request{path: "/healthz"})
	log := s.log.String()
	for _, want := range []string{`path=/sign-in route="POST /sign-in" status=303`, "client=203.0.113.9 actor=owner", `path=/api/v1/runs/7 route="GET /api/v1/runs/{run}" status=404`,
		`path="/api/v1/runs/\nlevel=ERROR"`, "level=DEBUG msg=request method=GET path=/healthz"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in\n%s", want, log)
		}
	}
	for _, not := range []string{link, s.owner, "cursor"} {
		if strings.Contains(log, not) {
			t.Errorf("the log holds %s", not)
		}
	}
}

func TestFailuresAreLimited(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	known := s.token(TokenInput{Scopes: []string{"read"}})
	fresh := s.token(TokenInput{Scopes: []string{"read"}})
	ask := func(token, remote string) response {
		return s.do(request{path: "/api/v1/projects", token: token, remote: remote})
	}
	if got := ask(known, "203.0.113.9"); got.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	for i := range maxFailures {
		if got := ask("rfl_api_wrong", "203.0.113.9"); got.StatusCode != http.StatusUnauthorized {
			t.Fatalf("failure %d: %d", i, got.StatusCode)
		}
	}
	got := ask("rfl_api_wrong", "203.0.113.9")
	if got.StatusCode != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "" {
		t.Errorf("after %d failures: %d %v", maxFailures, got.StatusCode, got.Header)
	}
	if got := ask(fresh, "203.0.113.9"); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a token that was not seen yet: %d", got.StatusCode)
	}
	if got := ask(known, "203.0.113.9"); got.StatusCode != http.StatusOK {
		t.Errorf("a token that works behind the same address: %d", got.StatusCode)
	}
	if got := ask(fresh, "203.0.113.10"); got.StatusCode != http.StatusOK {
		t.Errorf("another address: %d", got.StatusCode)
	}
	s.pass(failureDrain + time.Second)
	if got := ask("rfl_api_wrong", "203.0.113.9"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after a while: %d", got.StatusCode)
	}
	for i := range maxFailures {
		ask("x", fmt.Sprintf("[2001:db8::%x]", i+1))
	}
	if got := ask("x", "[2001:db8::ffff]"); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("another address of the same network: %d", got.StatusCode)
	}
	for i := range maxClients + 10 {
		s.secrets.auth.failures.add(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
	}
	if n := len(s.secrets.auth.failures.list); n > maxClients {
		t.Errorf("%d clients are remembered", n)
	}
}

func TestLimitsOfBodies(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	read := func(w http.ResponseWriter, r *http.Request) error {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			_, _ = fmt.Fprint(w, n)
		}
		return err
	}
	s.router.plain("POST /usual", actPublic, read)
	s.router.plain("POST /small", need{action: actPublic, body: 10}, read)
	s.router.plain("POST /any", need{action: actPublic, body: unbounded}, read)
	for _, tt := range []struct {
		path string
		size int
		want int
	}{{"/small", 10, 200}, {"/small", 11, 413}, {"/usual", defaultBody, 200}, {"/usual", defaultBody + 1, 413}, {"/any", 2 * defaultBody, 200}} {
		got := s.do(request{method: "POST", path: tt.path, body: strings.Repeat("x", tt.size)})
		if got.StatusCode != tt.want {
			t.Errorf("%s with %d bytes: %d %s, want %d", tt.path, tt.size, got.StatusCode, got.body, tt.want)
		}
	}
	got := s.do(request{method: "POST", path: "/api/v1/projects", token: s.owner, body: `{"name": "` + strings.Repeat("x", defaultBody) + `"}`,
		header: map[string]string{"Content-Type": "application/json"}})
	if got.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("an operation: %d %s", got.StatusCode, got.body)
	}
}

// A deadline for reading that passes after the body was read would cancel the
// request's context, and with it calls that wait long for an answer.
func TestDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.router.readTime = 100 * time.Millisecond
	s.router.plain("POST /wait", need{action: actPublic, stream: true}, func(w http.ResponseWriter, r *http.Request) error {
		control := http.NewResponseController(w)
		for range 2 { // a decoder may read past the end
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return err
			}
		}
		select {
		case <-r.Context().Done():
			return context.Cause(r.Context())
		case <-time.After(300 * time.Millisecond):
		}
		_, _ = io.WriteString(w, "done")
		return control.Flush()
	})
	web := httptest.NewServer(s.Handler())
	defer web.Close()
	resp, err := http.Post(web.URL+"/wait", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "done" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// A client that sends a body that the handler does not read must not hold the
// connection.
func TestUnreadBodyEnds(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	web := httptest.NewUnstartedServer(s.Handler())
	web.Config = newHTTPServer(s.Handler())
	web.Start()
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d, %v", resp.StatusCode, err)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("the connection is still open: %v", err)
	}
}
