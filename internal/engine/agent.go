package engine

import (
	"fmt"
	"os"
	"path/filepath"
)

// AgentStarter starts what logs in for one job with secrets that the job does
// not hold. It returns variables for the job, which the job's own do not
// override, and what ends the agent.
type AgentStarter func(AgentPlace) (env []string, end func() error, err error)

// AgentPlace is where an agent meets its job.
type AgentPlace struct {
	Dir  string            // for sockets and files, gone when the job is
	Seen string            // Dir as the job sees it
	Env  map[string]string // of the job so far
	Note func(string)      // tells the user
}

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
	env, end, err := a.Agent(AgentPlace{Dir: dir, Seen: a.paths.temp + "/" + name, Env: a.lookup, Note: a.note})
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	a.env, a.endAgent = append(a.env, env...), end
	return nil
}
