package process

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"refline/internal/lock"
)

// signal sends sig to the group, and to marked processes that left it. It reports
// whether any of them still runs; signal 0 only asks.
func (f family) signal(sig syscall.Signal) (alive bool) {
	_ = syscall.Kill(-f.leader, sig)
	for pid := range f.candidates {
		s, ok := readStat(pid)
		switch {
		case !ok || s.ended:
		case s.group == f.leader:
			alive = true
		case signalMarked(pid, sig, f.marked):
			alive = true
		}
	}
	return alive
}

func (f family) marked(mark string) bool {
	return mark == f.mark || strings.HasPrefix(mark, f.mark+",")
}

// manyPIDs is the number of process ids above which listing /proc is cheaper than
// asking for each one.
const manyPIDs = 2000

// candidates yields every pid that may belong to the family. The system assigns
// pids in order, so these are the ones from the leader's to the youngest: few for
// a command that starts few processes, however busy the computer is. The youngest
// is read again at the end, so processes forked meanwhile are included.
func (f family) candidates(yield func(pid int) bool) {
	pid := f.leader
	for last := youngestPID(); ; last = youngestPID() {
		if last < f.leader || last-pid > manyPIDs { // pids started over, or there are many
			allPIDs(yield)
			return
		}
		if pid > last {
			return
		}
		for ; pid <= last; pid++ {
			if !yield(pid) {
				return
			}
		}
	}
}

// youngestPID is the last field of /proc/loadavg, 0 if it cannot be read.
func youngestPID() int {
	var buf [128]byte
	b, _ := readStart("/proc/loadavg", buf[:])
	b = bytes.TrimSpace(b)
	n, _ := strconv.Atoi(string(b[bytes.LastIndexByte(b, ' ')+1:]))
	return n
}

func allPIDs(yield func(pid int) bool) {
	dir, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && !yield(pid) {
			return
		}
	}
}

type stat struct {
	ended bool // a zombie: only its exit code is left
	group int
}

func readStat(pid int) (stat, bool) {
	var buf [512]byte
	b, ok := readStart("/proc/"+strconv.Itoa(pid)+"/stat", buf[:])
	i := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	if !ok || i < 0 {
		return stat{}, false
	}
	fields := bytes.Fields(b[i+1:]) // state, parent, group, …
	if len(fields) < 3 {
		return stat{}, false
	}
	group, _ := strconv.Atoi(string(fields[2]))
	return stat{ended: fields[0][0] == 'Z' || fields[0][0] == 'X', group: group}, true
}

// readStart reads the start of a file in /proc. It avoids os.File because every
// Exec calls it, mostly for pids that do not exist.
func readStart(path string, buf []byte) ([]byte, bool) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer syscall.Close(fd)
	n, err := syscall.Read(fd, buf)
	return buf[:max(n, 0)], err == nil
}

// environ returns the value of markKey in a process's environment, "" if it is
// not set or cannot be read.
func environ(pid int) string {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	key := []byte(markKey + "=")
	for len(env) > 0 {
		kv, rest, _ := bytes.Cut(env, []byte{0})
		if bytes.HasPrefix(kv, key) {
			return string(kv[len(key):])
		}
		env = rest
	}
	return ""
}

// signalMarked signals pid if its mark is wanted. It reads the mark again once it
// has a handle of the process, since another process may have got the pid.
func signalMarked(pid int, sig syscall.Signal, wanted func(mark string) bool) bool {
	if !wanted(environ(pid)) {
		return false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer p.Release()
	return wanted(environ(pid)) && p.Signal(sig) == nil
}

// Sweep kills the commands of runs whose process is dead. The watcher has done so
// unless it was killed too.
func (*Executor) Sweep(ctx context.Context) error {
	self, err := lock.Self()
	if err != nil {
		return err
	}
	orphan := func(mark string) bool {
		for one := range strings.SplitSeq(mark, ",") {
			i := strings.LastIndexByte(one, '/')
			if owner, ok := lock.ParseOwner(one[:max(i, 0)]); ok && owner.Dead(self) {
				return true
			}
		}
		return false
	}
	kill := func() (found bool) {
		for pid := range allPIDs {
			if !orphan(environ(pid)) {
				continue
			}
			found = true
			// The group first: it includes processes that wiped their mark.
			if s, ok := readStat(pid); ok && s.group != syscall.Getpgrp() {
				_ = syscall.Kill(-s.group, syscall.SIGKILL)
			}
			signalMarked(pid, syscall.SIGKILL, orphan)
		}
		return found
	}
	// A killed process takes a moment to end, and may have started another.
	for deadline := time.Now().Add(killTime); kill() && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}
