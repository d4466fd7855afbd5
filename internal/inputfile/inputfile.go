// Package inputfile reads files that a user names: regular files only, and never
// more than a limit, since a device or a pipe might never end.
package inputfile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"refline/internal/errs"
)

// Read reads a regular file of at most limit bytes. shown names it in messages.
func Read(path, shown string, limit int64) ([]byte, error) {
	f, err := Open(path, shown)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, shown, limit)
}

// ReadAll reads at most limit bytes to the end of r. shown names it in messages.
func ReadAll(r io.Reader, shown string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, errs.E(errs.Unavailable, "%s: %w", shown, Pathless(err))
	}
	if int64(len(data)) > limit {
		return nil, errs.E(errs.Invalid, "%s: it has more than %s", shown, size(limit))
	}
	return data, nil
}

func size(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	if n%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// Pathless drops the path that os puts into its errors.
func Pathless(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// Open opens a regular file.
func Open(path, shown string) (*os.File, error) {
	info, err := os.Stat(path) // before it is opened: a pipe without a writer would wait
	if err != nil {
		return nil, errs.E(errs.NotFound, "%s: %w", shown, Pathless(err))
	}
	if !info.Mode().IsRegular() {
		return nil, errs.E(errs.Invalid, "%s: not a regular file", shown)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errs.E(errs.NotFound, "%s: %w", shown, Pathless(err))
	}
	return f, nil
}
