package podsandbox

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// reap takes the exit codes of processes that were left to this one: as the first
// process of a container it gets all whose parents ended. Its own children are
// waited for elsewhere, so only those are taken that are not ours by session.
func reap() {
	if os.Getpid() != 1 {
		return
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || !orphaned(pid) {
			continue
		}
		var status syscall.WaitStatus
		_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil) // it is only to leave the table of processes
	}
}

// orphaned reports whether a process has ended, is a child of ours, and did not lead
// a session: those that we start do.
func orphaned(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	i := bytes.LastIndexByte(text, ')')
	if err != nil || i < 0 {
		return false
	}
	fields := bytes.Fields(text[i+1:]) // state, parent, group, session
	return len(fields) > 3 && fields[0][0] == 'Z' && string(fields[1]) == "1" && string(fields[3]) != strconv.Itoa(pid)
}
