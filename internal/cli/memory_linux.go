package cli

import "golang.org/x/sys/unix"

// HideMemory keeps other processes of the same user, the jobs among them, from
// this process's memory and first environment, and the system from writing them
// to a core dump (prctl(2), PR_SET_DUMPABLE). Root still sees them. Programs that
// are started are as before, unlike by a limit of core dumps, which they would
// inherit. Where it cannot be had nothing is lost.
func HideMemory() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
