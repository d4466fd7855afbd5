//go:build unix

package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/cli"
	"refline/internal/secret/secrettest"
	"refline/internal/server"
	"refline/internal/store"
)

// serverProcess is a server that a person runs in the background.
type serverProcess struct {
	p    *person
	data string
	url  string
	log  *syncBuffer
	stop func()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *syncBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncBuffer) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

func startServerProcess(t *testing.T, p *person) *serverProcess {
	t.Helper()
	s := &serverProcess{p: p, data: filepath.Join(p.home, "data"), log: &syncBuffer{}}
	p.env = append(p.env, "REFLINE_DATA="+s.data)
	cmd := exec.Command("refline", "server", "--listen", "127.0.0.1:0")
	cmd.Env = append(append(cmd.Environ(), "HOME="+p.home, "REFLINE_STATE_DIR="+filepath.Join(p.home, "state"),
		"REFLINE_CACHE_DIR="+filepath.Join(p.home, "cache"), "GIT_CONFIG_NOSYSTEM=1", "DOCKER_HOST=unix:///nowhere", "SSH_AUTH_SOCK="), p.env...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	t.Cleanup(s.stop)
	for range 1000 {
		var running cli.RunningServer
		text, err := os.ReadFile(filepath.Join(s.data, cli.ServerFile))
		if err == nil && json.Unmarshal(text, &running) == nil {
			if resp, err := http.Get(running.URL + "/healthz"); err == nil {
				resp.Body.Close()
				s.url = running.URL
				return s
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("the server does not answer:\n%s", s.log.Bytes())
	return nil
}

// answer is the body of a GET by the owner.
func (s *serverProcess) answer(t *testing.T, path string) []byte {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "owner-token"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v\n%s", path, resp.Status, err, body)
	}
	return body
}

// authorize lets a key in, as a forge does when its public half is pasted.
func (s *sshServer) authorize(t *testing.T, public, access string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, "authorized"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "restrict,command=\"%s %s\" %s\n", filepath.Join(s.dir, "gate"), access, public); err != nil {
		t.Fatal(err)
	}
}

// publicHalf is the line that "key new" prints for the forge.
func publicHalf(t *testing.T, out string) string {
	t.Helper()
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "ssh-ed25519 ") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no public half in:\n%s", out)
	return ""
}

// pushWiki is a job that pushes to the wiki and writes down all that it can see.
const pushWiki = `wiki:
  script:
    - env | sort > "$SEEN/env"
    - ps axeww > "$SEEN/processes" 2>&1 || true
    - ssh-add -L > "$SEEN/agent" 2>&1 || true
    - env
    - git clone -q "$WIKI" wiki
    - cd wiki && git config user.name A && git config user.email committer@example.com
    - echo more >> home.md && git commit -qam "from $CI_COMMIT_SHORT_SHA"
    - git push -q
`

// The key story: a deploy key that is made on the server serves the checkout, and a
// job pushes to the wiki by its agent. No byte of a private key is anywhere else.
func TestServerKeysStayOnTheServer(t *testing.T) {
	t.Parallel()
	ssh := startSSHD(t)
	code := ssh.repository(t, "code.git", map[string]string{".gitlab-ci.yml": pushWiki})
	wiki := ssh.repository(t, "code.wiki.git", map[string]string{"home.md": "# Home\n"})
	p := newPerson(t)
	seen := t.TempDir()
	s := startServerProcess(t, p)

	p.must("project", "add", code, "--name", "code", "--protected", "main")
	out, exit := p.refline("project", "check", "code")
	if exit == 0 || !strings.Contains(out, "key") {
		t.Errorf("check without a key: exit code %d, want a word about keys\n%s", exit, out)
	}
	ssh.authorize(t, publicHalf(t, p.must("key", "new", "flows", "--server", "--project", "code", "--known-hosts", ssh.knownHosts)), "read")
	p.must("project", "set", "code", "--key", "flows")
	p.must("project", "check", "code")
	made := p.must("key", "new", "wiki", "--server", "--project", "code", "--write", "--repo", wiki, "--known-hosts", ssh.knownHosts)
	if !strings.Contains(made, "allow it to write") || !strings.Contains(made, "protected refs only") {
		t.Errorf("key new does not say what to tick, and where the key is used:\n%s", made)
	}
	writable := publicHalf(t, made)
	ssh.authorize(t, writable, "write")

	p.must("flow", "register", ".gitlab-ci.yml", "--project", "code", "--repo", code, "--branch", "main", "--name", "code")
	out, exit = p.refline("flow", "run", "code", "--watch", "--var", "WIKI="+wiki, "--var", "SEEN="+seen)
	if exit != 0 || !strings.Contains(ssh.log(t, "code.wiki.git"), "from ") {
		t.Errorf("exit code %d; the wiki has %q\n%s", exit, ssh.log(t, "code.wiki.git"), out)
	}
	if agent := readFile(t, filepath.Join(seen, "agent")); !strings.HasPrefix(agent, "ssh-ed25519 ") {
		t.Errorf("the job's agent lists no public half:\n%s", agent)
	}
	// A branch that is not protected does not get the key that pushes.
	command(t, filepath.Join(ssh.repositories, "code.git"), "git", "-c", "safe.directory=*", "branch", "feature", "main")
	out, exit = p.refline("flow", "run", "code", "--branch", "feature", "--watch", "--var", "WIKI="+wiki, "--var", "SEEN="+seen)
	if exit != 3 || strings.Contains(readFile(t, filepath.Join(seen, "agent")), strings.Fields(writable)[1]) {
		t.Errorf("push from an unprotected branch: exit code %d, want 3, and no key that pushes in the agent\n%s", exit, out)
	}

	// The forge takes the right to write away.
	if err := os.WriteFile(filepath.Join(ssh.dir, "authorized"), []byte(strings.ReplaceAll(readFile(t, filepath.Join(ssh.dir, "authorized")), "gate write\"", "gate read\"")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, exit = p.refline("flow", "run", "code", "--watch", "--var", "WIKI="+wiki, "--var", "SEEN="+seen)
	if exit != 3 || !strings.Contains(out, "This deploy key does not have write access to this project.") {
		t.Errorf("push with a key that may only read: exit code %d, want 3 and the forge's reason\n%s", exit, out)
	}

	// Everything that leaves the server, or that it writes down.
	texts := map[string][]byte{"what the server prints": s.log.Bytes(), "the second run": []byte(out), "key new": []byte(made)}
	for _, path := range []string{"/api/v1/runs/1", "/api/v1/runs/1/jobs/wiki/log", "/api/v1/runs/3/jobs/wiki/log", "/api/v1/projects/code",
		"/api/v1/projects/code/keys", "/api/v1/projects/code/variables", "/api/v1/audit", "/api/v1/runs", "/api/v1/flows"} {
		texts[path] = s.answer(t, path)
	}
	for _, word := range []string{"secret.send", "key wiki"} {
		if audit := texts["/api/v1/audit"]; !bytes.Contains(audit, []byte(word)) {
			t.Errorf("the audit does not have %q:\n%s", word, audit)
		}
	}
	private := func(folders ...string) *secrettest.Canary {
		c := secrettest.NewCanary(privateHalves(t, s.data, "code", "flows", "wiki")...)
		for name, text := range texts {
			c.Saw(name, text)
		}
		c.Check(t, folders...)
		return c
	}
	private(s.data, seen, p.home) // the database with its WAL, as a crash would leave it
	s.stop()
	private(s.data, seen, p.home)
}

// privateHalves opens the keys of a project with the key file of the server.
func privateHalves(t *testing.T, data, project string, names ...string) []string {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(data, "refline.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	access, err := server.OpenAccess(t.Context(), db, server.AccessOptions{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	p, err := db.ProjectNamed(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range names {
		k, err := access.CheckoutKey(t.Context(), p.ID, name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, seedOf(t, k.Text)...)
	}
	return out
}

// seedOf returns what is secret in an ed25519 key that OpenSSH's format holds
// without a passphrase: its seed, and the line of the file that has it. The rest is
// the public half and what is the same in all keys.
func seedOf(t *testing.T, file []byte) []string {
	t.Helper()
	const at, size = 161, 32
	block, _ := pem.Decode(file)
	if block == nil || len(block.Bytes) < at+2*size || !bytes.HasPrefix(block.Bytes, []byte("openssh-key-v1\x00\x00\x00\x00\x04none")) ||
		!bytes.Equal(block.Bytes[at-4:at], []byte{0, 0, 0, 2 * size}) {
		t.Fatal("a key of another format")
	}
	seed := block.Bytes[at : at+size]
	if public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey); !bytes.Equal(public, block.Bytes[at+size:at+2*size]) {
		t.Fatal("a seed of another key")
	}
	const line = 70 // characters of base64
	first := at * 8 / 6 / line
	return []string{string(seed), strings.Split(string(file), "\n")[1+first]}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
