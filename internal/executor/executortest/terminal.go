package executortest

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"refline/internal/executor"
)

// typist is a terminal whose keys a test presses.
type typist struct {
	out    *Buffer
	keys   *io.PipeWriter
	resize chan executor.Size
}

// onTerminal runs script with a terminal while use presses keys.
func (b *box) onTerminal(ctx context.Context, script string, env []string, use func(k *typist)) (*Buffer, int, error) {
	b.t.Helper()
	in, keys := io.Pipe()
	k := &typist{out: &Buffer{}, keys: keys, resize: make(chan executor.Size)}
	cmd := b.sh(script, nil)
	cmd.Stdout, cmd.Stderr = nil, nil
	cmd.Env = append(cmd.Env, env...)
	cmd.Terminal = &executor.Terminal{In: in, Out: k.out, Size: executor.Size{Rows: 30, Columns: 100}, Resize: k.resize}
	var helper sync.WaitGroup
	helper.Go(func() { use(k) })
	code, err := b.Exec(ctx, cmd)
	_ = in.Close() // wakes a writer, too
	helper.Wait()
	return k.out, code, err
}

func (k *typist) press(t *testing.T, after, keys string) {
	if !k.out.Await(t.Context(), after) {
		t.Errorf("%q did not come: %q", after, k.out)
	}
	_, _ = io.WriteString(k.keys, keys)
}

func testTerminal(t *testing.T, s suite) {
	b := s.start(t)
	out, code, err := b.onTerminal(t.Context(), `test -t 0 && test -t 1 && test -t 2 && echo all three
		printf 'name? '; read -r x; echo "hello $x, $WORD"; pwd >dir; exit 7`,
		[]string{"WORD=it's $HOME `id`"}, func(k *typist) { k.press(t, "name? ", "box\r") })
	if code != 7 || err != nil || !strings.Contains(out.String(), "all three") || !strings.Contains(out.String(), "hello box, it's $HOME `id`\r\n") {
		t.Errorf("got %d, %v, %q", code, err, out)
	}
	// The next command has none, and what the first one wrote is there.
	if got := b.ok("test -t 0 || echo none; test -s dir && echo written"); got != "none\nwritten\n" {
		t.Errorf("after it: %q", got)
	}
}

func testTerminalKeys(t *testing.T, s suite) {
	b := s.start(t)
	out, code, err := b.onTerminal(t.Context(), `trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done`, nil,
		func(k *typist) { k.press(t, "ready", "\x03") })
	if code != 5 || err != nil || !strings.Contains(out.String(), "interrupted") {
		t.Errorf("Ctrl-C: got %d, %v, %q", code, err, out)
	}
	out, code, err = b.onTerminal(t.Context(), `echo ready; cat >typed; echo over`, nil, func(k *typist) {
		k.press(t, "ready", "a line\r")
		_ = k.keys.Close()
	})
	if code != 0 || err != nil || !strings.Contains(out.String(), "over") {
		t.Errorf("end of input: got %d, %v, %q", code, err, out)
	}
	if got, err := b.file("typed"); got != "a line\n" {
		t.Errorf("typed: %q, %v", got, err)
	}
}

func testTerminalSize(t *testing.T, s suite) {
	b := s.start(t)
	if code, err := b.Exec(t.Context(), b.sh("command -v stty", &Buffer{})); code != 0 || err != nil {
		t.Skip("no stty")
	}
	out, code, err := b.onTerminal(t.Context(), `is() { until [ "$(stty size 2>&1)" = "$1" ]; do sleep 0.05; done; }
		is "30 100"; echo ready; is "40 120"; echo resized`, nil,
		func(k *typist) {
			if k.out.Await(t.Context(), "ready") {
				k.resize <- executor.Size{Rows: 40, Columns: 120}
			}
		})
	if code != 0 || err != nil || !strings.Contains(out.String(), "resized") {
		t.Errorf("got %d, %v, %q", code, err, out)
	}
}

func testTerminalCancel(t *testing.T, s suite) {
	b := s.start(t)
	life := b.lifeline("life")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	out, _, err := b.onTerminal(ctx, `exec 9>life; (sleep 1000 &); echo ready; trap '' HUP; while :; do sleep 0.05; done`, nil, func(k *typist) {
		if !k.out.Await(t.Context(), "ready") {
			t.Error("it did not start")
		}
		cancel(errStop)
	})
	if !errors.Is(err, errStop) {
		t.Errorf("got %v, %q, want the cause", err, out)
	}
	life.gone()
	cmd := b.sh("", nil)
	cmd.Args = []string{"no-such-program"}
	cmd.Terminal = &executor.Terminal{In: strings.NewReader(""), Out: &Buffer{}}
	if _, err := b.Exec(t.Context(), cmd); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("no such program: got %v", err)
	}
	if got := b.ok("echo after"); got != "after\n" {
		t.Errorf("after a cancel: %q", got)
	}
}
