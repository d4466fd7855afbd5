package sshagent

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"refline/internal/errs"
)

func newSigner() ssh.Signer { return must(ssh.NewSignerFromKey(newKey())) }

// hostLine is a line of known_hosts.
func hostLine(host string, key ssh.PublicKey) string {
	return host + " " + string(ssh.MarshalAuthorizedKey(key))
}

// refusals collects what an agent says it refused.
type refusals struct {
	mu    sync.Mutex
	lines []string
}

func (r *refusals) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *refusals) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func start(t *testing.T, key string, hosts string) (*Agent, *refusals) {
	t.Helper()
	var r refusals
	a, err := Start(Config{Key: []byte(key), KnownHosts: []byte(hosts), Refused: r.add})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a, &r
}

func dial(t *testing.T, a *Agent) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", a.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// login is what a client signs to log in, and how it got there.
type login struct {
	session   string
	host      ssh.Signer
	bindBy    ssh.Signer // signs the session, host when nil
	unbound   bool
	forwarded bool
	auth      userAuth
	raw       []byte // signed instead of auth
	key       []byte // asked to sign, the agent's when nil
	flags     uint32
}

func (l login) run(c net.Conn) (agree bool, err error) {
	by := l.host
	if l.bindBy != nil {
		by = l.bindBy
	}
	if !l.unbound {
		signature := must(by.Sign(rand.Reader, []byte(l.session)))
		bind := ssh.Marshal(sessionBind{HostKey: l.host.PublicKey().Marshal(), Session: []byte(l.session),
			Signature: ssh.Marshal(signature), Forwarding: l.forwarded})
		if _, err := ask(c, ssh.Marshal(extension{Name: bindExtension, Contents: bind})); err != nil {
			return false, err
		}
	}
	data := l.raw
	if data == nil {
		data = ssh.Marshal(l.auth)
	}
	reply, err := ask(c, ssh.Marshal(signRequest{Key: l.key, Data: data, Flags: l.flags}))
	if err != nil || reply[0] != msgSigned {
		return false, err
	}
	var response signResponse
	var signature ssh.Signature
	if err := ssh.Unmarshal(reply, &response); err != nil {
		return false, err
	}
	if err := ssh.Unmarshal(response.Signature, &signature); err != nil {
		return false, err
	}
	return true, must(ssh.ParsePublicKey(l.key)).Verify(data, &signature)
}

func ask(c net.Conn, message []byte) ([]byte, error) {
	if err := writeMessage(c, message); err != nil {
		return nil, err
	}
	return readMessage(c)
}

func TestSignsOnlyLoginsToAllowedHosts(t *testing.T) {
	t.Parallel()
	good, evil := newSigner(), newSigner()
	key := newKey()
	public := must(ssh.NewPublicKey(key.Public())).Marshal()
	a, refused := start(t, opensshText(key, ""), hostLine("git.example.com", good.PublicKey()))
	other := newSigner().PublicKey().Marshal()
	rsaHost := must(ssh.NewSignerFromKey(must(rsa.GenerateKey(nil, 2048))))

	base := func(change func(*login)) login {
		l := login{session: "session id 1", host: good, key: public, auth: userAuth{Session: []byte("session id 1"),
			Type: userAuthRequest, User: "git", Service: "ssh-connection", Method: methodPlain, Signed: true,
			Algorithm: ssh.KeyAlgoED25519, Key: public}}
		change(&l)
		return l
	}
	bound := ssh.Marshal(hostBound{HostKey: good.PublicKey().Marshal()})
	for name, tt := range map[string]struct {
		login  login
		reason string // "" when it is signed
	}{
		"login": {base(func(*login) {}), ""},
		"login that names the host": {base(func(l *login) {
			l.auth.Method, l.auth.Rest = methodHostBound, bound
		}), ""},
		"another host":                {base(func(l *login) { l.host = evil }), "not among the known hosts"},
		"host key borrowed":           {base(func(l *login) { l.bindBy = evil }), "the host did not sign it"},
		"another host, another key":   {base(func(l *login) { l.host = rsaHost }), "not among the known hosts"},
		"no host said":                {base(func(l *login) { l.unbound = true }), "did not say which host"},
		"another session":             {base(func(l *login) { l.session = "session id 2" }), "did not say which host"},
		"forwarded":                   {base(func(l *login) { l.forwarded = true }), "forwards the agent"},
		"another key asked":           {base(func(l *login) { l.key = other }), "asked of another key"},
		"another key named":           {base(func(l *login) { l.auth.Key = other }), "names another key"},
		"arbitrary data":              {base(func(l *login) { l.raw = []byte("SSHSIG\x00\x00\x00\x03git and more") }), "not a login"},
		"no data":                     {base(func(l *login) { l.raw = []byte{} }), "not a login"},
		"data after the login":        {base(func(l *login) { l.auth.Rest = []byte("x") }), "not a login"},
		"another service":             {base(func(l *login) { l.auth.Service = "ssh-userauth" }), "not a login"},
		"another message":             {base(func(l *login) { l.auth.Type = 51 }), "not a login"},
		"only a question":             {base(func(l *login) { l.auth.Signed = false }), "not a login"},
		"hostbased":                   {base(func(l *login) { l.auth.Method = "hostbased" }), `"hostbased" is not known`},
		"another algorithm":           {base(func(l *login) { l.auth.Algorithm = "ssh-rsa" }), `names the algorithm "ssh-rsa"`},
		"names a host it is not with": {base(func(l *login) { l.auth.Method, l.auth.Rest = methodHostBound, ssh.Marshal(hostBound{HostKey: other}) }), "another host than its session"},
		"names no host":               {base(func(l *login) { l.auth.Method = methodHostBound }), "another host than its session"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, a)
			signed, err := tt.login.run(c)
			if err != nil {
				t.Fatal(err)
			}
			if signed != (tt.reason == "") {
				t.Fatalf("signed: %v, refusals so far:\n%s", signed, refused)
			}
			if tt.reason != "" && !strings.Contains(refused.String(), tt.reason) {
				t.Errorf("no refusal says %q:\n%s", tt.reason, refused)
			}
			// A refusal does not spoil the connection, but for forwarding.
			later := base(func(l *login) { l.session, l.auth.Session = "later", []byte("later") })
			if signed, err := later.run(c); err != nil || signed == tt.login.forwarded {
				t.Errorf("a good login afterwards: signed %v, %v", signed, err)
			}
		})
	}
	t.Run("bound again to another host", func(t *testing.T) {
		c := dial(t, a)
		if signed, err := base(func(l *login) { l.host = evil }).run(c); signed || err != nil {
			t.Fatalf("signed %v, %v", signed, err)
		}
		if signed, err := base(func(*login) {}).run(c); signed || err != nil {
			t.Errorf("a session of another host was taken over: %v, %v", signed, err)
		}
	})
	t.Run("bound on another connection", func(t *testing.T) {
		if signed, err := base(func(*login) {}).run(dial(t, a)); !signed || err != nil {
			t.Fatalf("signed %v, %v", signed, err)
		}
		if signed, err := base(func(l *login) { l.unbound = true }).run(dial(t, a)); signed || err != nil {
			t.Errorf("signed %v, %v", signed, err)
		}
	})
}

func TestRSAKeysSignWithSHA2Only(t *testing.T) {
	t.Parallel()
	host := newSigner()
	key := must(rsa.GenerateKey(nil, 2048))
	a, _ := start(t, pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), hostLine("h", host.PublicKey()))
	public := a.PublicKey().Marshal()
	for name, tt := range map[string]struct {
		flags     uint32
		algorithm string
		want      bool
	}{
		"sha2-256": {flagRSASHA256, ssh.KeyAlgoRSASHA256, true},
		"sha2-512": {flagRSASHA512, ssh.KeyAlgoRSASHA512, true},
		"sha1":     {0, ssh.KeyAlgoRSA, false},
		"mixed":    {flagRSASHA256, ssh.KeyAlgoRSASHA512, false},
		"both":     {flagRSASHA256 | flagRSASHA512, ssh.KeyAlgoRSASHA512, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := login{session: "s", host: host, key: public, flags: tt.flags, auth: userAuth{Session: []byte("s"), Type: userAuthRequest,
				User: "git", Service: "ssh-connection", Method: methodPlain, Signed: true, Algorithm: tt.algorithm, Key: public}}
			if signed, err := l.run(dial(t, a)); signed != tt.want || err != nil {
				t.Errorf("signed %v (%v), want %v", signed, err, tt.want)
			}
		})
	}
}

// x/crypto's client sends every message there is.
func TestRefusesAllOtherMessages(t *testing.T) {
	t.Parallel()
	host := newSigner()
	a, refused := start(t, opensshText(newKey(), ""), hostLine("h", host.PublicKey()))
	client := agent.NewClient(dial(t, a))
	other := newKey()
	for name, err := range map[string]error{
		"add":                client.Add(agent.AddedKey{PrivateKey: other}),
		"add, constrained":   client.Add(agent.AddedKey{PrivateKey: other, LifetimeSecs: 9, ConfirmBeforeUse: true}),
		"remove":             client.Remove(a.PublicKey()),
		"remove all":         client.RemoveAll(),
		"lock":               client.Lock([]byte("x")),
		"unlock":             client.Unlock([]byte("x")),
		"sign":               func() error { _, err := client.Sign(a.PublicKey(), []byte("data")); return err }(),
		"another extension":  func() error { _, err := client.Extension("query", nil); return err }(),
		"a broken extension": func() error { _, err := client.Extension(bindExtension, []byte("x")); return err }(),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	keys, err := client.List()
	if err != nil || len(keys) != 1 || string(keys[0].Marshal()) != string(a.PublicKey().Marshal()) {
		t.Errorf("afterwards the agent lists %v (%v)", keys, err)
	}
	if strings.Count(refused.String(), "only lists its key") < 6 {
		t.Errorf("refusals:\n%s", refused)
	}
}

func TestMalformedMessages(t *testing.T) {
	t.Parallel()
	host := newSigner()
	a, _ := start(t, opensshText(newKey(), ""), hostLine("h", host.PublicKey()))
	for i := range 600 {
		c := dial(t, a)
		b := make([]byte, 5+i%200)
		rand.Read(b)
		copy(b, []byte{0, 0, 0, byte(i % 200)})
		if i%7 == 0 {
			copy(b, []byte{0xff, 0xff, 0xff, 0xff})
		}
		b[4] = []byte{11, 13, 17, 18, 19, 22, 23, 25, 27}[i%9]
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c) // until the agent is done with it; a reset is as good as an end
	}
	if keys, err := agent.NewClient(dial(t, a)).List(); err != nil || len(keys) != 1 {
		t.Errorf("afterwards the agent lists %v (%v)", keys, err)
	}
}

func TestDeadAfterClose(t *testing.T) {
	t.Parallel()
	host := newSigner()
	a, err := Start(Config{Key: []byte(opensshText(newKey(), "")), KnownHosts: []byte(hostLine("h", host.PublicKey()))})
	if err != nil {
		t.Fatal(err)
	}
	idle, busy := dial(t, a), dial(t, a)
	if _, err := agent.NewClient(busy).List(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(a.Socket()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v %v", info.Mode(), err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{idle, busy} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlived the agent")
		}
	}
	if _, err := os.Stat(a.Socket()); !os.IsNotExist(err) {
		t.Errorf("the socket is still there (%v)", err)
	}
	if a.key() != nil {
		t.Error("the agent still has the key")
	}
	if err := a.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	host := newSigner()
	a, refused := start(t, opensshText(newKey(), ""), hostLine("h", host.PublicKey()))
	var open []agent.Agent
	for range maxClients {
		client := agent.NewClient(dial(t, a))
		if _, err := client.List(); err != nil {
			t.Fatal(err)
		}
		open = append(open, client)
	}
	if _, err := io.ReadAll(dial(t, a)); err != nil {
		t.Errorf("the one too many: %v", err)
	}
	if !strings.Contains(refused.String(), "too many") {
		t.Errorf("refusals:\n%s", refused)
	}
	if _, err := open[0].List(); err != nil {
		t.Errorf("an earlier connection: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	key, host := opensshText(newKey(), ""), hostLine("h", newSigner().PublicKey())
	locked := string(pem.EncodeToMemory(must(ssh.MarshalPrivateKeyWithPassphrase(newKey(), "", []byte("pass")))))
	for name, tt := range map[string]struct{ key, hosts, dir, want string }{
		"no key":             {"", host, "", "BEGIN"},
		"half a key":         {key[:150], host, "", "cannot be read"},
		"passphrase":         {locked, host, "", "passphrase"},
		"no hosts":           {key, "# none\n\n", "", "no host key is named"},
		"half a line":        {key, host + "git.example.com ssh-ed25519\n", "", "known hosts, line 2"},
		"a host's authority": {key, "@cert-authority " + host, "", "@cert-authority"},
		"revoked":            {key, host + "@revoked " + host, "", "no host key is named"},
		"long folder":        {key, host, t.TempDir() + strings.Repeat("/long", 20), "at most 103"},
		"no folder":          {key, host, "does/not/exist", "socket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := Start(Config{Key: []byte(tt.key), KnownHosts: []byte(tt.hosts), Dir: tt.dir})
			if err == nil {
				t.Fatal(a.Close(), "it started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.Unavailable {
				t.Errorf("kind %v", k)
			}
			if len(tt.key) > 100 && strings.Contains(err.Error(), tt.key[60:100]) {
				t.Error("the error shows the key")
			}
		})
	}
}

func TestKnownHostsFile(t *testing.T) {
	t.Parallel()
	k1, k2 := newSigner().PublicKey(), newSigner().PublicKey()
	in := "# pinned\r\n" + hostLine("git.example.com,192.0.2.1", k1) + "\n  " + hostLine("[git.example.com]:2222", k2) +
		"@revoked " + hostLine("*", k2) + "|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= " + string(ssh.MarshalAuthorizedKey(k1))
	hosts, err := parseKnownHosts([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := hostLine("git.example.com,192.0.2.1", k1) + hostLine("[git.example.com]:2222", k2) + "@revoked " + hostLine("*", k2) +
		"|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= " + string(ssh.MarshalAuthorizedKey(k1))
	if string(hosts.file) != want {
		t.Errorf("got\n%s\nwant\n%s", hosts.file, want)
	}
	if !hosts.allowed[string(k1.Marshal())] || hosts.allowed[string(k2.Marshal())] || len(hosts.allowed) != 1 {
		t.Errorf("allowed: %d keys", len(hosts.allowed))
	}
}

func FuzzAnswer(f *testing.F) {
	host := newSigner()
	key := opensshText(newKey(), "")
	hosts := must(parseKnownHosts([]byte(hostLine("h", host.PublicKey()))))
	signer := must(ParseKey([]byte(key)))
	public := signer.PublicKey().Marshal()
	bind := ssh.Marshal(sessionBind{HostKey: host.PublicKey().Marshal(), Session: []byte("s"),
		Signature: ssh.Marshal(must(host.Sign(rand.Reader, []byte("s"))))})
	f.Add(ssh.Marshal(extension{Name: bindExtension, Contents: bind}))
	f.Add(ssh.Marshal(signRequest{Key: public, Data: ssh.Marshal(userAuth{Session: []byte("s"), Type: userAuthRequest,
		Service: "ssh-connection", Method: methodPlain, Signed: true, Algorithm: ssh.KeyAlgoED25519, Key: public})}))
	f.Add([]byte{msgListIdentities})
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) == 0 {
			return
		}
		a := &Agent{hosts: hosts, signer: signer, public: signer.PublicKey(), refused: func(string) {}}
		s := session{agent: a, bound: map[string]string{}} // nothing is bound: nothing may be signed
		if reply := s.answer(message); len(reply) == 0 || reply[0] == msgSigned {
			t.Fatalf("the reply to %s is %v", fmt.Sprintf("%x", message), reply)
		}
	})
}
