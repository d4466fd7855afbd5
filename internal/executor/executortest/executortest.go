// Package executortest is the suite that every executor passes. It states by
// example what the contract in package executor says in words.
//
// It finds processes that are left running without a clock: each process holds one
// end of a named pipe in the workspace, and the other end shows when the last one is
// gone.
package executortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"refline/internal/executor"
)

// Options are the differences between executors.
type Options struct {
	Image executor.Image // for every sandbox of the suite
	// Leftovers names what exists of a run (containers, networks, …). Nil if an
	// executor makes only processes.
	Leftovers func(t *testing.T, runID string) []string
	// Escapes: the executor also finds a process that leaves its session.
	Escapes bool
	// Remote is set if sandboxes work on copies of the mounts: what is written here
	// while a command runs is not visible there.
	Remote *Remote
	// Only names the tests to run; nil means all.
	Only []string
}

// Remote is how a test reaches into a sandbox that works on copies.
type Remote struct {
	// Touch makes an empty file in the running sandbox of a run.
	Touch func(t *testing.T, runID, path string)
	// Running reports whether any process of a run's jobs is left.
	Running func(t *testing.T, runID string) bool
}

// target is the path of the workspace in an isolated sandbox.
const target = "/builds/group/project"

// suite is what one test works with.
type suite struct {
	opts Options
	ex   executor.Executor
}

// Run runs the suite. Each test gets an Executor of its own from newExecutor,
// which closes it at the test's end.
func Run(t *testing.T, newExecutor func(t *testing.T) executor.Executor, opts Options) {
	left := slices.Clone(opts.Only)
	for _, c := range []struct {
		name string
		test func(t *testing.T, s suite)
	}{
		{"exit code", testExitCode},
		{"environment", testEnvironment},
		{"working directory", testDirectory},
		{"shell", testShell},
		{"output in order on two streams", testOutput},
		{"output as it comes", testStreaming},
		{"output without end", testBigOutput},
		{"output refused", testWriterError},
		{"output to a file", testFileOutput},
		{"standard input is empty", testStdin},
		{"what cannot start", testNotFound},
		{"cancel TERM handled", testCancelHandled},
		{"cancel TERM ignored", testCancelIgnored},
		{"cancel reaches grandchildren", testCancelGrandchildren},
		{"cancel by deadline", testDeadline},
		{"canceled before", testCanceledBefore},
		{"background processes end with the command", testBackground},
		{"daemons end with the command", testDaemon},
		{"commands share the sandbox", testSequence},
		{"sandboxes at once", testConcurrency},
		{"terminal", testTerminal},
		{"terminal keys", testTerminalKeys},
		{"terminal size", testTerminalSize},
		{"terminal canceled", testTerminalCancel},
		{"mounts", testMounts},
		{"mounts are what commands made of them", testMountsAfter},
		{"mounts that are read meanwhile", testMountsLive},
		{"close", testClose},
		{"sweep spares the living", testSweepLiving},
		{"sweep after kill -9", testSweepDead},
	} {
		if opts.Only != nil && !slices.Contains(opts.Only, c.name) {
			continue
		}
		left = slices.DeleteFunc(left, func(name string) bool { return name == c.name })
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, suite{opts: opts, ex: newExecutor(t)})
		})
	}
	if len(left) > 0 {
		t.Errorf("no such tests: %q", left)
	}
}

// box is a sandbox with one mounted workspace.
type box struct {
	executor.Sandbox
	s     suite
	t     *testing.T
	runID string
	host  string // the workspace here
	dir   string // the workspace in the sandbox
	log   *Buffer
}

// start brings up a sandbox and closes it at the test's end.
func (s suite) start(t *testing.T, change ...func(*executor.Spec)) *box {
	t.Helper()
	b := &box{s: s, t: t, host: t.TempDir(), log: &Buffer{}}
	spec := s.spec(t, b.host, b.log)
	b.runID = spec.RunID
	for _, f := range change {
		f(&spec)
	}
	b.dir = b.host
	if s.ex.Isolated() {
		b.dir = target
	}
	var err error
	b.Sandbox, err = s.ex.Start(t.Context(), spec)
	if err != nil {
		t.Fatalf("start: %v\n%s", err, b.log)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
		s.nothingLeft(t, b.runID)
	})
	return b
}

func (s suite) spec(t *testing.T, host string, log *Buffer) executor.Spec {
	return executor.Spec{
		RunID: runID(t), JobID: "job-1", Image: s.opts.Image, Log: log,
		Mounts: []executor.Mount{{Source: host, Target: target}},
	}
}

func (s suite) nothingLeft(t *testing.T, runID string) {
	t.Helper()
	if s.opts.Leftovers == nil {
		return
	}
	if left := s.opts.Leftovers(t, runID); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// runID is unique, as the test's temporary folders are.
func runID(t *testing.T) string {
	dir := t.TempDir()
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(filepath.Base(filepath.Dir(dir))))
	return fmt.Sprintf("test-%d-%s-%s", os.Getpid(), id[max(0, len(id)-40):], filepath.Base(dir))
}

// touch makes an empty file in the workspace while a command runs.
func (b *box) touch(name string) {
	b.t.Helper()
	if b.s.opts.Remote != nil {
		b.s.opts.Remote.Touch(b.t, b.runID, b.dir+"/"+name)
	} else if err := os.WriteFile(filepath.Join(b.host, name), nil, 0o666); err != nil {
		b.t.Error(err)
	}
}

// file closes the sandbox and reads what it left in the workspace.
func (b *box) file(name string) (string, error) {
	b.t.Helper()
	if err := b.Close(b.t.Context()); err != nil {
		b.t.Errorf("close: %v", err)
	}
	content, err := os.ReadFile(filepath.Join(b.host, name))
	return string(content), err
}

// sh is a command that runs script with sh.
func (b *box) sh(script string, out *Buffer) executor.Command {
	return executor.Command{
		Args: []string{"sh", "-c", script}, Dir: b.dir,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Stdout: out, Stderr: out,
	}
}

// ok runs script, which must give 0, and returns its output.
func (b *box) ok(script string) string {
	b.t.Helper()
	var out Buffer
	code, err := b.Exec(b.t.Context(), b.sh(script, &out))
	if code != 0 || err != nil {
		b.t.Fatalf("%s: exit code %d, %v\n%s", script, code, err, &out)
	}
	return out.String()
}

// lifeline makes a named pipe in the workspace. A script that has run
// `exec 9>NAME` holds it, as does everything it starts.
func (b *box) lifeline(name string) *lifeline {
	b.t.Helper()
	path := filepath.Join(b.host, name)
	if err := mkfifo(path); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		b.t.Fatal(err)
	}
	f, err := openFIFO(path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { f.Close() })
	return &lifeline{b, f}
}

type lifeline struct {
	b *box
	f *os.File
}

// gone fails the test when a process still holds the pipe.
func (l *lifeline) gone() {
	l.b.t.Helper()
	l.ends(0)
}

// ends waits until no process holds the pipe any more.
func (l *lifeline) ends(within time.Duration) {
	l.b.t.Helper()
	if remote := l.b.s.opts.Remote; remote != nil { // the pipe is not copied, so look for processes
		for until := time.Now().Add(within); remote.Running(l.b.t, l.b.runID); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(until) {
				l.b.t.Fatal("something is left running")
			}
		}
		return
	}
	for until := time.Now().Add(within); holders(l.f); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			l.b.t.Fatal("something is left running")
		}
	}
}

// Buffer gathers output and lets a test wait for some of it.
type Buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	wake chan struct{}
}

// Write never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wake != nil {
		close(b.wake)
		b.wake = nil
	}
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// patience is far more than anything here takes.
const patience = time.Minute

// Await returns true when text was written, and false when ctx is done before, or
// after so long that something must be wrong.
func (b *Buffer) Await(ctx context.Context, text string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		b.mu.Lock()
		if strings.Contains(b.b.String(), text) {
			b.mu.Unlock()
			return true
		}
		if b.wake == nil {
			b.wake = make(chan struct{})
		}
		wake := b.wake
		b.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return false
		}
	}
}

var errStop = errors.New("stop, says the test")

// cancelAt runs script and cancels it when text was written.
func (b *box) cancelAt(script, text string, grace time.Duration) (out *Buffer, code int, err error) {
	b.t.Helper()
	ctx, cancel := context.WithCancelCause(b.t.Context())
	defer cancel(nil)
	out = &Buffer{}
	var helper sync.WaitGroup
	helper.Go(func() {
		out.Await(ctx, text)
		cancel(errStop)
	})
	cmd := b.sh(script, out)
	cmd.Grace = grace
	code, err = b.Exec(ctx, cmd)
	cancel(nil)
	helper.Wait()
	if !strings.Contains(out.String(), text) {
		b.t.Errorf("%q did not come: %d, %v, %s", text, code, err, out)
	}
	return out, code, err
}

const sigTerm = int(syscall.SIGTERM)
