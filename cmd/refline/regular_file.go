package main

import (
	"io"
	"os"

	"refline/internal/errs"
	"refline/internal/termview"
)

// readRegular reads a regular file of at most limit bytes: a device or a pipe
// might never end. shown names it in messages.
func readRegular(path, shown string, limit int64) ([]byte, error) {
	f, err := openRegular(path, shown)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, errs.E(errs.Unavailable, "%s: %w", shown, unwrapPath(err))
	}
	if int64(len(data)) > limit {
		return nil, errs.E(errs.Invalid, "%s: it has more than %s", shown, termview.ByteSize(limit))
	}
	return data, nil
}

// openRegular opens a regular file.
func openRegular(path, shown string) (*os.File, error) {
	info, err := os.Stat(path) // before it is opened: a pipe without a writer would wait
	if err != nil {
		return nil, errs.E(errs.NotFound, "%s: %w", shown, unwrapPath(err))
	}
	if !info.Mode().IsRegular() {
		return nil, errs.E(errs.Invalid, "%s: not a regular file", shown)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errs.E(errs.NotFound, "%s: %w", shown, unwrapPath(err))
	}
	return f, nil
}
