package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"refline/internal/api"
	"refline/internal/errs"
)

// contains is strings.Contains for any text.
func contains[T ~string](text T, part string) bool { return strings.Contains(string(text), part) }

// serve starts a site over an API.
func serve(t *testing.T, handler http.HandlerFunc) *http.ServeMux {
	t.Helper()
	mux := http.NewServeMux()
	site := New(Options{API: handler, Base: func(*http.Request) string { return "/ci" }})
	for _, r := range site.Routes() {
		mux.HandleFunc(r.Pattern, r.Handler)
	}
	return mux
}

func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// What a page asks of the API is asked by the browser's session and by nothing else.
func TestPagesAskAsTheirCaller(t *testing.T) {
	t.Parallel()
	asked := 0
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if got := r.Header.Get("Cookie"); got != "refline=rfl_session_x" || r.Header.Get("Authorization") != "" || r.Host != "example.com" {
			t.Errorf("%s: cookie %q, authorization %q, host %q", r.URL, got, r.Header.Get("Authorization"), r.Host)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: 403, Kind: errs.Denied, Detail: "token <b> may not do this"})
	})
	got := get(t, h, "/", "Cookie", "refline=rfl_session_x")
	if got.Code != http.StatusForbidden || asked == 0 || !contains(got.Body.String(), "token &lt;b&gt; may not do this") || !contains(got.Body.String(), "<title>Not allowed") {
		t.Errorf("%d after %d requests: %s", got.Code, asked, got.Body)
	}
}

// A handler of the API that panics, ends without an answer, or answers bit by bit.
func TestTransport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
		body    string
	}{
		"panic":     {func(http.ResponseWriter, *http.Request) { panic("no") }, 500, ""},
		"no answer": {func(http.ResponseWriter, *http.Request) {}, 200, ""},
		"late panic": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			panic("no")
		}, 200, "a"},
		"in parts": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", "1")
			w.WriteHeader(201)
			w.Header().Set("X-A", "2")
			for i := range 3 {
				_, _ = fmt.Fprint(w, i)
				_ = http.NewResponseController(w).Flush()
			}
		}, 201, "012"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := &apiTransport{handler: c.handler, caller: httptest.NewRequest("GET", "/", nil)}
			r := httptest.NewRequest("GET", "http://refline.internal/api/v1/x?y=1", nil)
			resp, err := tr.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != c.status || string(body) != c.body || (err != nil) != strings.Contains(name, "panic") {
				t.Errorf("%d %q %v", resp.StatusCode, body, err)
			}
			if name == "in parts" && resp.Header.Get("X-A") != "1" {
				t.Errorf("header %v", resp.Header)
			}
		})
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	h := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	for kind, limit := range map[string]int{"css": 8 << 10, "js": 12 << 10} {
		a := assets()[kind]
		if len(a.zip) > limit {
			t.Errorf("%s: %d bytes gzipped, at most %d", kind, len(a.zip), limit)
		}
		got := get(t, h, "/assets/"+a.name)
		if got.Code != 200 || got.Body.String() != string(a.body) || !contains(got.Header().Get("Cache-Control"), "immutable") || got.Header().Get("Content-Type") != a.media {
			t.Errorf("%s: %d %v", a.name, got.Code, got.Header())
		}
	}
	if got := get(t, h, "/assets/page.000000000000.css"); got.Code != 404 || contains(got.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("of another version: %d %v", got.Code, got.Header())
	}
}

// Names of projects have slashes; where they end is where "/-" begins.
func TestProjectAddresses(t *testing.T) {
	t.Parallel()
	if got, want := flowPath("data/ware house", "a/b?"), "/p/data/ware%20house/-/flows/a%2Fb%3F"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s := New(Options{API: http.NotFoundHandler()})
	s.projects = http.NewServeMux()
	s.projects.HandleFunc("GET /p/{project}/-/flows/{flow}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s|%s", r.PathValue("project"), r.PathValue("flow"))
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /p/{path...}", s.serveProject)
	for path, want := range map[string]string{
		flowPath("data/ware house", "a/b?"): "data/ware house|a/b?",
		"/p/x/-/flows/y":                    "x|y",
	} {
		if got := get(t, mux, path); got.Body.String() != want {
			t.Errorf("%s: %q, want %q", path, got.Body, want)
		}
	}
	for _, path := range []string{"/p/", "/p/x/-/nothing"} {
		if got := get(t, mux, path); got.Code != 404 {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	h := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	post := func(form string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/preferences", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	got := post("zone=Asia%2FTokyo&theme=dark&next=%2Fruns%3Fq%3Da")
	if got.Code != 303 || got.Header().Get("Location") != "/ci/runs?q=a" {
		t.Fatalf("%d to %s", got.Code, got.Header().Get("Location"))
	}
	r := httptest.NewRequest("GET", "/", nil)
	for _, c := range got.Result().Cookies() {
		r.AddCookie(c)
	}
	if p := readPreferences(r); p.Zone != "Asia/Tokyo" || !p.Chosen || p.Theme != "dark" || !p.NoKeys || p.location.String() != "Asia/Tokyo" {
		t.Errorf("%+v", p)
	}
	if got := post("zone=Nowhere%2FAtAll"); got.Code != 400 || !contains(got.Body.String(), "not a time zone") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := post("next=%2F%2Fevil.example.com"); got.Header().Get("Location") != "/ci/" {
		t.Errorf("to %s", got.Header().Get("Location"))
	}
	r = httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: preferenceCookie, Value: "zone=../../etc/passwd&theme=x"})
	if p := readPreferences(r); p.Zone != "" || p.Theme != "" || p.location.String() != "UTC" {
		t.Errorf("%+v", p)
	}
}
