//go:build unix

package executortest

import (
	"os"
	"syscall"
)

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o666) }

// openFIFO opens the reading end before there is a writer.
func openFIFO(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// holders reports whether a process still holds the writing end. It reads without
// waiting: a deadline may pass on a busy computer before the first read.
func holders(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return true
	}
	var held bool
	err = conn.Read(func(fd uintptr) bool {
		var buf [64]byte
		n, err := syscall.Read(int(fd), buf[:])
		held = n > 0 || err != nil // the end of the file is 0 and nil
		return true
	})
	return held || err != nil
}
