package git

import (
	"os"
	"os/exec"
)

func halfOfMemory() uint64 { return 0 }

func supervise(cmd *exec.Cmd, _ uint64) error { return cmd.Run() }

// share does nothing: a Windows child cannot hold the lock of its parent.
func share(*exec.Cmd, *os.File) {}
