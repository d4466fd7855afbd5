//go:build unix

package git

import (
	"os"
	"os/exec"
	"syscall"
)

// supervise runs cmd in a process group of its own and leaves nothing of the
// group running: git first gets the chance to remove its temporary files. memory
// bounds what each process may have, where the system can; 0 is no bound.
func supervise(cmd *exec.Cmd, memory uint64) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	canceled := false
	cmd.Cancel = func() error {
		canceled = true
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	unpin := pin()
	defer unpin()
	err := cmd.Start()
	if err == nil {
		if memory > 0 {
			limitMemory(cmd.Process.Pid, memory)
		}
		err = cmd.Wait()
	}
	if canceled {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an empty group answers ESRCH
	}
	return err
}

func share(cmd *exec.Cmd, f *os.File) { cmd.ExtraFiles = append(cmd.ExtraFiles, f) }
