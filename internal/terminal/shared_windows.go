package terminal

import (
	"io"

	"refline/internal/errs"
	"refline/internal/executor"
)

// Use is not done here: no job runs on Windows.
func (*Shared) Use(func(io.Reader, executor.Size, <-chan executor.Size) error) error {
	return errs.E(errs.Invalid, "a shell in a job needs Linux or macOS")
}
