package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/client"

	"refline/internal/executor"
)

// noteEndedServices logs which services have ended, each once, with their last
// lines: at the start of a job the failed ones, after a failed command all of them,
// since one may be the cause.
func (s *sandbox) noteEndedServices(ctx context.Context, all bool) {
	for _, one := range s.services {
		if one.noted {
			continue
		}
		found, err := s.conn.api.ContainerInspect(ctx, one.container, client.ContainerInspectOptions{})
		if err != nil || found.Container.State == nil || found.Container.State.Running || found.Container.State.Status == "created" {
			continue
		}
		code := found.Container.State.ExitCode
		if code == 0 && !all {
			continue // it may have had one thing to do
		}
		one.noted = true
		why := ""
		if found.Container.State.OOMKilled {
			why = ", out of memory"
		}
		note(s.spec.Log, "%s", one.spec.Warning(fmt.Sprintf("ended with exit code %d%s", code, why), s.logTail(ctx, one)))
	}
}

// writeServiceLogs ends services whose logs are wanted and writes these.
func (s *sandbox) writeServiceLogs(ctx context.Context) {
	for _, one := range s.services {
		if one.container == "" || one.noted || one.variable(executor.DebugServices) != "true" {
			continue
		}
		// The log of an ended service is complete.
		if err := s.conn.kill(ctx, one.container); err != nil {
			note(s.spec.Log, "warning: service %s: %v", one.spec.Name, err)
		}
		names := one.names()
		for line := range strings.Lines(s.logEnd(ctx, one, "all")) {
			note(s.spec.Log, "[service:%s] %s", names[len(names)-1], strings.TrimRight(line, "\n"))
		}
	}
}
