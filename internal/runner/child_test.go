//go:build unix

package runner_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"refline/internal/executor"
	"refline/internal/refltest"
	"refline/internal/runner"
)

// What a test starts as a process of its own, to be killed: this program again.
const (
	childMode   = "REFLINE_TEST_CHILD" // runner, server
	childFolder = "REFLINE_TEST_DIR"
	childURL    = "REFLINE_TEST_URL"
	childSlots  = "REFLINE_TEST_SLOTS"
)

type child struct {
	t   testing.TB
	cmd *exec.Cmd
}

func startChild(t testing.TB, mode, dir, url string, more ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append([]string{childMode + "=" + mode, childFolder + "=" + dir, childURL + "=" + url}, more...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t, cmd}
	t.Cleanup(c.kill)
	return c
}

func (c *child) signal(sig syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends the process at once, if it still runs.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// runChild is the main function of such a process.
func runChild(mode string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	dir, url := os.Getenv(childFolder), os.Getenv(childURL)
	if mode == "server" {
		refltest.Start(childT{}, refltest.Options{Dir: dir, TCP: true, URL: url})
		<-ctx.Done()
		return 0
	}
	slots, _ := strconv.Atoi(os.Getenv(childSlots))
	err := runner.Run(ctx, runner.Options{
		URL: url, Name: "child", Slots: slots, Dir: dir, Kinds: append([]executor.Kind{refltest.Process()}, dockerKind()...),
		Grace: time.Minute, Notice: func(text string) { fmt.Fprintln(os.Stderr, "child runner: "+text) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// childT ends the process if something is wrong.
type childT struct{}

func (childT) Helper()                   {}
func (childT) Cleanup(func())            {}
func (childT) TempDir() string           { return os.Getenv(childFolder) }
func (childT) Log(args ...any)           { fmt.Fprintln(os.Stderr, args...) }
func (childT) Error(args ...any)         { fmt.Fprintln(os.Stderr, args...); os.Exit(1) }
func (childT) Fatal(args ...any)         { fmt.Fprintln(os.Stderr, args...); os.Exit(1) }
func (childT) Errorf(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...); os.Exit(1) }
func (childT) Fatalf(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...); os.Exit(1) }
