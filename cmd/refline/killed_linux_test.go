package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"refline/internal/cli"
)

// victim is a refline run in a process of its own, in a repository of its own.
type victim struct {
	t    *testing.T
	dir  string
	home string
	mark string // an argument that its jobs' processes carry
}

func newVictim(t *testing.T, pipeline string) *victim {
	t.Helper()
	v := &victim{t: t, dir: t.TempDir(), home: t.TempDir(), mark: fmt.Sprintf("%d.%d", 100000+os.Getpid(), time.Now().UnixNano()%1e9)}
	pipeline = strings.ReplaceAll(pipeline, "MARK", v.mark)
	if err := os.WriteFile(filepath.Join(v.dir, ".gitlab-ci.yml"), []byte(pipeline), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := v.processes(); len(left) > 0 {
			t.Errorf("left running: %v", left)
		}
	})
	return v
}

func (v *victim) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	v.t.Helper()
	cmd := exec.Command("refline", args...)
	cmd.Dir = v.dir
	cmd.Env = append(os.Environ(), "HOME="+v.home, "REFLINE_STATE_DIR="+filepath.Join(v.home, "state"),
		"REFLINE_CACHE_DIR="+filepath.Join(v.home, "cache"), "DOCKER_HOST=unix:///nowhere")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// await waits until a file of the name lies in a workspace of the run.
func (v *victim) await(name string) {
	v.t.Helper()
	if _, ended := v.awaitOrEnd(name, nil); ended {
		v.t.Fatalf("no job made the file %s", name)
	}
}

// awaitOrEnd waits until a file of the name lies in a workspace of the run, and
// gives the workspace, or until done is closed.
func (v *victim) awaitOrEnd(name string, done <-chan struct{}) (work string, ended bool) {
	v.t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		found, _ := filepath.Glob(filepath.Join(v.home, "state", "builds", "*", "jobs", "*", "*", name))
		if len(found) > 0 {
			return filepath.Dir(found[0]), false
		}
		select {
		case <-done:
			return "", true
		case <-timeout:
			return "", true
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// processes are those whose arguments carry the mark.
func (v *victim) processes() []string {
	dirs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, d := range dirs {
		line, err := os.ReadFile(d)
		if err == nil && bytes.Contains(line, []byte("sleep\x00"+v.mark)) {
			found = append(found, d)
		}
	}
	return found
}

// gone waits until nothing of the run is left running.
func (v *victim) gone() {
	v.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for len(v.processes()) > 0 {
		if time.Now().After(deadline) {
			v.t.Fatalf("still running: %v", v.processes())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (v *victim) workFolders() []string {
	found, _ := filepath.Glob(filepath.Join(v.home, "state", "work", "[0-9]*"))
	builds, _ := filepath.Glob(filepath.Join(v.home, "state", "builds", "[0-9]*"))
	return append(found, builds...)
}

const sleeper = `
job:
  script:
    - sleep MARK &
    - (setsid sleep MARK &)
    - touch started
    - sleep MARK
  after_script:
    - echo after runs as $CI_JOB_STATUS
  artifacts:
    when: always
    paths: [started]
  cache:
    when: always
    paths: [started]
later:
  stage: deploy
  script: [echo never]
`

// Ctrl-C stops the script, runs after_script, and leaves nothing behind.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	v := newVictim(t, sleeper)
	cmd, out := v.command("run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.await("started")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitCanceled {
		t.Errorf("exit code %d, want %d\n%s", code, cli.ExitCanceled, out)
	}
	for _, want := range []string{"after runs as canceled", "canceled", "2 canceled in"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	v.gone()
	if left := v.workFolders(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A second Ctrl-C does not wait for a script that ignores the first.
func TestInterruptTwice(t *testing.T) {
	t.Parallel()
	v := newVictim(t, `
job:
  script:
    - trap 'touch told' TERM
    - touch started
    - while true; do sleep MARK & wait || true; done
  after_script: [sleep MARK]
`)
	cmd, out := v.command("run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, sign := range []string{"started", "told"} {
		v.await(sign)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitCanceled {
		t.Errorf("exit code %d, want %d\n%s", code, cli.ExitCanceled, out)
	}
	v.gone()
	if left := v.workFolders(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Killed at any moment, a run leaves nothing running, and the next one uses
// nothing half made and removes what lies about.
func TestKilled(t *testing.T) {
	t.Parallel()
	v := newVictim(t, sleeper)
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	for i := range rounds {
		cmd, _ := v.command("run")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			v.await("started")
		}
		time.Sleep(time.Duration(i*7) * time.Millisecond) // another moment each time
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		v.gone()
	}
	fine := "job:\n  script: [test ! -e started]\n  cache:\n    paths: [started]\n"
	if err := os.WriteFile(filepath.Join(v.dir, ".gitlab-ci.yml"), []byte(fine), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, out := v.command("run")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left := v.workFolders(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	cmd, out = v.command("runs")
	if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "interrupted") {
		t.Errorf("runs: %v\n%s", err, out)
	}
}

// The mounts of a run that was killed go at the next command, whichever it is.
func TestMountsOfAKilledRun(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("workspaces are mounts for root only: run this test as root")
	}
	v := newVictim(t, sleeper)
	for i := range 300 { // more than a workspace that is copied has
		if err := os.WriteFile(filepath.Join(v.dir, fmt.Sprint("file", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mounts := func() int {
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(table), v.home)
	}
	cmd, _ := v.command("run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.await("started")
	if mounts() == 0 {
		t.Skip("no overlay mounts here: run on a file system and in a container that allow them")
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	v.gone()
	list, out := v.command("runs")
	if err := list.Run(); err != nil || mounts() > 0 {
		t.Errorf("%d mounts after refline runs: %v\n%s", mounts(), err, out)
	}
	if left := v.workFolders(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
