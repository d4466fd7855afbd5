package engine

import (
	"fmt"
	"os"
	"path/filepath"
)

// AgentStarter starts an agent that authenticates for one job with secrets that
// the job does not have. It returns variables for the job, which override the
// job's own, and a function that ends the agent.
type AgentStarter func(AgentPlace) (env []string, end func() error, err error)

// AgentPlace is where an agent serves its job.
type AgentPlace struct {
	Dir  string            // for sockets and files, gone when the job is
	Seen string            // Dir as the job sees it
	Env  map[string]string // of the job so far
	Note func(string)      // shows a note to the user
}

func (a *attempt) startAgent() error {
	if a.Agent == nil {
		return nil
	}
	const name = ".agent" // no variable has such a name
	dir := filepath.Join(a.temp, name)
	mode := os.FileMode(0o700)
	if a.Executor.Isolated() {
		mode = 0o755 // the container's user is another; the folder above is closed to others
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
