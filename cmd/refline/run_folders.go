package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"refline/internal/errs"
	"refline/internal/executor/process"
	"refline/internal/history"
	"refline/internal/lock"
	"refline/internal/workspace"

	"github.com/spf13/cobra"
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

// buildsFolder is the folder of the state folder with the workspaces of all runs.
const buildsFolder = "builds"

// buildsJobs is the folder of takeBuilds that jobs have their folders in.
const buildsJobs = "jobs"

// sweepKilled removes what runs that were killed left behind: folders, mounts and
// processes. own is the number of the run that calls, 0 for another command. If
// nothing is left, it costs a look at one folder.
func sweepKilled(ctx context.Context, e *env, own int64) {
	store, err := openHistory(e)
	if err != nil || !store.OthersAtWork(own) {
		return
	}
	state, err := e.stateDir()
	if err != nil {
		return
	}
	quiet := func() error { return process.New().Sweep(ctx) }
	for _, dir := range []string{store.Work(), filepath.Join(state, buildsFolder)} {
		if err := workspace.Sweep(dir, quiet); err != nil {
			e.notef("left over from an earlier run: %v", err)
		}
	}
}

// leavesRuns reports whether a command has nothing to do with runs and starts
// often: it does not look for what killed runs left.
func leavesRuns(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "mask", "agent", "version", "help", "run":
		return true
	default:
		return strings.HasPrefix(cmd.Name(), "__complete") || cmd.Name() == "completion"
	}
}
