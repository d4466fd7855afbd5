//go:build linux || darwin

package pythonenv

import (
	"os"
	"os/exec"
	"syscall"
)

// bind makes the end of cmd's context end all that cmd started. When this
// process is killed instead, cmd goes on, and keeps the lock until it is done.
func bind(cmd *exec.Cmd, lock *os.File) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.ExtraFiles = []*os.File{lock}
}
