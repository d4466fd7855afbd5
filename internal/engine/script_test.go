package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"refline/internal/executor/process"
	"refline/internal/pipeline"
)

func TestWhatShellsMakeOfScripts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		entries []string
		out     string // without the echo of entries
		code    int
		only    string // the shell that knows it
	}{
		{name: "one after the other", entries: []string{"echo a", "echo b"}, out: "a\nb\n"},
		{name: "one shell for all", entries: []string{"x=1", "cd /", `echo "$x $PWD"`}, out: "1 /\n"},
		{name: "the first failure ends it", entries: []string{"echo a", "false", "echo b"}, out: "a\n", code: 1},
		{name: "its exit code is the job's", entries: []string{"sh -c 'exit 42'", "echo b"}, code: 42},
		{name: "exit", entries: []string{"echo a", "exit 3", "echo b"}, out: "a\n", code: 3},
		{name: "exit 0 ends it well", entries: []string{"exit 0", "echo b"}},
		{name: "what is tested may fail", entries: []string{"if false; then :; fi", "false || true", "! true || echo a"}, out: "a\n"},
		{name: "in the middle of several lines", entries: []string{"echo a\nfalse\necho b"}, out: "a\n", code: 1},
		{name: "several lines of one command", entries: []string{"for i in 1 2; do\n  echo $i\ndone"}, out: "1\n2\n"},
		{name: "a here-document", entries: []string{"cat <<EOF\n$((1+1)) it's\nEOF", "echo b"}, out: "2 it's\nb\n"},
		{name: "quotes of all kinds", entries: []string{`echo "a'b" 'c"d' e\'f "$(echo '$x')"`}, out: "a'b c\"d e'f $x\n"},
		{name: "a comment and an empty entry", entries: []string{"# nothing", " ", "", "echo a # b"}, out: "a\n"},
		{name: "a function", entries: []string{"f() { echo \"f $1\"; }", "f x"}, out: "f x\n"},
		{name: "no input", entries: []string{"cat", "read x || echo none"}, out: "none\n"},
		{name: "files are overwritten", entries: []string{"f=$(mktemp)", "echo a >\"$f\"", "echo b >\"$f\"", "cat \"$f\"", "rm \"$f\""}, out: "b\n"},
		{name: "a pipe that breaks in the middle", entries: []string{"false | true", "echo b"}, code: 1, only: "bash"},
		{name: "arithmetic that cannot be", entries: []string{"echo $((1/0))", "echo b"}, code: 1, only: "bash"},
		{name: "a variable that must be set", entries: []string{": ${NOT_SET_AT_ALL:?}", "echo b"}, code: 1, only: "bash"},
		{name: "arrays", entries: []string{"a=(1 2)", "echo ${#a[@]}"}, out: "2\n", only: "bash"},
		{name: "a percent sign and a backslash", entries: []string{`printf '%s\n' '100%\n'`}, out: "100%\\n\n"},
	}
	for _, shell := range []string{"bash", "dash", "busybox", "sh"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not in PATH: install it to test with it", shell)
			continue
		}
		for _, tt := range tests {
			if tt.only != "" && tt.only != shell {
				continue
			}
			t.Run(shell+": "+tt.name, func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "script.sh")
				must(t, os.WriteFile(file, []byte(shellScript("", tt.entries)), 0o644))
				args := []string{file}
				if shell == "busybox" {
					args = []string{"sh", file}
				}
				cmd := exec.Command(path, args...)
				var out, stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &stderr
				code := 0
				if err := cmd.Run(); err != nil {
					var exited *exec.ExitError
					if !errors.As(err, &exited) {
						t.Fatal(err)
					}
					code = exited.ExitCode()
				}
				var rest strings.Builder
				for line := range strings.Lines(out.String()) {
					if !strings.HasPrefix(line, "\x1b[32;1m$ ") {
						rest.WriteString(line)
					}
				}
				if rest.String() != tt.out || code != tt.code {
					t.Errorf("got %q and exit code %d, want %q and %d; it said:\n%s", rest.String(), code, tt.out, tt.code, stderr.String())
				}
			})
		}
	}
}

func TestHowEntriesAreEchoed(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"echo a":             "$ echo a",
		"  echo a \n":        "$ echo a",
		"echo a\necho b":     "$ echo a # collapsed multi-line command",
		"echo a\n\n  ":       "$ echo a",
		`echo "$SECRET" 'x'`: `$ echo "$SECRET" 'x'`,
	} {
		sh, err := exec.LookPath("sh")
		if err != nil {
			t.Skip("no sh in PATH: install a POSIX shell")
		}
		file := filepath.Join(t.TempDir(), "script.sh")
		must(t, os.WriteFile(file, []byte(shellScript("", []string{entry})), 0o644))
		out, err := exec.Command(sh, file).Output()
		must(t, err)
		if first, _, _ := strings.Cut(string(out), "\n"); first != "\x1b[32;1m"+want+"\x1b[0;m" {
			t.Errorf("%q is echoed as %q", entry, first)
		}
	}
}

// hostJob is a job that runs as processes of this computer.
func hostJob(t *testing.T, j pipeline.Job) *jobTest {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no jobs on the host on Windows: run this test on Linux or macOS")
	}
	h := newJob(t, j)
	ex := process.New()
	t.Cleanup(func() { must(t, ex.Close()) })
	h.in.Executor, h.in.Environ = ex, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	return h
}

// plainLog is the log without sections and echoes.
func (h *jobTest) plainLog() string {
	var b strings.Builder
	for line := range strings.Lines(h.log.String()) {
		if !strings.HasPrefix(line, "\x1b[") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestJobOnTheHost(t *testing.T) {
	t.Parallel()
	h := hostJob(t, pipeline.Job{
		BeforeScript: []string{"x=set", "echo made >made"},
		Script: []string{
			`echo "$x $(cat README) $CI_JOB_STATUS $A"`, `test "$PWD" = "$CI_PROJECT_DIR"`, `cat "$KEY"`,
			`echo '{"type":"step_started","step":"s"}' >>"$REFLINE_EVENTS"`, `(sleep 60; echo late) &`, "exit 5",
		},
		AfterScript: []string{`echo "after ${x:-fresh} $CI_JOB_STATUS $(cat made)"`, "exit 1"},
		Artifacts:   &pipeline.Artifacts{Paths: []string{"made"}, When: pipeline.WhenAlways},
	})
	h.in.Variables = []pipeline.Variable{{Name: "A", Value: "it's $B"}, {Name: "B", Value: "`b`"}, {Name: "KEY", Value: "the key\n", File: true}}
	res := h.run()
	same(t, res, JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure, ExitCode: 5, Artifacts: true})
	same(t, h.plainLog(), "set of the repository running it's `b`\nthe key\nafter fresh failed made\nafter_script ended with exit code 1; this does not change the job\n"+
		"artifacts: made: 1 file\n")
	same(t, h.steps(), []string{`{"step":"s","type":"step_started"}`})
}

// A job that is stopped gets its after_script, and what it started is gone.
func TestStoppedJobOnTheHost(t *testing.T) {
	t.Parallel()
	h := hostJob(t, pipeline.Job{
		Script:      []string{"sleep 60 & echo started; wait; echo not reached"},
		AfterScript: []string{`echo "after $CI_JOB_STATUS"`},
	})
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.in.Stop = stop
	h.in.Log = &watchedLog{memoryLog: &h.log, seen: "started", do: cancel}
	if res := h.run(); res.Status != pipeline.StatusCanceled {
		t.Errorf("got %+v", res)
	}
	same(t, h.plainLog(), "started\nafter canceled\n")
}

// watchedLog does something once it has seen a line.
type watchedLog struct {
	*memoryLog
	seen string
	do   func()
}

func (l *watchedLog) Append(ctx context.Context, p []byte) error {
	err := l.memoryLog.Append(ctx, p)
	for line := range strings.Lines(l.String()) {
		if l.do != nil && strings.TrimSpace(line) == l.seen {
			l.do()
			l.do = nil
		}
	}
	return err
}

// Not parallel: the goroutines of other tests would be found.
func TestNoGoroutineStaysAfterAJobOnTheHost(t *testing.T) {
	for _, script := range []string{"true", "exit 1", "kill -9 $$", "sleep 60 &", "sleep 60"} {
		before := goleak.IgnoreCurrent()
		h := hostJob(t, pipeline.Job{Script: []string{"echo begun", script}, AfterScript: []string{"true"}})
		stop, cancel := context.WithCancel(t.Context())
		h.in.Stop = stop
		if script == "sleep 60" {
			h.in.Log = &watchedLog{memoryLog: &h.log, seen: "begun", do: cancel}
		}
		res := h.run()
		if (res.Status == pipeline.StatusCanceled) != (script == "sleep 60") {
			t.Errorf("%s: got %+v", script, res)
		}
		cancel()
		must(t, h.in.Executor.Close())
		if err := goleak.Find(before); err != nil {
			t.Errorf("%s: %v", script, err)
		}
	}
}
