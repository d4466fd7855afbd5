//go:build unix

package credential

import (
	"os/exec"
	"strconv"
	"syscall"
)

// WatchOver ends a command and removes a folder when this process is killed: a
// shell waits for the end of a pipe that only this process holds.
func WatchOver(pid int, dir string) (release func()) {
	const script = `trap '' HUP INT TERM
read -r done || { kill -TERM "$1"; sleep 1; kill -KILL "$1"; } 2>/dev/null
rm -rf -- "$2"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", strconv.Itoa(pid), dir)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's signals are not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return func() {}
	}
	if cmd.Start() != nil {
		_ = in.Close()
		return func() {}
	}
	return func() {
		_, _ = in.Write([]byte("done\n"))
		_ = in.Close()
		_ = cmd.Wait()
	}
}
