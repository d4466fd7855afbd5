package maskrun

import "golang.org/x/sys/unix"

// terminalSignals reports whether keys of a terminal send signals.
func terminalSignals(fd int) bool {
	t, err := unix.IoctlGetTermios(fd, unix.TIOCGETA)
	return err == nil && t.Lflag&unix.ISIG != 0
}
