//go:build unix

package cli

import (
	"syscall"

	"refline/internal/errs"
)

// replaceProcess runs a program in this process: its number, its terminal and its
// signals are then that program's.
func replaceProcess(path string, args []string, e *Env) error {
	err := syscall.Exec(path, append([]string{path}, args...), e.Environ()) //nolint:gosec // the program beside this one
	return errs.E(errs.Unavailable, "start %s: %w", path, err)
}
