package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"refline/internal/errs"
)

// childExit is how a command ended that was run in the caller's place; its exit
// code becomes ours. A signal that killed it counts as 128 and its number.
type childExit int

func (childExit) Error() string { return "the command ended with an error" }

// besideExit is what there is to say of an error: of a command's exit code
// nothing, it has spoken for itself.
func besideExit(err error) error {
	var code childExit
	if joined, ok := err.(interface{ Unwrap() []error }); ok && errors.As(err, &code) {
		var rest []error
		for _, e := range joined.Unwrap() {
			rest = append(rest, besideExit(e))
		}
		return errors.Join(rest...)
	}
	if errors.As(err, &code) {
		return nil
	}
	return err
}

// lookCommand finds the program of a command line as a shell would.
func lookCommand(args []string) (string, error) {
	path, err := exec.LookPath(args[0])
	switch {
	case err == nil || errors.Is(err, exec.ErrDot):
		return path, nil
	case errors.Is(err, fs.ErrPermission):
		return "", errs.E(errs.Denied, "%s may not be executed; chmod +x %s", args[0], shellWord(args[0]))
	case filepath.Base(args[0]) != args[0]:
		return "", errs.E(errs.NotFound, "no command %s: no such file", args[0])
	}
	return "", errs.E(errs.NotFound, "no command %s in PATH", args[0])
}

// startCommand starts a command and returns what waits for its end, passing
// signals on to it; its exit code is wait's error. ownSession says that the
// terminal does not send its signals to the command, so that they are passed on
// too.
func startCommand(cmd *exec.Cmd, ownSession bool) (wait func() error, err error) {
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
			return childExit(128 + s)
		}
		return childExit(exit.ExitCode())
	case errors.Is(err, syscall.EPIPE):
		return errShown // whoever closed the pipe has seen enough
	case err != nil:
		return errs.E(errs.Unavailable, "%s: %w", cmd.Path, err)
	}
	return nil
}
