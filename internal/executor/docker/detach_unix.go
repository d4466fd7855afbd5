//go:build unix

package docker

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from a program: what goes over its streams
// is needed to end a job in order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
