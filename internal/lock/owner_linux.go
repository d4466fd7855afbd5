package lock

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// startTime is field 22 of /proc/PID/stat: clock ticks since boot.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, syscall.ESRCH) { // it ended while it was read
		err = os.ErrNotExist
	}
	if errors.Is(err, os.ErrNotExist) && errors.Is(syscall.Kill(pid, 0), syscall.EPERM) {
		// /proc may hide other users' processes (mount option hidepid).
		return "", syscall.EPERM
	}
	if err != nil {
		return "", err
	}
	// The second field is a name in parentheses that may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	if state := fields[0][0]; state == 'Z' || state == 'X' {
		return "", os.ErrNotExist
	}
	return string(fields[19]), nil
}

// hostScope holds, beside the name, the machine's id since names repeat, and
// the namespace of process ids since a container's pids say nothing outside.
func hostScope() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", err
	}
	ns, err := os.Readlink("/proc/self/ns/pid") // pid:[4026531836]
	if err != nil {
		return "", err
	}
	id, _ := os.ReadFile("/etc/machine-id") // absent in many containers, whose names are unique
	scope := name + "." + string(id[:min(8, len(id))]) + "." + strings.Trim(strings.TrimPrefix(ns, "pid:"), "[]")
	return strings.Map(func(r rune) rune {
		if r == '/' || r <= ' ' {
			return '-'
		}
		return r
	}, scope), nil
}
