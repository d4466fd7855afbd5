package main

import (
	"os/exec"

	"refline/internal/mask"
)

// maskOnTerminal is not done here: the command's output is a pipe.
func maskOnTerminal(*env, *mask.Set, *exec.Cmd) (bool, error) { return false, nil }
