package source

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/errs"
)

// site is a server of includes: /ci.yml is one, /to?u=URL redirects.
func site(t *testing.T, secure bool) *httptest.Server {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ci.yml":
			fmt.Fprint(w, "job: {script: [x]}\n")
		case "/to":
			http.Redirect(w, r, r.URL.Query().Get("u"), http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	s := httptest.NewUnstartedServer(h)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Whoever answers for an include does not decide what is asked on this computer
// and its network.
func TestRemoteRedirects(t *testing.T) {
	t.Parallel()
	one, two, secure := site(t, false), site(t, false), site(t, true)
	port := two.URL[strings.LastIndexByte(two.URL, ':')+1:]
	const origin = "http://127.0.0.1:8080/data/flows.git"
	for name, c := range map[string]struct {
		from, to, origin string
		kind             errs.Kind
		want             string // in the error; "" for success
	}{
		"none":                   {from: one.URL, to: ""},
		"the same server":        {from: one.URL, to: "/ci.yml"},
		"loopback":               {from: one.URL, to: two.URL + "/ci.yml", kind: errs.Denied, want: "not a public address"},
		"loopback by name":       {from: one.URL, to: "http://localhost:" + port + "/ci.yml", kind: errs.Denied, want: "not a public address"},
		"loopback, IPv6":         {from: one.URL, to: "http://[::1]:" + port + "/ci.yml", kind: errs.Denied, want: "not a public address"},
		"loopback, IPv4 in v6":   {from: one.URL, to: "http://[::ffff:127.0.0.1]:" + port + "/ci.yml", kind: errs.Denied, want: "not a public address"},
		"any address":            {from: one.URL, to: "http://0.0.0.0:" + port + "/ci.yml", kind: errs.Denied, want: "not a public address"},
		"metadata":               {from: one.URL, to: "http://169.254.169.254/latest/", kind: errs.Denied, want: "not a public address"},
		"private":                {from: one.URL, to: "http://10.1.2.3/ci.yml", kind: errs.Denied, want: "not a public address"},
		"a short address":        {from: one.URL, to: "http://127.1:" + port + "/ci.yml", kind: errs.Invalid, want: "neither a host name nor an address"},
		"own server":             {from: one.URL, to: two.URL + "/ci.yml", origin: origin},
		"own server, link-local": {from: one.URL, to: "http://169.254.169.254/", origin: "http://169.254.169.254/x.git", kind: errs.Denied, want: "not a public address"},
		"own server by ssh":      {from: one.URL, to: two.URL + "/ci.yml", origin: "git@127.0.0.1:data/flows.git"},
		"from https to http":     {from: secure.URL, to: one.URL + "/ci.yml", origin: origin, kind: errs.Denied, want: "without TLS"},
		"a file":                 {from: one.URL, to: "file:///etc/passwd", kind: errs.Denied, want: "file URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := c.from + "/ci.yml"
			if c.to != "" {
				address = c.from + "/to?u=" + c.to
			}
			in := Includes{CAFile: caFile(t, secure)}
			data, err := in.get(t.Context(), address, c.origin)
			if c.want == "" {
				if err != nil || !strings.Contains(string(data), "script") {
					t.Errorf("got %q, %v", data, err)
				}
				return
			}
			if !errs.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v (%s), want %s with %q", err, errs.KindOf(err), c.kind, c.want)
			}
		})
	}
}

func TestRemoteRedirectsInCircles(t *testing.T) {
	t.Parallel()
	circle := httptest.NewServer(http.RedirectHandler("/again", http.StatusFound))
	defer circle.Close()
	_, err := Includes{}.get(t.Context(), circle.URL, "")
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "more than 5 times") {
		t.Errorf("got %v", err)
	}
}

func TestRemoteAuthority(t *testing.T) {
	t.Parallel()
	s := site(t, true)
	_, err := Includes{}.get(t.Context(), s.URL+"/ci.yml", "")
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "REFLINE_CA_FILE") {
		t.Errorf("an unknown authority: got %v", err)
	}
	if _, err := (Includes{CAFile: caFile(t, s)}).get(t.Context(), s.URL+"/ci.yml", ""); err != nil {
		t.Errorf("with its file: %v", err)
	}
	if _, err := (Includes{CAFile: filepath.Join(t.TempDir(), "none")}).get(t.Context(), s.URL+"/ci.yml", ""); !errs.Is(err, errs.NotFound) {
		t.Errorf("a file that is not there: got %v", err)
	}
}
