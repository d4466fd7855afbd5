//go:build unix

package terminal

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"refline/internal/errs"
	"refline/internal/executor"
)

// Use makes the terminal raw while use runs, and follows its size.
func (s *Shared) Use(use func(in io.Reader, size executor.Size, resize <-chan executor.Size) error) error {
	in, ok := s.In.(*os.File)
	if !ok {
		return errs.E(errs.Invalid, "standard input is not a terminal")
	}
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return errs.E(errs.Unavailable, "terminal: %w", err)
	}
	defer func() { _ = term.Restore(int(in.Fd()), state) }()
	if s.keys == nil {
		s.keys = newKeyReader(in)
	}
	done := make(chan struct{})
	defer close(done)
	changed, resize := make(chan os.Signal, 1), make(chan executor.Size)
	signal.Notify(changed, syscall.SIGWINCH)
	defer signal.Stop(changed)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-changed:
			}
			select {
			case <-done:
				return
			case resize <- sizeOf(in):
			}
		}
	}()
	return use(&keys{keyReader: s.keys, done: done}, sizeOf(in), resize)
}

func sizeOf(terminal *os.File) executor.Size {
	columns, rows, err := term.GetSize(int(terminal.Fd()))
	if err != nil {
		return executor.Size{}
	}
	return executor.Size{Rows: uint16(rows), Columns: uint16(columns)} //nolint:gosec // of a terminal
}
