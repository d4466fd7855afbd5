package workspace

import (
	"errors"
	"os"
	"path/filepath"
)

// CloneMethod is how workspaces of a large tree are made.
type CloneMethod string

// The methods, the cheapest first.
const (
	CloneMethodOverlay CloneMethod = "overlay mounts"
	CloneMethodReflink CloneMethod = "files that share their blocks"
	CloneMethodCopy    CloneMethod = "copies"
)

// DetectCloneMethod tries how workspaces are made in dir, which must exist.
func DetectCloneMethod(dir string) (method CloneMethod, err error) {
	trial, err := os.MkdirTemp(dir, "trial")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, RemoveAll(trial)) }()
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
		return CloneMethodOverlay, unmountOverlay(upper)
	case sharesBlocks(filepath.Join(lower, "file"), filepath.Join(trial, "clone")):
		return CloneMethodReflink, nil
	default:
		return CloneMethodCopy, nil
	}
}
