package engine

import (
	"errors"
	"os"
	"path/filepath"
)

// Way is how the workspaces of a large tree come to be.
type Way string

// The ways, the cheapest first.
const (
	ByMount   Way = "overlay mounts"
	BySharing Way = "files that share their blocks"
	ByCopy    Way = "copies"
)

// WayIn finds by a trial how workspaces are made in dir, a folder that is there.
func WayIn(dir string) (way Way, err error) {
	trial, err := os.MkdirTemp(dir, "trial")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, removeAll(trial)) }()
	lower, upper := filepath.Join(trial, "lower"), filepath.Join(trial, "upper")
	for _, d := range []string{lower, upper} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(lower, "file"), make([]byte, 1<<16), 0o600); err != nil {
		return "", err
	}
	switch {
	case canMount() && mountOverlay(lower, upper) == nil:
		return ByMount, unmountOverlay(upper)
	case sharesBlocks(filepath.Join(lower, "file"), filepath.Join(trial, "clone")):
		return BySharing, nil
	default:
		return ByCopy, nil
	}
}
