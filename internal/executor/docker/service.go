package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

// service is a container beside the job's.
type service struct {
	spec      executor.Service
	image     client.ImageInspectResult
	container string
	noted     bool // that it failed or is not ready
}

// startServices starts all services in parallel.
func (s *sandbox) startServices(ctx context.Context) error {
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
	host.LogConfig = container.LogConfig{} // the engine's default: the log is shown if the service fails
	host.Mounts = s.mounts()               // as on GitLab: a service can read the job's files
	host.Privileged = s.isPrivileged(one.spec.Name)
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
	if err := s.joinNetwork(ctx, one.container, one.names()); err != nil {
		return err
	}
	if _, err := s.conn.api.ContainerStart(ctx, one.container, client.ContainerStartOptions{}); err != nil {
		return s.conn.startError(err)
	}
	return nil
}

func (one *service) names() []string { return one.spec.HostNames() }

// ports returns the ports of which one must listen.
func (one *service) ports() []int {
	var exposed []string
	if one.image.Config != nil {
		exposed = slices.Collect(maps.Keys(one.image.Config.ExposedPorts))
	}
	return executor.ServicePorts(one.variable("HEALTHCHECK_TCP_PORT"), exposed)
}

// awaitServices returns when each service is ready or its time is up. Then a warning
// goes to the log and the job continues, as on GitLab.
func (s *sandbox) awaitServices(ctx context.Context) error {
	wait := s.spec.ServiceWait
	if wait == 0 {
		wait = executor.DefaultServiceWait
	}
	limit, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	problems := make([]string, len(s.services))
	var group sync.WaitGroup
	for i, one := range s.services {
		group.Go(func() {
			if problem := s.awaitService(limit, one); problem != "" {
				one.noted = true
				problems[i] = one.spec.Warning("may not be ready: "+problem, s.logTail(ctx, one))
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
	s.noteEndedServices(ctx, false)
	return nil
}

// awaitService returns "" if the service is ready, otherwise what is wrong.
func (s *sandbox) awaitService(ctx context.Context, one *service) string {
	ports := one.ports()
	hasCheck := one.image.Config != nil && one.image.Config.Healthcheck != nil &&
		len(one.image.Config.Healthcheck.Test) > 0 && one.image.Config.Healthcheck.Test[0] != "NONE"
	if len(ports) == 0 && !hasCheck {
		return ""
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // do not wait for a service that ended
		if code, err := s.conn.exitCode(ctx, one.container); err == nil {
			cancel(fmt.Errorf("it ended with exit code %d", code))
		}
	}()
	var problem string
	if len(ports) > 0 {
		problem = s.awaitPorts(ctx, one, ports)
	} else {
		problem = s.awaitHealthy(ctx, one)
	}
	if cause := context.Cause(ctx); problem != "" && cause != nil && ctx.Err() == context.Canceled {
		problem = cause.Error()
	}
	return problem
}

// listenScript ends when something in its network listens on one of the ports, on
// an address other than loopback.
func listenScript(ports []int) string {
	var hex []string
	for _, p := range ports {
		hex = append(hex, fmt.Sprintf("%04X", p)) // as /proc/net/tcp writes them
	}
	return `while :; do
	for f in /proc/net/tcp /proc/net/tcp6; do
		[ -r $f ] || continue
		while read -r n local remote state rest; do
			[ "$state" = 0A ] || continue
			case $local in
			??????7F:* | 7F??????:*) continue ;;
			00000000000000000000000001000000:* | 00000000000000000000000000000001:*) continue ;;
			esac
			case ${local##*:} in ` + strings.Join(hex, "|") + `) exit 0 ;; esac
		done <$f
	done
	sleep 0.1 2>/dev/null || sleep 1
done
`
}

// awaitPorts looks from inside the service's network, in a container of the job's
// image: that image has a shell, and this program may not reach the engine's
// networks.
func (s *sandbox) awaitPorts(ctx context.Context, one *service, ports []int) string {
	conf := s.shellConfig([]string{""})
	conf.User = "0"
	host := s.hostConfig()
	host.NetworkMode = container.NetworkMode("container:" + one.container)
	id, err := s.create(ctx, client.ContainerCreateOptions{
		Config: conf, HostConfig: host, Platform: s.platform, Name: s.name(fmt.Sprintf("wait-%.12s", one.container)),
	})
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
	code, err := s.conn.run(ctx, id, listenScript(ports), &out, &out, time.Nanosecond)
	switch {
	case ctx.Err() != nil:
		return "nothing listens on " + executor.PortNames(ports)
	case err != nil:
		return err.Error()
	case code != 0:
		return fmt.Sprintf("%s cannot be checked: exit code %d %s", executor.PortNames(ports), code, strings.TrimSpace(out.String()))
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

// logTail returns the last lines of a service's log, with a heading.
func (s *sandbox) logTail(ctx context.Context, one *service) string {
	text := s.logEnd(ctx, one, "20")
	if text == "" {
		return "it printed nothing"
	}
	return "the end of its log:\n" + text
}

// logEnd returns the last lines of a service's log: a number of them, or "all".
func (s *sandbox) logEnd(ctx context.Context, one *service, lines string) string {
	r, err := s.conn.api.ContainerLogs(ctx, one.container, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: lines})
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	defer r.Close()
	var out bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &out, io.LimitReader(r, 1<<20)) // may cut the last line
	if err != nil && out.Len() == 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "its log cannot be read: " + err.Error()
	}
	return strings.TrimRight(out.String(), "\n")
}
