package maskrun

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"refline/internal/errs"
)

// ExitError is how a command ended that was run in the caller's place; its exit
// code becomes ours. A signal that killed it counts as 128 and its number.
type ExitError int

func (ExitError) Error() string { return "the command ended with an error" }

// Start starts a command and returns what waits for its end, passing
// signals on to it; its exit code is wait's error. ownSession says that the
// terminal does not send its signals to the command, so that they are passed on
// too.
func Start(cmd *exec.Cmd, ownSession bool) (wait func() error, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn()...)
	if err := cmd.Start(); err != nil {
		signal.Stop(signals)
		return nil, errs.E(errs.Invalid, "%s: %w", cmd.Args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return func() error {
		defer signal.Stop(signals)
		for {
			select {
			case s := <-signals:
				if ownSession || !sentByTerminal(s) {
					_ = cmd.Process.Signal(s) // gone already: its end is next
				}
				if stopsUs(s) {
					stopSelf()
				}
			case err := <-ended:
				return exitOf(cmd, err)
			}
		}
	}, nil
}

func exitOf(cmd *exec.Cmd, err error) error {
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		if s, ok := endedBySignal(exit.ProcessState); ok {
			return ExitError(128 + s)
		}
		return ExitError(exit.ExitCode())
	case errors.Is(err, syscall.EPIPE):
		return ErrReaderGone // the reader has closed the pipe on purpose
	case err != nil:
		return errs.E(errs.Unavailable, "%s: %w", cmd.Path, err)
	}
	return nil
}
