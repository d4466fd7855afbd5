package main

import (
	"context"
	"strings"

	"refline/internal/executor/process"
	"refline/internal/history"
	"refline/internal/localrun"
	"refline/internal/workspace"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

func openHistory(e *cli.Env) (history.Store, error) {
	state, err := e.StateDir()
	if err != nil {
		return history.Store{}, err
	}
	return history.Open(state, workspace.Remove), nil
}

// sweepKilled removes what runs that were killed left behind; see
// localrun.SweepKilled. own is the number of the run that calls, 0 for another
// command.
func sweepKilled(ctx context.Context, e *cli.Env, own int64) {
	state, err := e.StateDir()
	if err != nil {
		return
	}
	quiet := func() error { return process.New().Sweep(ctx) }
	localrun.SweepKilled(history.Open(state, workspace.Remove), state, own, quiet, func(err error) {
		e.Notef("left over from an earlier run: %v", err)
	})
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
