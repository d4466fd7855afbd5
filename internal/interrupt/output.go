package interrupt

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"refline/internal/errs"
)

// Output is standard output as a command writes to it. The first error of a write is
// kept, since undelivered output is a failure, and a reader that is gone (a closed
// pipe) asks for an orderly end.
type Output struct {
	To   io.Writer
	Gone func() // called when the reader is gone

	mu  sync.Mutex
	err error
}

func (w *Output) Write(p []byte) (int, error) {
	n, err := w.To.Write(p)
	if err == nil {
		return n, nil
	}
	w.mu.Lock()
	first := w.err == nil
	if first {
		w.err = err
	}
	w.mu.Unlock()
	if first && errors.Is(err, syscall.EPIPE) {
		w.Gone()
	}
	return n, err
}

// Bare returns the stream itself, for code that needs to know whether it is a
// terminal.
func Bare(w io.Writer) io.Writer {
	if o, ok := w.(*Output); ok {
		return o.To
	}
	return w
}

// ErrReaderGone says that the reader of the output has closed it.
var ErrReaderGone = errors.New("the reader of the output is gone")

// Lost is the error for what could not be written; nil if all was.
func (w *Output) Lost() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err == nil:
		return nil
	case errors.Is(w.err, syscall.EPIPE):
		return ErrReaderGone
	default:
		return errs.E(errs.Unavailable, "the output could not be written: %w", w.err)
	}
}
