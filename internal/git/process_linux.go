package git

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// limitMemory bounds the address space of a process and of those that it will
// start. A process that has just been started has none yet.
func limitMemory(pid int, bytes uint64) {
	_ = unix.Prlimit(pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: bytes, Max: bytes}, nil) // time is bounded too
}

// dieWithParent ends git when this program is killed: a fetch that nobody waits
// for stops, and its own children end on their closed pipes.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }

// pin holds the goroutine on its thread, because the kernel ties the signal of
// dieWithParent to the thread that started the child.
func pin() (unpin func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
