package localrun

import (
	"strconv"

	"refline/internal/credential"
	"refline/internal/engine"
	"refline/internal/executor"
)

// Agent starts what logs in for a job: ssh agents with the deploy keys, and
// git's credentials for https. It is nil when the run has neither.
func Agent(set credential.Set, ex executor.Executor) engine.AgentStarter {
	if set.Empty() {
		return nil
	}
	return func(p engine.AgentPlace) (env []string, end func() error, err error) {
		count, _ := strconv.Atoi(p.Env["GIT_CONFIG_COUNT"])
		return set.Serve(credential.Place{
			Dir: p.Dir, Seen: p.Seen, Shared: ex.Isolated(), ConfigCount: count,
			Refused: func(reason string) { p.Note("agent refused " + reason) },
		})
	}
}
