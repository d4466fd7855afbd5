//go:build !linux

package cli

// HideMemory does nothing on this system.
func HideMemory() {}
