//go:build unix

package maskrun

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// passedOn are the signals that a command gets in our place.
func passedOn() []os.Signal {
	signals := []os.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT,
	}
	if !signal.Ignored(syscall.SIGTSTP) {
		signals = append(signals, syscall.SIGTSTP)
	}
	return signals
}

// stopsUs reports that a signal is to stop this program too.
func stopsUs(s os.Signal) bool { return s == syscall.SIGTSTP }

// stopSelf stops this program until SIGCONT comes.
func stopSelf() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) }

// sentByTerminal reports that a signal came by a key, most likely: then the whole
// foreground group has got it, the command included.
func sentByTerminal(s os.Signal) bool {
	if s != syscall.SIGINT && s != syscall.SIGQUIT && s != syscall.SIGTSTP {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

func endedBySignal(state *os.ProcessState) (int, bool) {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return 0, false
	}
	return int(status.Signal()), true
}
