package main

import (
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/termview"
)

// lookCommand finds the program of a command line as a shell would.
func lookCommand(args []string) (string, error) {
	path, err := exec.LookPath(args[0])
	switch {
	case err == nil || errors.Is(err, exec.ErrDot):
		return path, nil
	case errors.Is(err, fs.ErrPermission):
		return "", errs.E(errs.Denied, "%s may not be executed; chmod +x %s", args[0], termview.ShellWord(args[0]))
	case filepath.Base(args[0]) != args[0]:
		return "", errs.E(errs.NotFound, "no command %s: no such file", args[0])
	}
	return "", errs.E(errs.NotFound, "no command %s in PATH", args[0])
}
