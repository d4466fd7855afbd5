//go:build unix

package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// httpGit serves bare repositories to those who log in as user with the token.
func httpGit(t *testing.T, user, token string) (url, dir string) {
	t.Helper()
	backend := gitBackend()
	if backend == "" {
		t.Skip("needs git-http-backend, which comes with git on most systems")
	}
	dir = t.TempDir()
	server := httptest.NewServer(serveGit(backend, dir, user, digestOf(token)))
	t.Cleanup(server.Close)
	return server.URL, dir
}

func TestGitTokens(t *testing.T) {
	t.Parallel()
	const token = "glpat-hunter2-of-a-project"
	url, dir := httpGit(t, "deploy", token)
	host := strings.TrimPrefix(url, "http://")
	p := newPerson(t)
	p.env = []string{"GIT_TOKEN=" + token}
	p.write(".gitlab-ci.yml", `publish:
  script:
    - git clone -q $URL/wiki.git wiki
    - cd wiki && echo more >> home.md && git add -A && git -c user.name=job -c user.email=job@example.com commit -qm "from a job" && git push -q
    - env > "$KEEP/env"
    - cat /proc/$$/environ > "$KEEP/environ" || true
    - cp -r .. "$KEEP/workspace"
    - 'printf "protocol=http\nhost=elsewhere.example.com\n\n" | git -c core.askPass= credential fill > "$KEEP/elsewhere" 2>&1 || true'
    - 'echo "$GIT_CONFIG_VALUE_1" > "$KEEP/helper"'
`)
	for _, bare := range []string{"flows.git", "wiki.git"} {
		work := t.TempDir()
		if bare == "flows.git" {
			command(t, p.dir, "cp", ".gitlab-ci.yml", work)
		} else if err := os.WriteFile(filepath.Join(work, "home.md"), []byte("# Home\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		git := []string{"-c", "user.name=A. Committer", "-c", "user.email=committer@example.com", "-c", "init.defaultBranch=main"}
		command(t, work, "git", append(git, "init", "-q")...)
		command(t, work, "git", "add", "-A")
		command(t, work, "git", append(git, "commit", "-qm", "one")...)
		command(t, work, "git", "clone", "-q", "--bare", work, filepath.Join(dir, bare))
	}
	keep := t.TempDir()
	run := []string{"run", "--log", "--repo", url + "/flows.git", "--branch", "main", "--var", "URL=" + url, "--var", "KEEP=" + keep}
	p.must(append(run, "--git-token", "deploy@"+host+"=GIT_TOKEN")...)
	if log := command(t, filepath.Join(dir, "wiki.git"), "git", "-c", "safe.directory=*", "log", "--format=%s", "main"); log != "from a job\none\n" {
		t.Errorf("the wiki's log is %q", log)
	}
	noTextIn(t, keep, token)
	noTextIn(t, filepath.Join(p.home, "state"), token)
	noTextIn(t, filepath.Join(p.home, "cache"), token)
	helper, err := os.ReadFile(filepath.Join(keep, "helper"))
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.Trim(strings.TrimPrefix(string(helper), "cache --socket "), "'\n")
	if _, err := os.Stat(socket); !os.IsNotExist(err) || !filepath.IsAbs(socket) {
		t.Errorf("the socket %q outlives the job: %v", socket, err)
	}

	p.env = nil
	for _, tc := range []struct{ flag, want string }{
		{host + "=GIT_TOKEN", "the environment has no such variable"},
		{host + "=glpat-hunter2", "a token on the command line shows in process lists"},
		{host, "--git-token wants HOST=NAME"},
	} {
		out, code := p.refline(append(run, "--git-token", tc.flag)...)
		if code == 0 || !strings.Contains(out, tc.want) || strings.Contains(out, "hunter2") {
			t.Errorf("%s: exit code %d, want %q\n%s", tc.flag, code, tc.want, out)
		}
	}
}

// noTextIn looks for a text in all files of a folder.
func noTextIn(t *testing.T, dir, text string) {
	t.Helper()
	out, err := exec.Command("grep", "-r", "-l", "-F", "-e", text, dir).CombinedOutput()
	if err == nil {
		t.Errorf("in a file: %s", out)
	} else if _, err := os.ReadDir(dir); err != nil {
		t.Error(err)
	}
}
