//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sshServer is OpenSSH's server on this computer, with bare repositories that
// two keys reach: one may read, one may write too.
type sshServer struct {
	port          int
	who           string // user@127.0.0.1
	dir           string
	knownHosts    string // file
	read, write   string // files of private keys
	pem           string // another key that may write, in the older format
	repositories  string // folder
	authenticated string // file: a line for each session, with the key's access
}

func startSSHD(t *testing.T) *sshServer {
	t.Helper()
	sshd := ""
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			sshd = p
			break
		}
	}
	if sshd == "" {
		t.Skip("needs OpenSSH's sshd: apt-get install openssh-server")
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // its privilege separation folder
			t.Skipf("sshd: %v", err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Skipf("sshd: %v", err)
	}
	s := &sshServer{dir: t.TempDir(), repositories: t.TempDir(), port: freePort(t)}
	at := func(name string) string { return filepath.Join(s.dir, name) }
	s.who = me.Username + "@127.0.0.1"
	s.knownHosts, s.read, s.write, s.authenticated = at("known_hosts"), at("read"), at("write"), at("sessions")
	for _, name := range []string{"host", "read", "write"} {
		command(t, s.dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name+"@example.com", "-f", at(name))
	}
	s.pem = at("pem")
	command(t, s.dir, "ssh-keygen", "-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-C", "", "-f", s.pem)
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(at(name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", s.port, s.file(t, "host.pub")), 0o644)
	// What a forge does: the key decides.
	write("gate", `#!/bin/sh
echo "$1 $SSH_ORIGINAL_COMMAND" >> '`+s.authenticated+`'
case "$1 $SSH_ORIGINAL_COMMAND" in
"write git-receive-pack "*|*" git-upload-pack "*) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;
*" git-receive-pack "*) echo "This deploy key does not have write access to this project." >&2; exit 1 ;;
esac
exit 1
`, 0o755)
	line := func(key, access string) string {
		return fmt.Sprintf("restrict,command=\"%s %s\" %s", at("gate"), access, s.file(t, key+".pub"))
	}
	write("authorized", line("read", "read")+line("write", "write")+line("pem", "write"), 0o600)
	write("conf", fmt.Sprintf("ListenAddress 127.0.0.1:%d\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nUseDNS no\nMaxStartups 100\nPasswordAuthentication no\nPidFile none\n"+
		"SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*\n", s.port, at("host"), at("authorized")), 0o600)
	cmd := exec.Command(sshd, "-D", "-e", "-f", at("conf"))
	if err := cmd.Start(); err != nil {
		t.Skipf("sshd: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 500 {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port)); err == nil {
			conn.Close()
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("sshd does not answer")
	return nil
}

func (s *sshServer) file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// repository makes a bare repository with one commit and gives its URL.
func (s *sshServer) repository(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	work := t.TempDir()
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(work, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		command(t, work, "git", append([]string{"-c", "user.name=A. Committer", "-c", "user.email=committer@example.com", "-c", "init.defaultBranch=main"}, args...)...)
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-qm", "one")
	bare := filepath.Join(s.repositories, name)
	git("clone", "-q", "--bare", work, bare)
	return fmt.Sprintf("ssh://%s:%d%s", s.who, s.port, bare)
}

// log is what the repository's main branch holds, subject by subject.
func (s *sshServer) log(t *testing.T, name string) string {
	t.Helper()
	return command(t, filepath.Join(s.repositories, name), "git", "-c", "safe.directory=*", "log", "--format=%s", "main")
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
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
