package lock

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func startTime(pid int) (string, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	const zombie = 5                                                             // SZOMB
	if err != nil || int(info.Proc.P_pid) != pid || info.Proc.P_stat == zombie { // an absent pid gives an empty answer
		return "", os.ErrNotExist
	}
	t := info.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", t.Sec, t.Usec), nil
}

func hostScope() (string, error) {
	name, err := os.Hostname()
	return strings.ReplaceAll(name, "/", "-"), err
}
