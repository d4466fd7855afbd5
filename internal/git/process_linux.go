package git

import (
	"runtime"
	"syscall"
)

// dieWithParent ends git when this program is killed: a fetch that nobody waits
// for stops, and its own children end on their closed pipes.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }

// pin holds the goroutine on its thread, because the kernel ties the signal of
// dieWithParent to the thread that started the child.
func pin() (unpin func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
