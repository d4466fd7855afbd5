//go:build unix

package sshagent

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshServer is a real sshd on the loopback, with a host key and a folder of
// its own.
type sshServer struct {
	port int
	host ssh.PublicKey
	log  *bytes.Buffer
}

func (s sshServer) url(repo string) string {
	return fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", must(user.Current()).Username, s.port, repo)
}

func (s sshServer) known() string {
	return hostLine(fmt.Sprintf("[127.0.0.1]:%d", s.port), s.host)
}

func startSSHD(t *testing.T, login ssh.PublicKey) sshServer {
	t.Helper()
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		if _, err := os.Stat("/usr/sbin/sshd"); err != nil {
			t.Skip("this test needs sshd; on Debian: apt-get install openssh-server")
		}
		sshd = "/usr/sbin/sshd"
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skipf("sshd wants /run/sshd: %v", err)
		}
	}
	dir := t.TempDir()
	key := newKey()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := sshServer{host: must(ssh.NewPublicKey(key.Public())), port: freePort(t), log: new(bytes.Buffer)}
	config := file("config", fmt.Sprintf("ListenAddress 127.0.0.1:%d\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\n"+
		"StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
		s.port, file("host", opensshText(key, "")), file("authorized", string(ssh.MarshalAuthorizedKey(login)))))
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
	cmd.Stderr = s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("sshd on port %d:\n%s", s.port, s.log)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))); err == nil {
			c.Close()
			return s
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("sshd ended: %v\n%s", err, s.log)
		default:
		}
	}
	t.Fatal("sshd does not answer")
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// job is a shell with an agent, in a folder of its own.
type job struct {
	dir string
	env []string
}

func newJob(t *testing.T, a *Agent) job {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a job's folder 100%")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(dir, "known hosts")
	if err := os.WriteFile(known, a.KnownHosts(), 0o600); err != nil {
		t.Fatal(err)
	}
	return job{dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SSH_AUTH_SOCK=" + a.Socket(), "GIT_SSH_COMMAND=" + Command(known),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=Job", "GIT_AUTHOR_EMAIL=job@example.com",
		"GIT_COMMITTER_NAME=Job", "GIT_COMMITTER_EMAIL=job@example.com", "LC_ALL=C"}}
}

// run runs a script and returns what it printed and whether it was a success.
func (j job) run(t *testing.T, script string) (out string, ok bool) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir, cmd.Env = j.dir, j.env
	b, err := cmd.CombinedOutput()
	return string(b), err == nil
}

func TestWithOpenSSH(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"git", "ssh", "ssh-add", "ssh-keygen"} {
		need(t, p, "git openssh-client")
	}
	key := newKey()
	text := opensshText(key, "deploy@example.com")
	public := must(ssh.NewPublicKey(key.Public()))
	good, evil := startSSHD(t, public), startSSHD(t, public)
	a, refused := start(t, text, good.known())
	j := newJob(t, a)

	repo := filepath.Join(t.TempDir(), "repo.git")
	if out, ok := j.run(t, "git init -q --bare -b main "+repo+"; git clone -q "+repo+" seed; cd seed; git commit -q --allow-empty -m first; git push -q origin HEAD:main"); !ok {
		t.Fatal(out)
	}
	const loose = `export GIT_SSH_COMMAND="ssh -F /dev/null -o BatchMode=yes -o IdentityFile=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"; `
	for _, tt := range []struct {
		name, script string
		ok           bool
		says         string // in the output
		refusal      string // of the agent
	}{
		{name: "clone, commit, push, pull", ok: true, script: "git clone -q " + good.url(repo) + " c; cd c; git commit -q --allow-empty -m second; git push -q; git pull -q; git log --oneline", says: "second"},
		{name: "ssh itself", ok: true, script: "eval \"$GIT_SSH_COMMAND\" -p " + strconv.Itoa(good.port) + " " + must(user.Current()).Username + "@127.0.0.1 echo hello", says: "hello"},
		{name: "a host that is not known", script: "git clone -q " + evil.url(repo) + " d", says: "Host key verification failed"},
		{name: "a host that is not known, unchecked", script: loose + "git clone -q " + evil.url(repo) + " d", says: "Permission denied", refusal: "not among the known hosts"},
		{name: "forwarded to the host", script: `$(echo "$GIT_SSH_COMMAND" | sed "s/'//g; s/-o ForwardAgent=no//; s/-o UserKnownHostsFile=\"[^\"]*\"//; s/StrictHostKeyChecking=yes/StrictHostKeyChecking=no/; s,GlobalKnownHostsFile=/dev/null,UserKnownHostsFile=/dev/null,") -A -p ` +
			strconv.Itoa(good.port) + " " + must(user.Current()).Username + "@127.0.0.1 ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p " + strconv.Itoa(good.port) + " 127.0.0.1 true", says: "Permission denied", refusal: "forwards the agent"},
		{name: "remove the key", script: "ssh-add -D", refusal: "message 19"},
		{name: "lock", script: "printf '#!/bin/sh\\necho x\\n' >ask; chmod +x ask; SSH_ASKPASS_REQUIRE=force SSH_ASKPASS=./ask ssh-add -x", refusal: "message 22"},
		{name: "add a key", script: "ssh-keygen -q -t ed25519 -N '' -f other; ssh-add other", refusal: "this agent only lists"},
		{name: "sign a file", script: "ssh-add -L >pub; echo hi >m; ssh-keygen -Y sign -n git -f pub m", refusal: "not a login"},
		{name: "sign a commit", script: "ssh-add -L >pub; cd seed; git -c gpg.format=ssh -c user.signingkey=$PWD/../pub commit -q -S --allow-empty -m signed", refusal: "not a login"},
		{name: "list", ok: true, script: "ssh-add -L", says: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))},
	} {
		out, ok := j.run(t, tt.script)
		if ok != tt.ok || !strings.Contains(out, tt.says) {
			t.Errorf("%s: ok %v, want %v and %q in\n%s", tt.name, ok, tt.ok, tt.says, out)
		}
		if !strings.Contains(refused.String(), tt.refusal) {
			t.Errorf("%s: no refusal says %q:\n%s\noutput\n%s", tt.name, tt.refusal, refused, out)
		}
	}
	checkNoKeyBytes(t, text, key.Seed(), j.dir, filepath.Dir(a.Socket()))
	if out, _ := j.run(t, "env; cat /proc/self/environ /proc/self/cmdline 2>/dev/null || true"); strings.Contains(out, "PRIVATE") || strings.Contains(out, text[100:130]) {
		t.Errorf("the job's environment holds the key:\n%s", out)
	}

	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"ssh-add -L", "git clone -q " + good.url(repo) + " e"} {
		if out, ok := j.run(t, script); ok {
			t.Errorf("after the job: %s\n%s", script, out)
		}
	}
}

// checkNoKeyBytes looks for the key in all files below dirs.
func checkNoKeyBytes(t *testing.T, text string, number []byte, dirs ...string) {
	t.Helper()
	lines := strings.Split(text, "\n")
	secret := lines[len(lines)-4] // the seed is in the middle of the body
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(secret)) || bytes.Contains(b, number) {
				t.Errorf("%s holds the key", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
