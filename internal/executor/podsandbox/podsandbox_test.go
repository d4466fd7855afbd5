//go:build linux || darwin

package podsandbox_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/executortest"
	"refline/internal/executor/podsandbox"
)

// wrapperEnv makes this program the wrapper of a job's container.
const wrapperEnv = "REFLINE_TEST_WRAPPER"

func TestMain(m *testing.M) {
	if socket := os.Getenv(wrapperEnv); socket != "" {
		os.Unsetenv(wrapperEnv)
		code, err := podsandbox.Wrap(context.Background(), socket)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}
	executortest.Victim(func() executor.Executor {
		dir, err := os.MkdirTemp("", "refline-pod-")
		if err != nil {
			panic(err)
		}
		e, _, err := pair(dir)
		if err != nil {
			panic(err)
		}
		return e
	}, executor.Image{})
	goleak.VerifyTestMain(m)
}

// pair starts both sides: the agent's here, the wrapper as another process.
func pair(dir string) (*podsandbox.Executor, *exec.Cmd, error) {
	socket := filepath.Join(dir, "s")
	e, err := podsandbox.Listen(socket)
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	wrapper := exec.Command(self)
	wrapper.Env = append(os.Environ(), wrapperEnv+"="+socket)
	if err := wrapper.Start(); err != nil {
		return nil, nil, err
	}
	_, err = e.Start(context.Background(), executor.Spec{Log: os.Stderr}) // waits for the connection
	return e, wrapper, err
}

// shortDir is a folder whose path a socket can have.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "pod-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T) (*podsandbox.Executor, *exec.Cmd) {
	e, wrapper, err := pair(shortDir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		_ = wrapper.Wait()
	})
	return e, wrapper
}

func TestExecutor(t *testing.T) {
	executortest.Run(t, func(t *testing.T) executor.Executor {
		e, _ := start(t)
		return e
	}, executortest.Options{Escapes: runtime.GOOS == "linux"})
}

func command(script string, out *executortest.Buffer) executor.Command {
	return executor.Command{Args: []string{"sh", "-c", script}, Dir: "/", Stdout: out, Stderr: out}
}

// The wrapper ends with the script's exit code, so that the pod shows it.
func TestWrapperEndsAsTheAgentSays(t *testing.T) {
	t.Parallel()
	e, wrapper := start(t)
	s, err := e.Start(t.Context(), executor.Spec{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	var out executortest.Buffer
	if code, err := s.Exec(t.Context(), command("exit 7", &out)); code != 7 || err != nil {
		t.Fatal(code, err)
	}
	e.Finish(7)
	_ = wrapper.Wait()
	if got := wrapper.ProcessState.ExitCode(); got != 7 {
		t.Errorf("the wrapper ended with %d, want 7", got)
	}
}

// Only one process may connect: another one of the pod must not take the job.
func TestSocketIsForOne(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	e, wrapper, err := pair(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wrapper.Wait() })
	t.Cleanup(func() { _ = e.Close() })
	var d net.Dialer
	if conn, err := d.DialContext(t.Context(), "unix", filepath.Join(dir, "s")); err == nil {
		conn.Close()
		t.Error("a second connection was taken")
	}
}

// A container that is killed ends the command with an error that says so.
func TestWrapperKilled(t *testing.T) {
	t.Parallel()
	e, wrapper := start(t)
	s, err := e.Start(t.Context(), executor.Spec{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	var out executortest.Buffer
	go func() {
		out.Await(t.Context(), "ready")
		_ = wrapper.Process.Kill()
	}()
	_, err = s.Exec(t.Context(), command("echo ready; sleep 1000", &out))
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "container is gone") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Exec(t.Context(), command("echo", &out)); !errs.Is(err, errs.Unavailable) {
		t.Errorf("after it: got %v", err)
	}
}

// The image's own variables are below those of the command.
func TestEnvironmentOfTheImage(t *testing.T) {
	t.Setenv("FROM_IMAGE", "image")
	t.Setenv("BOTH", "image")
	e, _ := start(t)
	s, err := e.Start(t.Context(), executor.Spec{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	var out executortest.Buffer
	cmd := command("echo $FROM_IMAGE $BOTH", &out)
	cmd.Env = []string{"BOTH=job"}
	if code, err := s.Exec(t.Context(), cmd); code != 0 || err != nil || out.String() != "image job\n" {
		t.Errorf("got %d, %v, %q", code, err, &out)
	}
}
