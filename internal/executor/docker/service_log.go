package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/client"
)

// tellEnded says which services have ended, each once, with the end of their
// logs: at the start of a job those that failed, after a command that failed
// all, since that may be why.
func (s *sandbox) noteEndedServices(ctx context.Context, all bool) {
	for _, one := range s.services {
		if one.told {
			continue
		}
		found, err := s.conn.api.ContainerInspect(ctx, one.container, client.ContainerInspectOptions{})
		if err != nil || found.Container.State == nil || found.Container.State.Running || found.Container.State.Status == "created" {
			continue
		}
		code := found.Container.State.ExitCode
		if code == 0 && !all {
			continue // it may be there to do one thing
		}
		one.told = true
		why := ""
		if found.Container.State.OOMKilled {
			why = ", out of memory"
		}
		note(s.spec.Log, "%s", one.warning(fmt.Sprintf("ended with exit code %d%s", code, why), s.logTail(ctx, one)))
	}
}

func (one *service) warning(problem, log string) string {
	return fmt.Sprintf("warning: service %s (%s) %s\n%s", one.spec.Name, strings.Join(one.names(), ", "), problem, log)
}

// debugVariable is GitLab's switch for the logs of services.
const debugVariable = "CI_DEBUG_SERVICES"

// tellLogs ends the services of a job that asks for their logs, and writes what
// they printed.
func (s *sandbox) writeServiceLogs(ctx context.Context) {
	for _, one := range s.services {
		if one.container == "" || one.told || one.variable(debugVariable) != "true" {
			continue
		}
		// What has ended has written all of its log.
		if err := s.conn.kill(ctx, one.container); err != nil {
			note(s.spec.Log, "warning: service %s: %v", one.spec.Name, err)
		}
		names := one.names()
		for line := range strings.Lines(s.logEnd(ctx, one, "all")) {
			note(s.spec.Log, "[service:%s] %s", names[len(names)-1], strings.TrimRight(line, "\n"))
		}
	}
}
