package cli

import (
	"errors"
	"os/exec"

	"refline/internal/errs"
	"refline/internal/maskrun"
)

// replaceProcess runs a program and takes its exit code: Windows cannot put one in the
// place of another. Ctrl-C reaches both.
func replaceProcess(path string, args []string, e *Env) error {
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = e.Stdin, e.Stdout, e.Stderr, e.Environ()
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return maskrun.ExitError(exit.ExitCode())
	}
	if err != nil {
		return errs.E(errs.Unavailable, "start %s: %w", path, err)
	}
	return nil
}
