//go:build linux || darwin

package workspacetest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// MakePipe makes a named pipe, or skips the test.
func MakePipe(t *testing.T, path string) {
	t.Helper()
	Must(t, unix.Mkfifo(path, 0o644))
}
