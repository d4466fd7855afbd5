package engine

import (
	"fmt"
	"os"
	"path/filepath"
)

// AgentStarter starts an agent that serves an ssh key to one job. dir is a
// folder for its socket and its files, which the job sees as seen; note tells
// the user what the agent refused. It returns variables for the job, which the
// job's own do not override, and what ends the agent.
type AgentStarter func(dir, seen string, note func(string)) (env []string, end func() error, err error)

func (a *attempt) startAgent() error {
	if a.Agent == nil {
		return nil
	}
	const name = ".agent" // no variable is called so
	dir := filepath.Join(a.temp, name)
	mode := os.FileMode(0o700)
	if a.Executor.Isolated() {
		mode = 0o755 // the container's user is another; the folder above is the wall
	}
	if err := os.Mkdir(dir, mode); err != nil {
		return err
	}
	env, end, err := a.Agent(dir, a.paths.temp+"/"+name, a.note)
	if err != nil {
		return fmt.Errorf("ssh agent: %w", err)
	}
	a.env, a.endAgent = append(a.env, env...), end
	return nil
}
