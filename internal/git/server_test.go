package git

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

const token = "glpat-S3cretTokenValue42"

// signIn answers 401 without, and 403 with other than the right credentials.
func signIn(seen func(*http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			user, password, ok := req.BasicAuth()
			seen(req)
			if !ok || user != "oauth2" || password != token {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	var mu sync.Mutex
	var inArgs []string
	// The git processes wait for the answer while their arguments are read.
	look := func(*http.Request) {
		names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range names {
			if text, _ := os.ReadFile(name); bytes.Contains(text, []byte(token)) {
				mu.Lock()
				inArgs = append(inArgs, string(text))
				mu.Unlock()
			}
		}
	}
	url := serveHTTP(t, filepath.Dir(src.dir), signIn(look)) + "/repo"
	withToken := func(trust Trust) Access {
		return Access{Trust: trust, Environ: environ(t), Password: func() string { return token }}
	}
	home := environ(t)
	helper := `!f() { test "$1" = get && echo username=oauth2 && echo password=` + token + `; }; f`
	gitIn(t, t.TempDir(), home, "config", "--global", "credential.helper", helper)
	for _, tc := range []struct {
		name   string
		url    string
		access Access
		kind   errs.Kind // 0 for success
		want   string
	}{
		{"server with a token", url, withToken(Server), 0, ""},
		{"user with a token", url, withToken(User), 0, ""},
		{"in the URL", strings.Replace(url, "http://", "http://oauth2:"+token+"@", 1), Access{Environ: environ(t)}, 0, ""},
		{"user's own helper", url, Access{Trust: User, Environ: home}, 0, ""},
		{"a server does not use the user's helper", url, Access{Environ: home}, errs.Denied, "asks for credentials"},
		{"none", url, Access{Trust: User, Environ: environ(t)}, errs.Denied, "asks for credentials"},
		{"wrong", url, Access{Environ: environ(t), Password: func() string { return token + "x" }}, errs.Denied, "does not accept the credentials"},
		{"wrong user in the URL", strings.Replace(url, "http://", "http://bob:"+token+"@", 1), Access{Environ: environ(t)}, errs.Denied, "does not accept"},
		{"with a line break", url, Access{Environ: environ(t), Password: func() string { return token + "\nurl=https://x" }}, errs.Invalid, "line break"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := remote(t, tc.url, tc.access)
			c, err := r.Resolve(context.Background(), Ref{})
			text := fmt.Sprintf("%v %+v %#v %s", err, c, r.access, r.URL())
			if err == nil {
				ws := r.mustCheckout(t, c, CheckoutOptions{})
				if diff := cmp.Diff(map[string]string{"a": "1"}, tree(t, ws)); diff != "" {
					t.Error(diff)
				}
				noSecret(t, ws)
			}
			noSecret(t, filepath.Dir(r.Dir()))
			if tc.kind == 0 && err != nil || tc.kind != 0 && (!errs.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v: %v", errs.KindOf(err), err)
			}
			if strings.Contains(text, token) {
				t.Errorf("the token shows in %q", text)
			}
		})
	}
	if len(inArgs) > 0 {
		t.Errorf("the token is in arguments: %q", inArgs)
	}
}

// noSecret fails when a file below dir holds the token.
func noSecret(t *testing.T, dir string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if text, _ := os.ReadFile(path); bytes.Contains(text, []byte(token)) {
				t.Errorf("the token is in %s", path)
			}
		}
		return nil
	})
}

func TestTokenStaysAtItsSite(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, _, ok := req.BasicAuth(); ok {
			leaked.Store(true)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="other"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+req.URL.String(), http.StatusFound)
	}))
	t.Cleanup(first.Close)
	for _, trust := range []Trust{Server, User} {
		r := remote(t, first.URL+"/repo", Access{Trust: trust, Environ: environ(t), Password: func() string { return token }})
		_, err := r.Resolve(context.Background(), Ref{})
		if err == nil || leaked.Load() {
			t.Errorf("trust %d: leaked %v, error %v", trust, leaked.Load(), err)
		}
		if trust == Server && !errs.Is(err, errs.Invalid) {
			t.Errorf("a redirect: got %v: %v", errs.KindOf(err), err)
		}
	}
}

func TestPrivateCA(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	server := httptest.NewTLSServer(backend(t, filepath.Dir(src.dir)))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca file.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o644); err != nil {
		t.Fatal(err)
	}
	url := server.URL + "/repo"
	r := remote(t, url, Access{Environ: environ(t), CAFile: ca})
	r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{})
	_, err := remote(t, url, Access{Environ: environ(t)}).Resolve(context.Background(), Ref{})
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "CA file") {
		t.Errorf("got %v: %v", errs.KindOf(err), err)
	}
}

// TestRetry lets a number of requests fail in ways that pass, or do not.
func TestRetry(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	hangUp := func(w http.ResponseWriter) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	}
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	for _, tc := range []struct {
		name  string
		fault func(http.ResponseWriter)
		times int32
		kind  errs.Kind
		tries int32
	}{
		{"503 passes", status(503), 2, 0, 3},
		{"hang-up passes", hangUp, 2, 0, 3},
		{"503 stays", status(503), 99, errs.Unavailable, 3},
		{"429 stays", status(429), 99, errs.Unavailable, 3},
		{"404", status(404), 99, errs.NotFound, 1},
		{"403", status(403), 99, errs.Denied, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			url := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if strings.HasSuffix(req.URL.Path, "/info/refs") && n.Add(1) <= tc.times {
						tc.fault(w)
						return
					}
					next.ServeHTTP(w, req)
				})
			})
			var mu sync.Mutex
			var told []string
			a := Access{Environ: environ(t), Attempts: 3, Wait: time.Millisecond, Notice: func(s string) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, s)
			}}
			_, err := remote(t, url+"/repo", a).Resolve(context.Background(), Ref{})
			if n.Load() != tc.tries || len(told) != int(tc.tries-1) || (tc.kind == 0) != (err == nil) || err != nil && errs.KindOf(err) != tc.kind {
				t.Errorf("%d tries, reported %q, %v: %v", n.Load(), told, errs.KindOf(err), err)
			}
			for i, got := range told { // the reason is in the error alone
				if want := fmt.Sprintf("no success with %s/repo yet; try %d of 3 in 0s", url, i+2); got != want {
					t.Errorf("notice %q, want %q", got, want)
				}
			}
		})
	}
	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		a := Access{Environ: environ(t), Attempts: 2, Wait: time.Millisecond}
		_, err := remote(t, "http://127.0.0.1:1/repo", a).Resolve(context.Background(), Ref{})
		if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "after 2 attempts") {
			t.Errorf("got %v: %v", errs.KindOf(err), err)
		}
	})
	t.Run("no such host", func(t *testing.T) {
		t.Parallel()
		var notices []string
		a := Access{Environ: environ(t), Attempts: 4, Wait: time.Millisecond, Notice: func(s string) { notices = append(notices, s) }}
		_, err := remote(t, "https://nowhere.invalid/repo", a).Resolve(context.Background(), Ref{})
		if !errs.Is(err, errs.Unavailable) || !strings.HasPrefix(err.Error(), "after 2 attempts: the name of https://nowhere.invalid/repo cannot be resolved") {
			t.Errorf("got %v: %v", errs.KindOf(err), err)
		}
		if len(notices) != 1 || strings.Contains(notices[0], "resolve") {
			t.Errorf("notices %q, want one without the reason", notices)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		close(reached)
		<-req.Context().Done() // until the client hangs up
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-reached; cancel() }()
	_, err := remote(t, server.URL+"/repo", Access{Environ: environ(t)}).Resolve(ctx, Ref{})
	if ctx.Err() == nil || err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v", err)
	}
}

// freePort finds a port that is free now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startServer runs a program until the test ends, and waits for its port.
func startServer(t *testing.T, port int, cmd *exec.Cmd) {
	t.Helper()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, log.String())
		}
	})
	for range 500 {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not listen", cmd.Path)
}

func TestGitDaemon(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	port := freePort(t)
	path := gitIn(t, src.dir, src.env, "--exec-path")
	daemon := filepath.Join(path, "git-daemon")
	if _, err := os.Stat(daemon); err != nil {
		t.Skipf("git daemon is not installed: %v", err)
	}
	cmd := exec.Command(daemon, "--listen=127.0.0.1", "--port="+strconv.Itoa(port), "--export-all", "--base-path="+filepath.Dir(src.dir))
	cmd.Env = append(environ(t), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	startServer(t, port, cmd)
	url := "git://127.0.0.1:" + strconv.Itoa(port) + "/repo"
	r := remote(t, url, Access{Trust: User, Environ: environ(t)})
	r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{})
	if _, err := NewRemote(url, t.TempDir(), Access{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a server took git://: %v", err)
	}
	_, err := remote(t, strings.Replace(url, "repo", "none", 1), Access{Trust: User, Environ: environ(t)}).Resolve(context.Background(), Ref{})
	if !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Denied) {
		t.Errorf("got %v: %v", errs.KindOf(err), err)
	}
}

// sshServer is an OpenSSH server of the test's own.
type sshServer struct {
	port               int
	knownHosts, key    string
	otherKey, wrongKey string
}

func startSSH(t *testing.T, v2 bool, environ ...string) sshServer {
	t.Helper()
	sshd := ""
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			sshd = p
			break
		}
	}
	if sshd == "" || runtime.GOOS == "windows" {
		t.Skip("needs OpenSSH's sshd: apt-get install openssh-server")
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // its privilege separation folder
			t.Skipf("sshd: %v", err)
		}
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"host", "user", "other", "wronghost"} {
		gen := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", at(name))
		if out, err := gen.CombinedOutput(); err != nil {
			t.Skipf("ssh-keygen: %v %s", err, out)
		}
	}
	s := sshServer{port: freePort(t), key: at("user"), otherKey: at("other"), knownHosts: at("known hosts"), wrongKey: at("wrong hosts")}
	copyKey := func(from, to, prefix string) {
		text, err := os.ReadFile(at(from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, append([]byte(prefix), text...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copyKey("user.pub", at("authorized"), "")
	host := fmt.Sprintf("[127.0.0.1]:%d ", s.port)
	copyKey("host.pub", s.knownHosts, host)
	copyKey("wronghost.pub", s.wrongKey, host)
	conf := fmt.Sprintf("ListenAddress 127.0.0.1:%d\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n",
		s.port, at("host"), at("authorized"))
	if v2 {
		conf += "AcceptEnv GIT_PROTOCOL\n"
	}
	conf += "SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=* " + strings.Join(environ, " ") + "\n"
	if err := os.WriteFile(at("conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	startServer(t, s.port, exec.Command(sshd, "-D", "-e", "-f", at("conf")))
	return s
}

// sshUser is the user of this computer whom the server lets in.
func sshUser() string {
	if u := os.Getenv("USER"); u != "" && os.Getuid() != 0 {
		return u
	}
	return "root"
}

// agent holds one key.
func agent(t *testing.T, key string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		t.Skipf("ssh-agent: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 500 {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	add := exec.Command("ssh-add", "-q", key)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("ssh-add: %v %s", err, out)
	}
	return socket
}

func TestSSH(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	first := src.commit("one", "a", "1")
	src.commit("two", "a", "2")
	who := sshUser()
	for _, v2 := range []bool{true, false}[:orShort(2, 1)] {
		t.Run(fmt.Sprintf("protocol 2 %v", v2), func(t *testing.T) {
			t.Parallel()
			s := startSSH(t, v2)
			good, bad := agent(t, s.key), agent(t, s.otherKey)
			const noConfig = "GIT_SSH_COMMAND=ssh -F /dev/null" // not that of the user who runs the tests
			url := fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", who, s.port, src.dir)
			for _, tc := range []struct {
				name   string
				access Access
				url    string
				kind   errs.Kind
				want   string
			}{
				{"server", Access{KnownHosts: s.knownHosts, IdentityAgent: good}, url, 0, ""},
				{"user", Access{Trust: User, KnownHosts: s.knownHosts, IdentityAgent: good, Environ: append(environ(t), noConfig)}, url, 0, ""},
				{"user's own agent", Access{Trust: User, KnownHosts: s.knownHosts, Environ: append(environ(t), noConfig, "SSH_AUTH_SOCK="+good)}, url, 0, ""},
				{"user's own command", Access{Trust: User, Environ: append(environ(t), noConfig+" -i "+s.key+" -o 'UserKnownHostsFile=\""+s.knownHosts+"\"'")}, url, 0, ""},
				{"server ignores the user's command", Access{KnownHosts: s.knownHosts, Environ: append(environ(t), "GIT_SSH_COMMAND=ssh -i "+s.key)}, url, errs.Denied, "does not accept the ssh key"},
				{"server ignores the user's agent", Access{KnownHosts: s.knownHosts, Environ: append(environ(t), "SSH_AUTH_SOCK="+good)}, url, errs.Denied, "does not accept the ssh key"},
				{"wrong key", Access{KnownHosts: s.knownHosts, IdentityAgent: bad}, url, errs.Denied, "does not accept the ssh key"},
				{"unknown host", Access{IdentityAgent: good}, url, errs.Denied, "is not known"},
				{"changed host key", Access{KnownHosts: s.wrongKey, IdentityAgent: good}, url, errs.Denied, "another ssh host key"},
				{"no repository", Access{KnownHosts: s.knownHosts, IdentityAgent: good}, url + "x", errs.NotFound, "is not there"},
			} {
				if testing.Short() && tc.name != "server" && tc.name != "unknown host" {
					continue // ssh is slow
				}
				t.Run(tc.name, func(t *testing.T) {
					if tc.access.Environ == nil {
						tc.access.Environ = environ(t)
					}
					r := remote(t, tc.url, tc.access)
					c, err := r.Resolve(context.Background(), Ref{KindBranch, "main"})
					if tc.kind != 0 {
						if !errs.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
							t.Errorf("got %v: %v", errs.KindOf(err), err)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					ws := r.mustCheckout(t, c, CheckoutOptions{Depth: 1})
					if diff := cmp.Diff(map[string]string{"a": "2"}, tree(t, ws)); diff != "" {
						t.Error(diff)
					}
					if tc.name != "server" {
						return // the rest is the same for all, and ssh is slow
					}
					// Not at the tip of anything, and in the old protocol not to be asked for.
					ws = r.mustCheckout(t, Resolved{Kind: KindCommit, Commit: first}, CheckoutOptions{Depth: 1})
					if diff := cmp.Diff(map[string]string{"a": "1"}, tree(t, ws)); diff != "" {
						t.Error(diff)
					}
					_, err = r.Resolve(context.Background(), Ref{KindBranch, "mian"})
					if !errs.Is(err, errs.NotFound) {
						t.Errorf("unknown branch: %v", err)
					}
					err = r.Fetch(context.Background(), Resolved{Kind: KindCommit, Commit: strings.Repeat("1", 40)}, 0)
					if !errs.Is(err, errs.NotFound) {
						t.Errorf("unknown commit: %v: %v", errs.KindOf(err), err)
					}
				})
			}
		})
	}
}
