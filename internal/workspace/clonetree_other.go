//go:build !darwin

package workspace

// cloneTree is for systems that clone a folder in one call.
func cloneTree(_, _ string) bool { return false }
