package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"refline/internal/executor"
)

// defaultServiceWait is how long a service may take, as with GitLab.
const defaultServiceWait = 30 * time.Second

// service is a container beside the job's.
type service struct {
	spec      executor.Service
	image     client.ImageInspectResult
	container string
}

// startServices makes the job's network and starts the services in it. A job
// without services has no network of its own: engines have few by default.
func (s *sandbox) startServices(ctx context.Context) error {
	made, err := s.conn.api.NetworkCreate(ctx, s.name("net"), client.NetworkCreateOptions{Driver: "bridge", Labels: s.labels})
	if err != nil {
		return fmt.Errorf("network of the job: %w", s.conn.broken(err))
	}
	s.network = made.ID
	failures := make([]error, len(s.services))
	var group sync.WaitGroup
	for i, one := range s.services {
		group.Go(func() {
			if err := s.startService(ctx, one, i); err != nil {
				failures[i] = fmt.Errorf("service %s: %w", one.spec.Name, err)
			}
		})
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sandbox) startService(ctx context.Context, one *service, number int) error {
	platform, err := parsePlatform(one.spec.Platform)
	if err != nil {
		return err
	}
	host := s.hostConfig()
	host.LogConfig = container.LogConfig{} // the engine's own: the log is shown when the service fails
	host.Mounts = mounts(s.spec.Mounts)    // as with GitLab: what a service is told to read is there
	conf := &container.Config{
		Image: one.spec.Name, Entrypoint: one.spec.Entrypoint, Cmd: one.spec.Command,
		Env: one.spec.Env, User: one.spec.User, Labels: s.labels,
	}
	opts := client.ContainerCreateOptions{
		Config: conf, HostConfig: host, Platform: platform, Name: s.name("service-" + strconv.Itoa(number)),
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			s.network: {Aliases: one.names()},
		}},
	}
	one.container, err = s.create(ctx, opts)
	if err != nil {
		return err
	}
	if _, err := s.conn.api.ContainerStart(ctx, one.container, client.ContainerStartOptions{}); err != nil {
		return s.conn.startError(err)
	}
	return nil
}

func (one *service) names() []string {
	names := serviceNames(one.spec.Name)
	for _, alias := range one.spec.Aliases {
		if !slices.Contains(names, alias) {
			names = append(names, alias)
		}
	}
	return names
}

// port is what a service is waited for: what HEALTHCHECK_TCP_PORT says, else
// the lowest TCP port that its image exposes; 0 when there is none.
func (one *service) port() int {
	for _, kv := range one.spec.Env {
		if v, ok := strings.CutPrefix(kv, "HEALTHCHECK_TCP_PORT="); ok {
			if n, err := strconv.Atoi(v); err == nil && n > 0 && n < 1<<16 {
				return n
			}
		}
	}
	lowest := 0
	if one.image.Config == nil {
		return 0
	}
	for spec := range one.image.Config.ExposedPorts {
		number, protocol, _ := strings.Cut(spec, "/")
		if n, err := strconv.Atoi(number); err == nil && protocol != "udp" && protocol != "sctp" && (lowest == 0 || n < lowest) {
			lowest = n
		}
	}
	return lowest
}

// awaitServices returns when each service is ready, or when its time is up:
// then the log says so and the job goes on, as with GitLab.
func (s *sandbox) awaitServices(ctx context.Context) error {
	wait := s.spec.ServiceWait
	if wait == 0 {
		wait = defaultServiceWait
	}
	limit, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	problems := make([]string, len(s.services))
	var group sync.WaitGroup
	for i, one := range s.services {
		group.Go(func() {
			if problem := s.awaitService(limit, one); problem != "" {
				problems[i] = fmt.Sprintf("warning: service %s (%s) may not be ready: %s\n%s",
					one.spec.Name, strings.Join(one.names(), ", "), problem, s.logTail(ctx, one))
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, p := range problems {
		if p != "" {
			note(s.spec.Log, "%s", p)
		}
	}
	return nil
}

// awaitService returns "" when the service is ready, else what is wrong.
func (s *sandbox) awaitService(ctx context.Context, one *service) string {
	port := one.port()
	hasCheck := one.image.Config != nil && one.image.Config.Healthcheck != nil &&
		len(one.image.Config.Healthcheck.Test) > 0 && one.image.Config.Healthcheck.Test[0] != "NONE"
	if port == 0 && !hasCheck {
		return ""
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // a service that ended is not waited for
		if code, err := s.conn.exitCode(ctx, one.container); err == nil {
			cancel(fmt.Errorf("it ended with exit code %d", code))
		}
	}()
	var problem string
	if port > 0 {
		problem = s.awaitPort(ctx, one, port)
	} else {
		problem = s.awaitHealthy(ctx, one)
	}
	if cause := context.Cause(ctx); problem != "" && cause != nil && ctx.Err() == context.Canceled {
		problem = cause.Error()
	}
	return problem
}

// listenScript ends when something in its network listens on a port, whose
// four hexadecimal digits are in $1, on more than the loopback address.
const listenScript = `set -- %04X
while :; do
	for f in /proc/net/tcp /proc/net/tcp6; do
		[ -r $f ] || continue
		while read -r n local remote state rest; do
			[ "$state" = 0A ] || continue
			case $local in
			??????7F:$1|7F??????:$1|00000000000000000000000001000000:$1|00000000000000000000000000000001:$1) ;;
			*:$1) exit 0 ;;
			esac
		done <$f
	done
	sleep 0.1 2>/dev/null || sleep 1
done
`

// awaitPort looks from inside of the service's network, by a container of the
// job's image: that has a shell, and the engine's networks need not be within
// reach of this program.
func (s *sandbox) awaitPort(ctx context.Context, one *service, port int) string {
	conf := s.shellConfig([]string{""})
	conf.User = "0"
	host := s.hostConfig()
	host.NetworkMode = container.NetworkMode("container:" + one.container)
	id, err := s.create(ctx, client.ContainerCreateOptions{Config: conf, HostConfig: host, Platform: s.platform})
	if err != nil {
		return err.Error()
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if err := s.conn.removeContainers(clean, []string{id}); err != nil {
			note(s.spec.Log, "warning: %v", err)
		}
	}()
	var out bytes.Buffer
	code, err := s.conn.run(ctx, id, fmt.Sprintf(listenScript, port), &out, &out, time.Nanosecond)
	switch {
	case ctx.Err() != nil:
		return fmt.Sprintf("nothing listens on its port %d", port)
	case err != nil:
		return err.Error()
	case code != 0:
		return fmt.Sprintf("its port %d cannot be looked at: exit code %d %s", port, code, strings.TrimSpace(out.String()))
	}
	return ""
}

func (s *sandbox) awaitHealthy(ctx context.Context, one *service) string {
	for {
		found, err := s.conn.api.ContainerInspect(ctx, one.container, client.ContainerInspectOptions{})
		var status container.HealthStatus
		if err == nil && found.Container.State != nil && found.Container.State.Health != nil {
			status = found.Container.State.Health.Status
		}
		switch {
		case status == container.Healthy:
			return ""
		case status == container.Unhealthy:
			return "its health check says unhealthy"
		case err != nil && ctx.Err() == nil:
			return err.Error()
		}
		select {
		case <-ctx.Done():
			return "its health check has not passed"
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// logTail is the end of what a service printed.
func (s *sandbox) logTail(ctx context.Context, one *service) string {
	r, err := s.conn.api.ContainerLogs(ctx, one.container, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "20"})
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	defer r.Close()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, io.LimitReader(r, 1<<20)); err != nil || out.Len() == 0 {
		return "it printed nothing"
	}
	return "the end of its log:\n" + strings.TrimRight(out.String(), "\n")
}
