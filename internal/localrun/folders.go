package localrun

import (
	"os"
	"path/filepath"
	"strconv"

	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/lock"
	"refline/internal/workspace"
)

// takeBuilds takes the first folder for workspaces that no other run has, so
// that a run which is alone always has the same: tools and caches remember
// paths.
func takeBuilds(state string) (dir string, release func(), err error) {
	builds := filepath.Join(state, buildsFolder)
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

// buildsFolder is the folder of the state folder with the workspaces of all runs.
const buildsFolder = "builds"

// buildsJobs is the folder of takeBuilds that jobs have their folders in.
const buildsJobs = "jobs"

// SweepKilled removes what runs that were killed left behind: folders, mounts and
// processes, which quiet ends. own is the number of the run that calls, 0 for
// another caller. If nothing is left, it costs a look at one folder.
func SweepKilled(store history.Store, state string, own int64, quiet func() error, failed func(error)) {
	if !store.OthersAtWork(own) {
		return
	}
	for _, dir := range []string{store.Work(), filepath.Join(state, buildsFolder)} {
		if err := workspace.Sweep(dir, quiet); err != nil {
			failed(err)
		}
	}
}
