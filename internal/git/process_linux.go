package git

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// limitMemory bounds the memory of a process, of those that it has started
// and of those that it will start, which inherit the limit. A process that cannot
// be limited has ended, or is bounded in time alone.
func limitMemory(pid int, bytes uint64) {
	limitFamily(pid, &unix.Rlimit{Cur: bytes, Max: bytes}, 5)
}

// halfOfMemory is half of what this computer has, in bytes.
func halfOfMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit) / 2
}

// limitFamily limits a process before it looks for its children: those that it
// starts later have the limit already.
func limitFamily(pid int, limit *unix.Rlimit, depth int) {
	if unix.Prlimit(pid, unix.RLIMIT_DATA, limit, nil) != nil || depth == 0 {
		return
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(text)) {
			if id, err := strconv.Atoi(child); err == nil {
				limitFamily(id, limit, depth-1)
			}
		}
	}
}

// dieWithParent ends git when this program is killed: an abandoned fetch stops, and
// its own children end on their closed pipes.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }

// pin holds the goroutine on its thread, because the kernel ties the signal of
// dieWithParent to the thread that started the child.
func pin() (unpin func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
