package pythonenv

import (
	"os"
	"os/exec"
)

// bind is for the systems that jobs run on.
func bind(*exec.Cmd, *os.File) {}
