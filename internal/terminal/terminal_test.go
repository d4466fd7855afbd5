package terminal

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	a := &Asker{In: strings.NewReader("first\n  YES \nn\nlast"), Stop: t.Context()}
	var out strings.Builder
	if got, err := a.Ask(&out, "who? "); got != "first" || err != nil || out.String() != "who? " {
		t.Errorf("got %q, %v, printed %q", got, err, out.String())
	}
	for _, want := range []bool{true, false} {
		if got, err := a.AskYes(&out, ""); got != want || err != nil {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
	if got, err := a.Ask(&out, ""); got != "last" || err != nil {
		t.Errorf("a line without an end: got %q, %v", got, err)
	}
	if _, err := a.Ask(&out, ""); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the input: got %v, want io.EOF", err)
	}
}

func TestInterruptEndsAQuestion(t *testing.T) {
	t.Parallel()
	never, end := io.Pipe()
	t.Cleanup(func() { end.Close() })
	stop, interrupt := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, interrupt)
	a := &Asker{In: never, Stop: stop}
	if _, err := a.Ask(io.Discard, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	// An answer that comes with the interrupt does not count.
	a = &Asker{In: strings.NewReader("yes\n"), Stop: stop}
	if yes, err := a.AskYes(io.Discard, ""); yes || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v, want context.Canceled", yes, err)
	}
}

// A read that waits when a program ends must not take the next one's first key.
func TestKeysOfProgramsInTurn(t *testing.T) {
	t.Parallel()
	in, press := io.Pipe()
	source := newKeyReader(in)
	done := make(chan struct{})
	first := &keys{keyReader: source, done: done}
	ended := make(chan error, 1)
	go func() {
		_, err := first.Read(make([]byte, 10))
		ended <- err
	}()
	close(done)
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the first program's read: %v", err)
	}
	go func() { _, _ = press.Write([]byte("abc")); press.Close() }()
	second := &keys{keyReader: source, done: make(chan struct{})}
	buf := make([]byte, 2)
	var got string
	for {
		n, err := second.Read(buf)
		got += string(buf[:n])
		if err != nil {
			break
		}
	}
	if got != "abc" {
		t.Errorf("the second program got %q, want abc", got)
	}
}
