//go:build unix

package main

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// person is a user with a home, who runs refline in a folder.
type person struct {
	t    *testing.T
	home string
	dir  string
	env  []string
	uid  int // to become, 0 to stay
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{t: t, home: t.TempDir(), dir: t.TempDir()}
	config := "[user]\n\tname = A. Committer\n\temail = committer@example.com\n[init]\n\tdefaultBranch = main\n"
	if err := os.WriteFile(filepath.Join(p.home, ".gitconfig"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// refline runs a command and gives its output and exit code.
func (p *person) refline(args ...string) (string, int) {
	p.t.Helper()
	return p.command("refline", args...)
}

// command runs any program as the person.
func (p *person) command(name string, args ...string) (string, int) {
	p.t.Helper()
	cmd := exec.Command(name, args...)
	becomeUser(cmd, p.uid)
	cmd.Dir = p.dir
	cmd.Env = append(append(cmd.Environ(), "HOME="+p.home, "REFLINE_STATE_DIR="+filepath.Join(p.home, "state"),
		"REFLINE_CACHE_DIR="+filepath.Join(p.home, "cache"), "GIT_CONFIG_NOSYSTEM=1", "DOCKER_HOST=unix:///nowhere",
		"SSH_AUTH_SOCK=", "GIT_SSH_COMMAND=", "SSH_KNOWN_HOSTS="), p.env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// becomeUser has a command run as another user; 0 leaves it the one that it is.
func becomeUser(cmd *exec.Cmd, uid int) {
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
}

func TestAgentCommand(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	key := strings.TrimSpace(s.file(t, "write"))
	const push = `git clone -q "$1" wiki && cd wiki && echo more >> home.md && git commit -qam more && git push -q && env`
	for i, tc := range []struct {
		name  string
		env   []string
		flags []string
		want  string // in the output
		code  int
		lands bool
	}{
		{name: "a variable with the key", env: []string{"DEPLOY_KEY=" + key}, flags: []string{"--key-env", "DEPLOY_KEY"}, lands: true},
		{name: "a variable with the key in one line", env: []string{"DEPLOY_KEY=" + oneLine(key)}, flags: []string{"--key-env", "DEPLOY_KEY"}, lands: true},
		{name: "a variable for each line", env: perLine("DEPLOY_KEY", key), flags: []string{"--key-env", "DEPLOY_KEY"}, lands: true},
		{name: "a variable that names a file", env: []string{"DEPLOY_KEY=" + s.write}, flags: []string{"--key-env", "DEPLOY_KEY"}, lands: true},
		{name: "line ends of Windows", env: []string{"DEPLOY_KEY=" + strings.ReplaceAll(key, "\n", "\r\n")}, flags: []string{"--key-env", "DEPLOY_KEY"}, lands: true},
		{name: "a file", flags: []string{"--key-file", s.write}, lands: true},
		{name: "a key that may only read", flags: []string{"--key-file", s.read}, code: 128, want: "does not have write access"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t)
			p.env = tc.env
			repo := fmt.Sprintf("wiki%d.git", i)
			url := s.repository(t, repo, map[string]string{"home.md": "# Home\n"})
			args := append([]string{"agent", "--host", fmt.Sprintf("127.0.0.1:%d", s.port), "--known-hosts", s.knownHosts}, tc.flags...)
			out, code := p.refline(append(args, "--", "sh", "-c", push, "sh", url)...)
			if code != tc.code || !strings.Contains(out, tc.want) {
				t.Errorf("exit code %d, want %d\n%s", code, tc.code, out)
			}
			if got := strings.Contains(s.log(t, repo), "more"); got != tc.lands {
				t.Errorf("pushed: %v, want %v\n%s", got, tc.lands, out)
			}
			if strings.Contains(out, "DEPLOY_KEY") || strings.Contains(out, "PRIVATE KEY") {
				t.Errorf("the command's environment holds the key")
			}
		})
	}
}

func oneLine(key string) string {
	lines := strings.Split(key, "\n")
	return strings.Join(lines[1:len(lines)-1], "")
}

func perLine(name, key string) []string {
	lines := strings.Split(key, "\n")
	var out []string
	for i, l := range lines[1 : len(lines)-1] {
		out = append(out, fmt.Sprintf("%s_%d=%s", name, i+1, l))
	}
	return out
}

func TestAgentCommandRefuses(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	url := s.repository(t, "wiki.git", map[string]string{"home.md": "# Home\n"})
	host := fmt.Sprintf("127.0.0.1:%d", s.port)
	other := filepath.Join(t.TempDir(), "known_hosts")
	text := strings.Replace(s.file(t, "known_hosts"), fmt.Sprintf("[127.0.0.1]:%d", s.port), "git.example.com", 1)
	if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		want string
		code int
	}{
		{"a host whose key is not known", []string{"--key-file", s.write, "--host", host, "--known-hosts", other, "--", "true"}, "no key of host " + host, 1},
		{"a host that is not allowed", []string{"--key-file", s.write, "--known-hosts", other, "--", "git", "clone", "-q", url}, "Host key verification failed", 128},
		{"the key of another type of file", []string{"--key-file", s.knownHosts, "--known-hosts", s.knownHosts, "--", "true"}, "ssh key", 1},
		{"no hosts", []string{"--key-file", s.write, "--", "true"}, "--host", 2},
		{"no key", []string{"--host", host, "--", "true"}, "no private key is named", 2},
		{"a variable that is not set", []string{"--key-env", "NOT_SET", "--host", host, "--", "true"}, "neither NOT_SET nor NOT_SET_1 is set", 1},
		{"other uses of the agent", []string{"--key-file", s.write, "--known-hosts", s.knownHosts, "--", "sh", "-c",
			`ssh-add -D; ssh-add -l; echo data > data; ssh-keygen -Y sign -n file -f "$1.pub" data; test ! -e data.sig`, "sh", s.write}, "agent: refused", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t)
			if tc.name == "other uses of the agent" {
				command(t, p.dir, "cp", s.write+".pub", "key.pub") // without the private half beside it
				tc.args[len(tc.args)-1] = filepath.Join(p.dir, "key")
			}
			out, code := p.refline(append([]string{"agent"}, tc.args...)...)
			if code != tc.code || !strings.Contains(out, tc.want) {
				t.Errorf("exit code %d, want %d and %q\n%s", code, tc.code, tc.want, out)
			}
		})
	}
}

// TestWiki is the story of a job that writes to a second repository with a key
// that it never holds.
func TestWiki(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	wiki := s.repository(t, "flows.wiki.git", map[string]string{"home.md": "# Home\n"})
	script := fmt.Sprintf(`publish:
  script:
    - git clone -q %[1]s wiki
    - cd wiki
    - echo "$CI_COMMIT_SHA" >> home.md
    - git -c user.name=job -c user.email=job@example.com commit -qam "published by $CI_JOB_NAME"
    - git push -q
    - git pull -q
    - 'for p in /proc/[0-9]*; do cat $p/environ $p/cmdline; done > ../seen 2>/dev/null || true'
    - env > ../env
    - cp -r .. /$KEEP/workspace
    - cp -r "$(dirname "$REFLINE_EVENTS")" /$KEEP/temp || true
    - echo "$SSH_AUTH_SOCK" > /$KEEP/socket
`, wiki)
	flows := s.repository(t, "flows.git", map[string]string{".gitlab-ci.yml": script})
	key := strings.TrimSpace(s.file(t, "write"))

	t.Run("with a key kept for writing", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t)
		if out, code := p.refline("key", "import", "wiki", "--write", "--key-file", s.write, "--repo", wiki, "--known-hosts", s.knownHosts); code != 0 {
			t.Fatalf("key import: %s", out)
		}
		keep := t.TempDir()
		// The repository itself is reached by the key too.
		out, code := p.refline("run", "--log", "--repo", flows, "--branch", "main", "--deploy-key", "wiki", "--var", "KEEP="+keep)
		if code != 0 || !strings.Contains(out, "✓ publish") {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		if !strings.Contains(s.log(t, "flows.wiki.git"), "published by publish") {
			t.Error("the job's commit is not in the wiki")
		}
		socket, err := os.ReadFile(filepath.Join(keep, "socket"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(strings.TrimSpace(string(socket))); !os.IsNotExist(err) {
			t.Errorf("the agent's socket outlives the job: %v", err)
		}
		noKeyIn(t, keep, key)
		noKeyIn(t, filepath.Join(p.home, "state", "runs"), key)
		noKeyIn(t, filepath.Join(p.home, "cache"), key)
		if pieces := keyPieces(out, key); len(pieces) > 0 {
			t.Error("the output holds a piece of the key")
		}
	})
	t.Run("with a key that may only read", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t)
		out, code := p.refline("run", "--log", "--repo", flows, "--branch", "main", "--deploy-key", "wiki=@"+s.read,
			"--known-hosts", s.knownHosts, "--var", "KEEP="+t.TempDir())
		if code != 3 || !strings.Contains(out, "does not have write access") || !strings.Contains(out, "✗ publish") {
			t.Errorf("exit code %d\n%s", code, out)
		}
	})
	t.Run("without a key", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t)
		out, code := p.refline("run", "--repo", flows, "--branch", "main", "--var", "KEEP="+t.TempDir())
		if code != 1 {
			t.Errorf("exit code %d\n%s", code, out)
		}
	})
	t.Run("with a variable", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t)
		// Another key than that of the other cases: their jobs look for theirs in
		// every process of this computer, this one's among them.
		key := strings.TrimSpace(s.file(t, "read"))
		p.env = []string{"WIKI_KEY=" + oneLine(key)}
		keep := t.TempDir()
		command(t, p.dir, "git", "init", "-q")
		job := "look:\n  script:\n    - env > $KEEP/env\n    - cat /proc/$$/environ > $KEEP/environ || true\n    - git ls-remote " + wiki + "\n"
		if err := os.WriteFile(filepath.Join(p.dir, ".gitlab-ci.yml"), []byte(job), 0o600); err != nil {
			t.Fatal(err)
		}
		out, code := p.refline("run", "--log", "--deploy-key", "WIKI_KEY", "--host", fmt.Sprintf("127.0.0.1:%d", s.port),
			"--known-hosts", s.knownHosts, "--var", "KEEP="+keep)
		if code != 0 || !strings.Contains(out, "refs/heads/main") {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		noKeyIn(t, keep, key)
	})
}

// noKeyIn looks for any line of the key in all files of a folder.
func noKeyIn(t *testing.T, dir, key string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if pieces := keyPieces(string(data), key); len(pieces) > 0 {
			t.Errorf("%s holds a piece of the key", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Errorf("%s holds no file at all", dir)
	}
}

// keyPieces are the pieces of the key's private half that a text holds, as it is
// and as bytes. The seed of an Ed25519 key lies at the same place in every file of
// OpenSSH's; what follows it, the public half and the comment, is in other keys
// too.
func keyPieces(text, key string) []string {
	var found []string
	private := oneLine(key)[216:256]
	flat := strings.ReplaceAll(text, "\n", "")
	for i := 0; i+24 <= len(private); i += 8 {
		if strings.Contains(flat, private[i:i+24]) {
			found = append(found, private[i:i+24])
		}
	}
	if seed, err := base64.StdEncoding.DecodeString(private); err != nil || strings.Contains(text, string(seed[:16])) {
		found = append(found, "the bytes of the seed")
	}
	return found
}

// Several keys: git takes the one for the repository, else one for its host.
func TestSeveralDeployKeys(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	flows := s.repository(t, "flows.git", map[string]string{"a": "a"})
	wiki := s.repository(t, "flows.wiki.git", map[string]string{"home.md": "# Home\n"})
	p := newPerson(t)
	p.must("key", "import", "reader", "--key-file", s.read, "--repo", flows, "--known-hosts", s.knownHosts)
	p.must("key", "import", "writer", "--key-file", s.write, "--repo", wiki, "--known-hosts", s.knownHosts)
	const push = `git clone -q "$1" flows && git clone -q "$2" wiki && cd wiki && echo more >> home.md && git commit -qam more && git push -q`
	p.must("agent", "--key", "reader", "--key", "writer", "--", "sh", "-c", push, "sh", flows, wiki)
	if got := s.log(t, "flows.wiki.git"); !strings.HasPrefix(got, "more\n") {
		t.Errorf("the wiki's log is %q", got)
	}
	p.write(".gitlab-ci.yml", "publish:\n  script:\n    - git clone -q "+wiki+" wiki && cd wiki && echo job >> home.md && git -c user.name=j -c user.email=j@example.com commit -qam job && git push -q\n")
	command(t, p.dir, "git", "init", "-q")
	p.must("run", "--deploy-key", "reader", "--deploy-key", "writer")
	if got := s.log(t, "flows.wiki.git"); !strings.HasPrefix(got, "job\n") {
		t.Errorf("the wiki's log is %q", got)
	}
}

// A key with a passphrase, and one in base64.
func TestKeysAsTheyAreKept(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	url := s.repository(t, "flows.git", map[string]string{"a": "a"})
	p := newPerson(t)
	command(t, p.dir, "cp", s.write, "locked")
	command(t, p.dir, "ssh-keygen", "-q", "-p", "-N", "hunter2-hunter2", "-f", "locked")
	agent := []string{"agent", "--known-hosts", s.knownHosts}
	clone := []string{"--", "git", "clone", "-q", url}
	if out, code := p.refline(slices.Concat(agent, []string{"--key-file", "locked"}, clone)...); code != 1 || !strings.Contains(out, "REFLINE_KEY_PASSPHRASE") {
		t.Errorf("without the passphrase: exit code %d\n%s", code, out)
	}
	p.env = []string{"REFLINE_KEY_PASSPHRASE=wrong"}
	if out, code := p.refline(slices.Concat(agent, []string{"--key-file", "locked"}, clone)...); code != 1 || !strings.Contains(out, "the passphrase is wrong") {
		t.Errorf("with another passphrase: exit code %d\n%s", code, out)
	}
	key := command(t, p.dir, "cat", "locked")
	p.env = []string{"DEPLOY_KEY=" + base64.StdEncoding.EncodeToString([]byte(key)), "DEPLOY_KEY_PASSPHRASE=hunter2-hunter2"}
	p.must(slices.Concat(agent, []string{"--key-env", "DEPLOY_KEY"}, clone, []string{"one"})...)
	if out := p.must(slices.Concat(agent, []string{"--key-env", "DEPLOY_KEY", "--", "env"})...); strings.Contains(out, "DEPLOY_KEY") {
		t.Error("the command has the key's variables")
	}
	p.env = []string{"DEPLOY_KEY=" + s.file(t, "write") + s.file(t, "read")}
	if out, code := p.refline(slices.Concat(agent, []string{"--key-env", "DEPLOY_KEY"}, clone)...); code != 1 || !strings.Contains(out, "2 private keys") {
		t.Errorf("two keys in one variable: exit code %d\n%s", code, out)
	}
}

// An agent that is killed takes its command and its folder along.
func TestKilledAgent(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	p := newPerson(t)
	tmp := t.TempDir()
	p.env = []string{"TMPDIR=" + tmp}
	out := filepath.Join(p.dir, "pids")
	cmd := exec.Command("refline", "agent", "--key-file", s.write, "--known-hosts", s.knownHosts, "--", "sh", "-c", "echo $$ > "+out+"; exec sleep 300")
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "TMPDIR="+tmp, "HOME="+p.home)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	eventually(t, "the command starts", func() bool {
		data, _ := os.ReadFile(out)
		_, err := fmt.Sscan(string(data), &pid)
		return err == nil
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, "the command ends", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	eventually(t, "the folder is removed", func() bool {
		left, err := filepath.Glob(filepath.Join(tmp, "refline-agent-*"))
		return err == nil && len(left) == 0
	})
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long: %s", what)
		}
	}
}

// TestRepositoryInclude runs the include for GitLab CI as it is: with an agent
// of ours, and with the variables that it takes on GitLab.
func TestRepositoryInclude(t *testing.T) {
	t.Parallel()
	include, err := os.ReadFile(filepath.Join("..", "..", "deploy", "gitlab-ci", "repository.yml"))
	if err != nil {
		t.Fatal(err)
	}
	s := startSSHD(t)
	key := strings.TrimSpace(s.file(t, "write"))
	for i, tc := range []struct {
		name string
		env  []string
		args []string
	}{
		{"an agent", nil, []string{"--deploy-key", "DEPLOY_KEY=@" + s.write, "--known-hosts", s.knownHosts}},
		{"a variable in one line", []string{"DEPLOY_KEY=" + oneLine(key)}, []string{"--secret", "DEPLOY_KEY", "--var", "SSH_KNOWN_HOSTS=" + s.file(t, "known_hosts")}},
		{"an older format in one line", []string{"DEPLOY_KEY=" + oneLine(strings.TrimSpace(s.file(t, "pem")))},
			[]string{"--secret", "DEPLOY_KEY", "--var", "SSH_KNOWN_HOSTS=" + s.file(t, "known_hosts")}},
		{"a whole key", []string{"DEPLOY_KEY=" + key}, []string{"--secret", "DEPLOY_KEY", "--var", "SSH_KNOWN_HOSTS=" + s.file(t, "known_hosts")}},
		{"a whole key with CRLF", []string{"DEPLOY_KEY=" + strings.ReplaceAll(key, "\n", "\r\n")},
			[]string{"--secret", "DEPLOY_KEY", "--var", "SSH_KNOWN_HOSTS=" + s.file(t, "known_hosts")}},
		{`a whole key with \n`, []string{"DEPLOY_KEY=" + strings.ReplaceAll(key, "\n", `\n`)},
			[]string{"--secret", "DEPLOY_KEY", "--var", "SSH_KNOWN_HOSTS=" + s.file(t, "known_hosts")}},
		{"a key in base64", []string{"DEPLOY_KEY=" + base64.StdEncoding.EncodeToString([]byte(key+"\n"))},
			[]string{"--secret", "DEPLOY_KEY", "--var", "SSH_KNOWN_HOSTS=" + s.file(t, "known_hosts")}},
		{"variables that name files", nil, []string{"--var", "DEPLOY_KEY=" + s.write, "--var", "SSH_KNOWN_HOSTS=" + s.knownHosts}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprintf("flows%d.wiki.git", i)
			url := s.repository(t, name, map[string]string{"home.md": "# Home\n"})
			p := newPerson(t)
			p.env = tc.env
			p.write("repository.yml", string(include))
			p.write(".gitlab-ci.yml", `include:
  - local: repository.yml
    inputs: {url: "`+url+`", folder: wiki, message: "published"}
publish:
  extends: .repository
  script:
    - test -z "$DEPLOY_KEY"
    - echo more >> wiki/home.md
    - !reference [.repository-push, script]
    - !reference [.repository-push, script]
    - !reference [.repository-pull, script]
`)
			command(t, p.dir, "git", "init", "-q")
			out, code := p.refline(append([]string{"run", "--log"}, tc.args...)...)
			if code != 0 || !strings.Contains(out, "nothing to push to wiki") {
				t.Errorf("exit code %d\n%s", code, out)
			}
			if got := s.log(t, name); got != "published\none\n" {
				t.Errorf("the wiki's log is %q", got)
			}
			if len(keyPieces(out, key)) > 0 {
				t.Error("the output holds a piece of the key")
			}
		})
	}
}
