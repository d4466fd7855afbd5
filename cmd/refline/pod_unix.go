//go:build unix

package main

import "syscall"

// shareFiles lets the group write what this process makes.
func shareFiles() { syscall.Umask(0o002) }
