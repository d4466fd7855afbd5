package main

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"refline/internal/errs"
)

// watched is stdout as commands write to it: the first error of a write is
// kept, since a result that nobody got is no success, and a reader that went
// away (a closed pipe) asks for an orderly end.
type watched struct {
	w    io.Writer
	gone func()
	mu   sync.Mutex
	err  error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
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
		w.gone()
	}
	return n, err
}

// bare is the stream itself, for who looks whether it is a terminal.
func bare(w io.Writer) io.Writer {
	if o, ok := w.(*watched); ok {
		return o.w
	}
	return w
}

// lost is the error for what could not be written, nil when all was.
func (w *watched) lost() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err == nil:
		return nil
	case errors.Is(w.err, syscall.EPIPE):
		return errShown // whoever closed the pipe has seen enough
	default:
		return errs.E(errs.Unavailable, "the output could not be written: %w", w.err)
	}
}
