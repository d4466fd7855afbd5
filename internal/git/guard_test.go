package git

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"refline/internal/errs"
	"refline/internal/netguard"
)

// loopbackNames is a resolver for which every name is this computer.
func loopbackNames(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// guard trusts the hosts of registered projects: git.corp.test, which only its
// own resolver knows. What git reaches by that name it reaches by the pin.
func guard(t *testing.T) *netguard.Guard {
	return netguard.New(netguard.Options{Resolver: loopbackNames(t), Trusted: func(host string) bool { return host == "git.corp.test" }})
}

func named(t *testing.T, rawURL, host string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	must(t, err)
	u.Host = net.JoinHostPort(host, u.Port())
	return u.String()
}

func guarded(t *testing.T) Access {
	return Access{Guard: guard(t), AllowHTTP: true, Environ: environ(t), Attempts: 1}
}

// A server reaches the hosts of its projects and public addresses, and nothing
// else in its network.
func TestGuard(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	var hits atomic.Int32
	at := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			hits.Add(1)
			next.ServeHTTP(w, req)
		})
	}) + "/repo"
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(at, "http://"), "/repo"))

	r := remote(t, named(t, at, "git.corp.test"), guarded(t))
	ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{})
	if got := tree(t, ws)["a"]; got != "1" {
		t.Errorf("a registered host: a is %q", got)
	}
	if _, err := r.Refs(t.Context()); err != nil {
		t.Errorf("refs: %v", err)
	}
	for _, raw := range []string{
		at, named(t, at, "elsewhere.test"), named(t, at, "localhost"), named(t, at, "127.1"), named(t, at, "2130706433"),
		"http://[::1]:" + port + "/repo", "http://[::ffff:127.0.0.1]:" + port + "/repo", "http://169.254.169.254/latest/meta-data",
		"ssh://git@127.0.0.1:22/x", "git@localhost:x", "ssh://git@elsewhere.test/x", "https://10.0.0.1/x",
	} {
		hits.Store(0)
		r, err := NewRemote(raw, t.TempDir(), guarded(t))
		if err == nil {
			_, err = r.Resolve(t.Context(), Ref{})
		}
		if err == nil {
			_, err = r.Update(t.Context(), Ref{}, 1)
		}
		if !errs.Is(err, errs.Denied) && !errs.Is(err, errs.Invalid) || hits.Load() > 0 {
			t.Errorf("%s: %v: %v; %d requests arrived", raw, errs.KindOf(err), err, hits.Load())
		}
	}
	a := guarded(t)
	a.Trust = User
	if _, err := remote(t, at, a).Resolve(t.Context(), Ref{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a user with a guard: %v", err)
	}
}

// What a trusted host says does not lead git elsewhere: by a redirect, by the
// alternates of the dumb protocol, or by a submodule.
func TestGuardedHostLeadsNowhere(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	var hits atomic.Int32
	secret := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		_, _ = io.WriteString(w, "inside")
	}))
	t.Cleanup(secret.Close)
	id := strings.Repeat("1", 40)
	for name, serve := range map[string]http.HandlerFunc{
		"redirect of all": func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, secret.URL+req.URL.RequestURI(), http.StatusFound)
		},
		"alternates": func(w http.ResponseWriter, req *http.Request) {
			switch {
			case strings.HasSuffix(req.URL.Path, "/info/refs"):
				_, _ = io.WriteString(w, id+"\trefs/heads/main\n")
			case strings.HasSuffix(req.URL.Path, "/HEAD"):
				_, _ = io.WriteString(w, "ref: refs/heads/main\n")
			case strings.HasSuffix(req.URL.Path, "alternates"):
				_, _ = io.WriteString(w, secret.URL+"/objects\n")
			default:
				http.NotFound(w, req)
			}
		},
	} {
		server := httptest.NewServer(serve)
		t.Cleanup(server.Close)
		hits.Store(0)
		r := remote(t, named(t, server.URL+"/repo", "git.corp.test"), guarded(t))
		_, err := r.Resolve(t.Context(), Ref{})
		if err == nil {
			err = r.Fetch(t.Context(), Resolved{Kind: KindCommit, Commit: id}, 0)
		}
		if err == nil || hits.Load() > 0 {
			t.Errorf("%s: %v; %d requests arrived inside", name, err, hits.Load())
		}
	}
	for _, inner := range []string{secret.URL + "/x", named(t, secret.URL+"/x", "localhost"), named(t, secret.URL+"/x", "elsewhere.test"), "/etc", "file:///etc", "ssh://git@127.0.0.1:" + fmt.Sprint(freePort(t)) + "/x"} {
		top := newRepo(t)
		top.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = "+inner+"\n")
		top.git("add", ".gitmodules")
		top.git("update-index", "--add", "--cacheinfo", "160000,"+src.git("rev-parse", "HEAD")+",sub")
		top.git("commit", "-qm", "one")
		r := remote(t, named(t, serveHTTP(t, filepath.Dir(top.dir), asIs)+"/repo", "git.corp.test"), guarded(t))
		hits.Store(0)
		err := r.Checkout(t.Context(), r.mustResolve(t, Ref{}), filepath.Join(t.TempDir(), "ws"), CheckoutOptions{Submodules: SubmodulesRecursive})
		if !errs.Is(err, errs.Denied) || hits.Load() > 0 {
			t.Errorf("submodule %s: %v: %v; %d requests arrived inside", inner, errs.KindOf(err), err, hits.Load())
		}
	}
}

// An LFS server names the URLs of its objects; they pass the guard too.
func TestGuardedLFS(t *testing.T) {
	long(t)
	t.Parallel()
	src, oid, object := lfsRepo(t)
	var seen sync.Map
	all := func(next http.Handler) http.Handler {
		all := lfsServer(map[string]string{oid: object}, &seen)(next)
		mux := http.NewServeMux()
		mux.Handle("/objects/", all)
		mux.Handle("/", signIn(func(*http.Request) {})(all))
		return mux
	}
	at := serveHTTP(t, filepath.Dir(src.dir), all) + "/repo"
	a := guarded(t)
	a.Login = func(site string) (string, string) {
		if strings.Contains(site, "git.corp.test") {
			return "", token
		}
		return "", ""
	}
	r := remote(t, named(t, at, "git.corp.test"), a)
	c := r.mustResolve(t, Ref{})
	for _, standalone := range []bool{false, true} {
		ws := r.mustCheckout(t, c, CheckoutOptions{LFS: true, Standalone: standalone})
		if got := tree(t, ws)["dir/big.bin"]; got != object {
			t.Errorf("standalone %v: got %.60q", standalone, got)
		}
		if got := gitIn(t, ws, src.env, "status", "--porcelain"); got != "" {
			t.Errorf("status %q", got)
		}
		noSecret(t, ws)
	}
	if n, _ := seen.Load(oid); n != 1 {
		t.Errorf("the object was loaded %v times", n)
	}
	if text, err := os.ReadFile(r.lfsFile(oid)); err != nil || string(text) != object {
		t.Errorf("stored: %.40q, %v", text, err)
	}

	var hits atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		_, _ = io.WriteString(w, object)
	}))
	t.Cleanup(inside.Close)
	for href, want := range map[string]errs.Kind{
		inside.URL + "/" + oid: errs.Denied, named(t, inside.URL, "elsewhere.test"): errs.Denied, "http://169.254.169.254/x": errs.Denied,
		"file:///etc/passwd": errs.Invalid, "ftp://git.corp.test/x": errs.Invalid, "": errs.Invalid,
	} {
		lying := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if !strings.HasSuffix(req.URL.Path, "/objects/batch") {
					next.ServeHTTP(w, req)
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"objects": []any{map[string]any{"oid": oid, "size": 6000,
					"actions": map[string]any{"download": map[string]any{"href": href}}}}})
			})
		}) + "/repo"
		r := remote(t, named(t, lying, "git.corp.test"), guarded(t))
		err := r.Checkout(t.Context(), r.mustResolve(t, Ref{}), filepath.Join(t.TempDir(), "ws"), CheckoutOptions{LFS: true})
		if !errs.Is(err, want) || hits.Load() > 0 {
			t.Errorf("href %q: %v: %v; %d requests arrived inside", href, errs.KindOf(err), err, hits.Load())
		}
	}
	for name, body := range map[string]string{"too long": object + "x", "too short": object[1:], "another": strings.Repeat("other\n", 1000)} {
		lying := serveHTTP(t, filepath.Dir(src.dir), lfsServer(map[string]string{oid: body}, &seen)) + "/repo"
		a := guarded(t)
		a.Attempts, a.Wait = 2, time.Millisecond
		r := remote(t, named(t, lying, "git.corp.test"), a)
		err := r.Checkout(t.Context(), r.mustResolve(t, Ref{}), filepath.Join(t.TempDir(), "ws"), CheckoutOptions{LFS: true})
		if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "is not what its name says") {
			t.Errorf("%s: %v: %v", name, errs.KindOf(err), err)
		}
	}
}

// ssh connects to the address that was checked and knows the host by its name.
func TestGuardedSSH(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	s := startSSH(t, true)
	text, err := os.ReadFile(s.knownHosts)
	must(t, err)
	known := filepath.Join(t.TempDir(), "known_hosts")
	must(t, os.WriteFile(known, []byte(strings.ReplaceAll(string(text), "127.0.0.1", "git.corp.test")), 0o600))
	key := agent(t, s.key)
	for name, tc := range map[string]struct {
		known, host string
		want        errs.Kind // 0 for success
	}{
		"by name":               {known, "git.corp.test", 0},
		"the address's own key": {s.knownHosts, "git.corp.test", errs.Denied},
		"another host":          {known, "elsewhere.test", errs.Denied},
		"the address":           {s.knownHosts, "127.0.0.1", errs.Denied},
	} {
		a := guarded(t)
		a.KnownHosts, a.IdentityAgent = tc.known, key
		_, err := remote(t, fmt.Sprintf("ssh://%s@%s:%d%s", sshUser(), tc.host, s.port, src.dir), a).Resolve(t.Context(), Ref{})
		if tc.want == 0 && err != nil || tc.want != 0 && !errs.Is(err, tc.want) {
			t.Errorf("%s: %v: %v", name, errs.KindOf(err), err)
		}
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"2.36.9": false, "2.37.0": true, "2.39.5": true, "3.0": true, "1.9": false, "": false, "x": false, "2.37.1 (Apple Git-137.1)": true} {
		if got := newEnoughToPin(version); got != want {
			t.Errorf("git %q: %v, want %v", version, got, want)
		}
	}
	for raw, want := range map[string]string{
		"https://h/x": "h 443", "https://h:8443/x": "h 8443", "http://[2606:4700::1111]/x": "2606:4700::1111 80", "http://[2606:4700::1111]:81/x": "2606:4700::1111 81",
		"ssh://u@h:2222/x": "h 2222", "ssh://h/x": "h 22", "u@h:x/y": "h 22", "u@[2606:4700::1111]:x": "2606:4700::1111 22",
	} {
		addr, err := parseAddress(raw, Access{AllowHTTP: true})
		must(t, err)
		if host, port := addr.hostPort(); host+" "+port != want {
			t.Errorf("%s: %s %s, want %s", raw, host, port, want)
		}
	}
	for name, tc := range map[string]struct {
		environ []string
		url     string
		want    bool
	}{
		"none":       {nil, "https://h.example/x", false},
		"https":      {[]string{"https_proxy=http://p:3128"}, "https://h.example/x", true},
		"upper case": {[]string{"HTTPS_PROXY=http://p:3128"}, "https://h.example/x", true},
		"all":        {[]string{"ALL_PROXY=http://p:3128"}, "http://h.example/x", true},
		"another":    {[]string{"https_proxy=http://p:3128"}, "http://h.example/x", false},
		"left out":   {[]string{"https_proxy=http://p:3128", "NO_PROXY=.example"}, "https://h.example/x", false},
		"HTTP_PROXY": {[]string{"HTTP_PROXY=http://p:3128"}, "http://h.example/x", false}, // libcurl ignores it
		"http_proxy": {[]string{"http_proxy=http://p:3128"}, "http://h.example/x", true},
	} {
		addr, err := parseAddress(tc.url, Access{AllowHTTP: true})
		must(t, err)
		if got := behindProxy(tc.environ, addr); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	network := netip.MustParsePrefix("127.0.0.0/8")
	a := guarded(t)
	a.Guard = netguard.New(netguard.Options{Resolver: loopbackNames(t), Allow: []netip.Prefix{network}})
	addr, err := parseAddress("https://h.example:8443/x", a)
	must(t, err)
	p, err := a.pin(t.Context(), addr)
	if want := (setting{"http.curloptResolve", "h.example:8443:127.0.0.1"}); err != nil || len(p.settings) != 1 || p.settings[0] != want {
		t.Errorf("got %+v, %v, want %+v", p, err, want)
	}
}
