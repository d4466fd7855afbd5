//go:build unix

package docker

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from a program whose streams are still
// needed for an orderly end of the job.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
