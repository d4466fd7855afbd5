package main

import (
	"os"
	"path/filepath"
	"strconv"

	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/lock"
	"refline/internal/workspace"
)

func openHistory(e *env) (history.Store, error) {
	state, err := e.stateDir()
	if err != nil {
		return history.Store{}, err
	}
	return history.Open(state, workspace.Remove), nil
}

// takeBuilds takes the first folder for workspaces that no other run has, so
// that a run which is alone always has the same: tools and caches remember
// paths.
func takeBuilds(builds string) (dir string, release func(), err error) {
	for place := 1; ; place++ {
		dir = filepath.Join(builds, strconv.Itoa(place))
		unlock, err := lock.Folder(dir)
		if errs.Is(err, errs.Conflict) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		release = func() {
			unlock()
			_ = workspace.Sweep(builds, nil)
		}
		if _, err := os.Lstat(filepath.Join(dir, buildsJobs)); os.IsNotExist(err) {
			return dir, release, nil
		}
		unlock() // a run that was killed left what could not be removed
	}
}

// buildsJobs is the folder of takeBuilds that jobs have their folders in.
const buildsJobs = "jobs"
