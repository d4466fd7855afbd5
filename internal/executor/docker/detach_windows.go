package docker

import (
	"os/exec"
	"syscall"
)

// detach keeps a console's Ctrl-C from a program whose streams are still
// needed for an orderly end of the job.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
