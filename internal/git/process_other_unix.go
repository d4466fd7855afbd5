//go:build unix && !linux

package git

import "syscall"

// limitMemory does nothing: only Linux can limit a process that runs.
func limitMemory(int, uint64) {}

func halfOfMemory() uint64 { return 0 }

func dieWithParent(*syscall.SysProcAttr) {}

func pin() (unpin func()) { return func() {} }
