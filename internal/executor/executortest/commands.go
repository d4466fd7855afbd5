package executortest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/executor"
)

func testExitCode(t *testing.T, s suite) {
	b := s.start(t)
	for _, c := range []struct {
		script string
		want   int
	}{
		{"exit 0", 0},
		{"exit 1", 1},
		{"exit 137", 137},
		{"exit 255", 255},
		{"no-such-command-at-all", 127},
		{"kill -TERM $$", 128 + sigTerm},
		{"kill -KILL $$", 128 + 9},
	} {
		code, err := b.Exec(t.Context(), b.sh(c.script, &Buffer{}))
		if code != c.want || err != nil {
			t.Errorf("%s: got %d, %v, want %d", c.script, code, err, c.want)
		}
	}
}

func testEnvironment(t *testing.T, s suite) {
	b := s.start(t)
	want := map[string]string{
		"PLAIN": "value", "EMPTY": "", "SPACES": "  a  b ", "QUOTES": `it's "so"`, "DOLLAR": "$HOME `id` $(id) \\n",
		"LINES": "one\ntwo\n\n", "UNICODE": "größe ✓", "EQUALS": "a=b=c", "TWICE": "last", "LONG": strings.Repeat("0123456789", 5000),
		"_": "", // what a shell sets itself; must do no harm
	}
	var out Buffer
	cmd := b.sh(`for k in PLAIN EMPTY SPACES QUOTES DOLLAR LINES UNICODE EQUALS TWICE LONG; do
		eval "printf '%s' \"\$$k\"" >"$k" || exit 1
	done`, &out)
	cmd.Env = append(cmd.Env, "TWICE=first")
	for k, v := range want {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	if code, err := b.Exec(t.Context(), cmd); code != 0 || err != nil {
		t.Fatalf("%d, %v: %s", code, err, &out)
	}
	delete(want, "_")
	got := map[string]string{}
	for k := range want {
		v, err := b.file(k)
		if err != nil {
			t.Fatal(err)
		}
		got[k] = v
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func testDirectory(t *testing.T, s suite) {
	b := s.start(t)
	b.ok(`mkdir "it's a folder"`)
	var out Buffer
	cmd := b.sh("pwd -P", &out)
	cmd.Dir += "/it's a folder"
	if code, err := b.Exec(t.Context(), cmd); code != 0 || err != nil || strings.TrimSpace(out.String()) != cmd.Dir {
		t.Errorf("got %d, %v, %s, want %s", code, err, &out, cmd.Dir)
	}
}

func testShell(t *testing.T, s suite) {
	b := s.start(t)
	shell := b.Shell()
	if !strings.HasPrefix(shell, "/") {
		t.Fatalf("shell %q is not an absolute path", shell)
	}
	var out Buffer
	cmd := b.sh("", &out)
	cmd.Args = []string{shell, "-c", "echo from the shell"}
	if code, err := b.Exec(t.Context(), cmd); code != 0 || err != nil || out.String() != "from the shell\n" {
		t.Errorf("%s: got %d, %v, %q", shell, code, err, out.String())
	}
}

func testOutput(t *testing.T, s suite) {
	b := s.start(t)
	const script = `for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; printf 'no end of line'`
	var stdout, stderr Buffer
	cmd := b.sh(script, nil)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if code, err := b.Exec(t.Context(), cmd); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	if got, want := stdout.String(), "out 1\nout 2\nout 3\nout 4\nout 5\nno end of line"; got != want {
		t.Errorf("stdout: got %q, want %q", got, want)
	}
	if got, want := stderr.String(), "err 1\nerr 2\nerr 3\nerr 4\nerr 5\n"; got != want {
		t.Errorf("stderr: got %q, want %q", got, want)
	}
	cmd.Stdout, cmd.Stderr = nil, nil
	if code, err := b.Exec(t.Context(), cmd); code != 0 || err != nil {
		t.Errorf("without writers: %d, %v", code, err)
	}
}

func testStreaming(t *testing.T, s suite) {
	b := s.start(t)
	var out Buffer
	var helper sync.WaitGroup
	helper.Go(func() {
		if !out.Await(t.Context(), "half") { // a line that has no end yet
			t.Error("the first half did not come")
		}
		b.touch("go-on")
	})
	code, err := b.Exec(t.Context(), b.sh("printf half; while [ ! -e go-on ]; do sleep 0.01; done; echo ' done'", &out))
	helper.Wait()
	if code != 0 || err != nil || out.String() != "half done\n" {
		t.Errorf("%d, %v, %q", code, err, out.String())
	}
}

// repeated checks that what is written to it is one line over and over.
type repeated struct {
	line  string
	bytes int
	bad   int
}

func (r *repeated) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 {
		at := r.bytes % len(r.line)
		n := min(len(p), len(r.line)-at)
		if string(p[:n]) != r.line[at:at+n] {
			r.bad++
		}
		r.bytes += n
		p = p[n:]
	}
	return size, nil
}

func testBigOutput(t *testing.T, s suite) {
	b := s.start(t)
	const size = 64 << 20
	out := &repeated{line: "0123456789abcde\n"}
	cmd := b.sh(fmt.Sprintf("yes 0123456789abcde | head -c %d", size), nil)
	cmd.Stdout = out
	code, err := b.Exec(t.Context(), cmd)
	if code != 0 || err != nil || out.bytes != size || out.bad > 0 {
		t.Errorf("exit code %d, %v, %d bytes of %d, %d pieces wrong", code, err, out.bytes, size, out.bad)
	}
}

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }

func testWriterError(t *testing.T, s suite) {
	b := s.start(t)
	full := errors.New("log is full")
	cmd := b.sh("yes | head -c 1000000; echo end >reached", nil)
	cmd.Stdout = refusing{full}
	if _, err := b.Exec(t.Context(), cmd); !errors.Is(err, full) {
		t.Errorf("got %v, want the writer's error", err)
	}
	if _, err := b.file("reached"); err != nil {
		t.Error("the command did not go on:", err)
	}
}

func testFileOutput(t *testing.T, s suite) {
	b := s.start(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := b.sh("echo one; echo two >&2; echo three", nil)
	cmd.Stdout, cmd.Stderr = f, f
	if code, err := b.Exec(t.Context(), cmd); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	if got, _ := os.ReadFile(f.Name()); string(got) != "one\ntwo\nthree\n" {
		t.Errorf("got %q", got)
	}
}

func testStdin(t *testing.T, s suite) {
	b := s.start(t)
	if got := b.ok("cat; read x || echo empty; sh -c 'read y || echo empty too'"); got != "empty\nempty too\n" {
		t.Errorf("got %q", got)
	}
}

func testNotFound(t *testing.T, s suite) {
	b := s.start(t)
	for _, c := range []struct {
		name   string
		change func(*executor.Command)
		names  string
	}{
		{"command", func(c *executor.Command) { c.Args = []string{"no-such-program"} }, "no-such-program"},
		{"path", func(c *executor.Command) { c.Args = []string{"/no/such/program"} }, "/no/such/program"},
		{"folder", func(c *executor.Command) { c.Dir += "/no-such-folder" }, "no-such-folder"},
	} {
		var out Buffer
		cmd := b.sh("echo ran", &out)
		c.change(&cmd)
		_, err := b.Exec(t.Context(), cmd)
		if !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: got %v, want not found with its name", c.name, err)
		}
		if out.String() != "" {
			t.Errorf("%s: printed %q", c.name, out.String())
		}
	}
	if _, err := b.Exec(t.Context(), executor.Command{Dir: b.dir}); !errs.Is(err, errs.Invalid) {
		t.Errorf("no arguments: got %v, want invalid", err)
	}
}

func testCanceledBefore(t *testing.T, s suite) {
	b := s.start(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	if _, err := b.Exec(ctx, b.sh("echo ran >ran", nil)); !errors.Is(err, errStop) {
		t.Errorf("got %v, want the cause", err)
	}
	if _, err := b.file("ran"); err == nil {
		t.Error("the command ran")
	}
	spec := s.spec(t, t.TempDir(), &Buffer{})
	if sandbox, err := s.ex.Start(ctx, spec); !errors.Is(err, errStop) {
		t.Errorf("start: got %v, %v, want the cause", sandbox, err)
	}
	s.nothingLeft(t, spec.RunID)
}
