//go:build unix

package errs

import "syscall"

var diskFullErrors = [...]syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}
