package interrupt

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"refline/internal/errs"
)

func newInterrupt(t *testing.T) (i *Interrupt, ctx context.Context, echoes *int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	echoes = new(int)
	i = New(ctx, cancel, func() { *echoes++ })
	t.Cleanup(func() {
		if i.timer != nil {
			i.timer.Stop()
		}
		cancel()
	})
	return i, ctx, echoes
}

func TestFirstSignalEnds(t *testing.T) {
	t.Parallel()
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		i, ctx, echoes := newInterrupt(t)
		i.signal(signal)
		if i.Stop.Err() == nil || ctx.Err() == nil || i.ExitCode() != code {
			t.Errorf("%v: stop %v, context %v, exit code %d", signal, i.Stop.Err(), ctx.Err(), i.ExitCode())
		}
		if want := signal == syscall.SIGINT; (*echoes == 1) != want {
			t.Errorf("%v: %d echoes", signal, *echoes)
		}
	}
}

func TestOrderlyCommandsEndAtTheSecondSignal(t *testing.T) {
	t.Parallel()
	i, ctx, _ := newInterrupt(t)
	release := i.KeepOrder()
	i.signal(os.Interrupt)
	if i.Stop.Err() == nil || ctx.Err() != nil {
		t.Fatalf("first signal: stop %v, context %v", i.Stop.Err(), ctx.Err())
	}
	i.signal(syscall.SIGTERM)
	if ctx.Err() == nil || i.ExitCode() != 130 {
		t.Errorf("second signal: context %v, exit code %d; want the first one's", ctx.Err(), i.ExitCode())
	}
	release()
	release() // does nothing
	if i.orderly != 0 {
		t.Errorf("%d commands keep order", i.orderly)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestOutput(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want error
		kind errs.Kind
		gone int
	}{
		"delivered":   {},
		"closed pipe": {err: &os.PathError{Err: syscall.EPIPE}, want: ErrReaderGone, gone: 1},
		"full disk":   {err: syscall.ENOSPC, want: syscall.ENOSPC, kind: errs.Unavailable},
	} {
		gone := 0
		out := &Output{To: failing{tc.err}, Gone: func() { gone++ }}
		for range 2 {
			_, _ = out.Write([]byte("x"))
		}
		if err := out.Lost(); !errors.Is(err, tc.want) || tc.kind != 0 && !errs.Is(err, tc.kind) || gone != tc.gone {
			t.Errorf("%s: got %v, gone %d", name, err, gone)
		}
		if Bare(out) != (failing{tc.err}) {
			t.Errorf("%s: Bare is not the stream", name)
		}
	}
}
