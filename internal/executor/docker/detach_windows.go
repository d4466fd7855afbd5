package docker

import (
	"os/exec"
	"syscall"
)

// detach keeps a console's Ctrl-C from a program: what goes over its streams
// is needed to end a job in order.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
