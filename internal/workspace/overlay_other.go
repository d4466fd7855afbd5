//go:build !linux

package workspace

import "refline/internal/errs"

func canMount() bool { return false }

func mountOverlay(_, _ string) error {
	return errs.E(errs.Unavailable, "overlay mounts are Linux's alone")
}

func unmountOverlay(string) error { return nil }

// unmountBelow undoes the mounts inside dir.
func unmountBelow(string) error { return nil }
