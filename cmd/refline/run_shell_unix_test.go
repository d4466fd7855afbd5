//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"refline/internal/cli"
)

// shellHome is a project with a pipeline and the environment of its runs.
func shellHome(t *testing.T, pipeline string) (project string, env []string) {
	t.Helper()
	home := t.TempDir()
	project = filepath.Join(home, "p")
	if err := os.Mkdir(project, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(project, ".gitlab-ci.yml"), []byte(pipeline), 0o600); err != nil {
		t.Fatal(err)
	}
	return project, []string{
		"HOME=" + home, "REFLINE_STATE_DIR=" + filepath.Join(home, "state"), "REFLINE_CACHE_DIR=" + filepath.Join(home, "cache"),
		"DOCKER_HOST=unix:///nowhere", "REFLINE_EXECUTOR=", "TERM=xterm", "TOKEN=hunter2-hunter2-hunter2",
		"GIT_CEILING_DIRECTORIES=" + home,
	}
}

// A shell in a failed job has its workspace and environment; after it the job
// goes on to its end.
func TestShellInAFailedJob(t *testing.T) {
	t.Parallel()
	project, env := shellHome(t, `build: {stage: build, script: [echo built > out], artifacts: {paths: [out]}}
waits:
  retry: 2
  timeout: 10s
  variables: {GREETING: hello}
  script: [echo made > made, exit 7]
  after_script: ['cat by-hand; echo "after: $CI_JOB_STATUS"']
`)
	keys := "stty -echo; echo [$(cat made out) $GREETING $CI_JOB_STATUS $TERM]; echo $TOKEN; echo typed > by-hand; exit\n"
	shown, code := onTerminal(t, env, keys, "refline", "-C", project, "run", "waits", "--shell", "--log", "--secret", "TOKEN")
	for _, want := range []string{"waits failed with exit code 7; this is a shell in it", "[made built hello failed xterm]", "[masked]", " typed\r\n", "after: failed", "1 failed, 1 passed"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if code != cli.ExitRed || strings.Contains(shown, "hunter2") || strings.Count(shown, "this is a shell") != 1 {
		t.Errorf("exit code %d, shown:\n%s", code, shown)
	}
	if t.Failed() {
		t.Log(shown)
	}
}

// Without a failure there is no shell, unless it is always wanted; a shell of a
// job does not read what was typed for the one before.
func TestShellOfJobsThatPass(t *testing.T) {
	t.Parallel()
	project, env := shellHome(t, "waits: {script: ['true']}\nsecond: {needs: [waits], script: ['true']}\n")
	shown, code := onTerminal(t, env, "", "refline", "-C", project, "run", "--shell")
	if code != cli.ExitGood || strings.Contains(shown, "this is a shell") {
		t.Errorf("exit code %d, shown:\n%s", code, shown)
	}
	cmd := exec.Command("refline", "-C", project, "run", "--shell=always", "--log", "--no-color")
	cmd.Env = append(cmd.Environ(), env...)
	master, err := pty.Start(cmd)
	if err != nil {
		t.Skipf("needs a terminal to be made: %v", err)
	}
	defer master.Close()
	defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	var out strings.Builder
	buf, typed := make([]byte, 4096), 0
	for {
		n, err := master.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			break
		}
		if strings.Count(out.String(), "this is a shell") > typed {
			typed++
			_, _ = fmt.Fprintf(master, "echo $((40+%d)) in $CI_JOB_NAME; exit\n", typed)
		}
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "41 in waits") || !strings.Contains(out.String(), "42 in second") {
		t.Errorf("%v, shown:\n%s", err, &out)
	}
}

// The time in a shell does not count against the job's timeout, and the shell
// of a job that was over its time still opens.
func TestShellStopsTheClock(t *testing.T) {
	t.Parallel()
	project, env := shellHome(t, "waits: {timeout: 2s, script: [exit 1], after_script: [echo after as $CI_JOB_STATUS]}\n")
	shown, code := onTerminal(t, env, "sleep 3; exit\n", "refline", "-C", project, "run", "--shell", "--log")
	if code != cli.ExitRed || !strings.Contains(shown, "after as failed") || strings.Contains(shown, "timeout") {
		t.Errorf("exit code %d, shown:\n%s", code, shown)
	}
	project, env = shellHome(t, "waits: {timeout: 1s, script: [touch begun, sleep 100]}\n")
	shown, code = onTerminal(t, env, "ls; exit\n", "refline", "-C", project, "run", "--shell", "--log")
	if code != cli.ExitRed || !strings.Contains(shown, "begun\r\n") || !strings.Contains(shown, "timeout of 1s is over") {
		t.Errorf("out of time: exit code %d, shown:\n%s", code, shown)
	}
}
