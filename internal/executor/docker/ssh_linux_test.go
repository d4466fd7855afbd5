package docker_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/executortest"
)

// fakeSSH puts a program of the name before all others.
func fakeSSH(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func overSSH(t *testing.T) executor.Executor {
	e := docker.New(docker.Options{Host: "ssh://me@engine.example.com", Home: t.TempDir(), Getenv: func(string) string { return "" }})
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestEngineBehindSSH(t *testing.T) {
	api := engine(t)
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("NOT TESTED: no docker command here to be at the other end of SSH")
	}
	fakeSSH(t, fmt.Sprintf("for last; do :; done\nDOCKER_HOST=%s; export DOCKER_HOST\neval \"$last\"\n", os.Getenv(hostEnv)))
	executortest.Run(t, overSSH, executortest.Options{
		Image:     executor.Image{Name: boxImage, PullPolicy: []string{"never"}},
		Leftovers: func(t *testing.T, runID string) []string { return leftovers(t, api, runID) },
		Escapes:   true,
		Only: []string{
			"exit code", "output in order on two streams", "output as it comes", "output without end", "what cannot start",
			"cancel TERM handled", "cancel reaches grandchildren", "background processes end with the command", "mounts", "close",
		},
	})
}

func TestSSHThatFails(t *testing.T) {
	fakeSSH(t, "echo 'me@engine.example.com: Permission denied (publickey).' >&2; exit 255\n")
	_, err := overSSH(t).Start(t.Context(), executor.Spec{Image: box(), Log: &executortest.Buffer{}})
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "publickey") || !strings.Contains(err.Error(), "ssh://me@engine.example.com") {
		t.Errorf("got %v, want what ssh said and the address", err)
	}
}

// A master of ControlPersist lives on with the standard error of the ssh that
// began it, before OpenSSH 8.5. Its end is not waited for.
func TestSSHThatLeavesAMaster(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	fakeSSH(t, "sleep 1000 </dev/null >/dev/null &\necho $! >"+pid+"\necho 'no such host' >&2\nexit 255\n")
	ended := make(chan error, 1)
	go func() {
		_, err := overSSH(t).Start(t.Context(), executor.Spec{Image: box(), Log: &executortest.Buffer{}})
		ended <- err
	}()
	var err error
	select {
	case err = <-ended:
	case <-time.After(time.Minute):
		t.Error("still waiting")
	}
	text, rerr := os.ReadFile(pid)
	master, perr := strconv.Atoi(strings.TrimSpace(string(text)))
	if kerr := errors.Join(rerr, perr); kerr != nil {
		t.Fatal(kerr)
	}
	if kerr := syscall.Kill(master, syscall.SIGKILL); kerr != nil {
		t.Errorf("the master: %v", kerr)
	}
	if t.Failed() {
		err = <-ended
	}
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("got %v, want what ssh said", err)
	}
}
