package podsandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
)

// Service is what the pod's manifest says of one of the job's services. The rest comes
// with [executor.Spec], in the same order.
type Service struct {
	// Started says that the kubelet runs the image's own entrypoint. Otherwise a wrapper
	// is the first process of its container, and waits for the command.
	Started bool `json:"started,omitempty"`
	// Entrypoint and Command are those of the image, if the job names none.
	Entrypoint []string `json:"entrypoint,omitempty"`
	Command    []string `json:"command,omitempty"`
	Exposed    []string `json:"exposed,omitempty"` // ports of the image: 5432/tcp
}

// ServiceSocket is where the wrapper of a service connects.
func ServiceSocket(folder string, number int) string {
	return filepath.Join(folder, "service-"+strconv.Itoa(number)+".sock")
}

// ListenServices makes the sockets of services in a folder. It comes before the first
// Start.
func (e *Executor) ListenServices(folder string, list []Service) error {
	for i, s := range list {
		one := &service{about: s, ended: make(chan struct{})}
		if !s.Started {
			var err error
			if one.executor, err = Listen(ServiceSocket(folder, i)); err != nil {
				return err
			}
		}
		e.services = append(e.services, one)
	}
	return nil
}

// service is a container beside the job's.
type service struct {
	about    Service
	spec     executor.Service
	executor *Executor // of its wrapper; nil if the kubelet started it
	tail     tail
	stop     context.CancelFunc

	ended chan struct{} // closed when its command is over
	code  int           // valid then
	err   error
	noted bool // that it failed or is not ready; of the job's goroutine
}

// startServices starts the services that have wrappers, and returns when each service
// is ready or its time is up. Then a warning goes to the log and the job continues, as
// on GitLab.
func (e *Executor) startServices(ctx context.Context, spec executor.Spec) error {
	if len(spec.Services) != len(e.services) {
		return errs.E(errs.Invalid, "the job has %d services, and its pod was made with %d: the pipeline's variables changed between; run the job again", len(spec.Services), len(e.services))
	}
	wait := spec.ServiceWait
	if wait == 0 {
		wait = executor.DefaultServiceWait
	}
	problems, failures := make([]string, len(e.services)), make([]error, len(e.services))
	var group sync.WaitGroup
	for i, one := range e.services {
		one.spec = spec.Services[i]
		group.Go(func() {
			if failures[i] = one.start(ctx); failures[i] == nil {
				problems[i] = one.await(ctx, wait)
			}
		})
	}
	group.Wait()
	for i, err := range failures {
		if err != nil {
			return fmt.Errorf("service %s: %w", e.services[i].spec.Name, err)
		}
	}
	for i, p := range problems {
		if p != "" {
			e.services[i].noted = true
			fmt.Fprintln(spec.Log, e.services[i].warning("may not be ready: "+p))
		}
	}
	return context.Cause(ctx)
}

// start runs the command of a service in its container.
func (s *service) start(ctx context.Context) error {
	if s.executor == nil {
		return nil
	}
	box, err := s.executor.Start(ctx, executor.Spec{Log: io.Discard})
	if err != nil {
		return err
	}
	args := s.command()
	if len(args) == 0 {
		return errs.E(errs.Invalid, "neither the job nor its image says which program it starts; write entrypoint: in the service")
	}
	if s.spec.Variable(executor.DebugServices) == "true" {
		s.tail.most = mostServiceLog
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() {
		defer close(s.ended)
		s.code, s.err = box.Exec(running, executor.Command{Args: args, Env: s.spec.Env, Stdout: &s.tail, Stderr: &s.tail})
	}()
	return nil
}

// command is what a container engine makes of entrypoints and commands: an entrypoint
// of the job's own drops the image's command.
func (s *service) command() []string {
	entrypoint, command := s.about.Entrypoint, s.about.Command
	if len(s.spec.Entrypoint) > 0 {
		entrypoint, command = s.spec.Entrypoint, nil
	}
	if len(s.spec.Command) > 0 {
		command = s.spec.Command
	}
	if len(entrypoint) > 0 && entrypoint[0] == "" { // it is cleared
		entrypoint = nil
	}
	return slices.Concat(entrypoint, command)
}

func (s *service) ports() []int {
	return executor.ServicePorts(s.spec.Variable("HEALTHCHECK_TCP_PORT"), s.about.Exposed)
}

// await returns "" if a port of the service listens, otherwise what is wrong. All
// containers of a pod have one network.
func (s *service) await(ctx context.Context, wait time.Duration) string {
	ports := s.ports()
	if len(ports) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var d net.Dialer
	for {
		for _, p := range ports {
			if conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p))); err == nil {
				_ = conn.Close()
				return ""
			}
		}
		select {
		case <-ctx.Done():
			return "nothing listens on " + executor.PortNames(ports)
		case <-s.ended:
			return "it " + s.how()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// how says how a service ended. It has.
func (s *service) how() string {
	switch {
	case errors.Is(s.err, ErrGone):
		return "was killed with its container, such as for its memory"
	case s.err != nil:
		return "did not run: " + s.err.Error()
	}
	return fmt.Sprintf("ended with exit code %d", s.code)
}

func (s *service) warning(problem string) string {
	text := "it printed nothing"
	if log := s.tail.String(); log != "" {
		text = "the end of its log:\n" + log
	}
	if s.executor == nil {
		text = "its log is that of its container in the pod"
	}
	return s.spec.Warning(problem, text)
}

// noteEnded logs which services have ended, each once, with their last lines: at the
// start of a job the failed ones, after a failed command all of them, since one may be
// the cause.
func (e *Executor) noteEnded(log io.Writer, all bool) {
	for _, s := range e.services {
		if s.noted || s.stop == nil {
			continue
		}
		select {
		case <-s.ended:
		default:
			continue
		}
		if s.err == nil && s.code == 0 && !all {
			continue // it may have had one thing to do
		}
		s.noted = true
		fmt.Fprintln(log, s.warning(s.how()))
	}
}

// endServices ends what startServices started, and writes the logs that are wanted.
func (e *Executor) endServices(log io.Writer) {
	for _, s := range e.services {
		if s.stop == nil {
			continue
		}
		s.stop()
		<-s.ended
		names := s.spec.HostNames()
		if s.spec.Variable(executor.DebugServices) == "true" && !s.noted && log != nil {
			for line := range strings.Lines(s.tail.String()) {
				fmt.Fprintf(log, "[service:%s] %s\n", names[len(names)-1], strings.TrimRight(line, "\n"))
			}
		}
		s.stop = nil
	}
}

// closeServices ends the wrappers, with success for those who look at the pod.
func (e *Executor) closeServices() {
	for _, s := range e.services {
		if s.executor != nil {
			s.executor.Finish(0)
			_ = s.executor.Close()
		}
	}
}

// Bounds of what is kept of a service's log.
const (
	mostTail       = 16 << 10
	tailLines      = 20
	mostServiceLog = 1 << 20
)

// tail keeps the last bytes that are written to it.
type tail struct {
	mu    sync.Mutex
	most  int
	bytes []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	most := max(t.most, mostTail)
	t.bytes = append(t.bytes, p[max(0, len(p)-most):]...)
	if len(t.bytes) > 2*most {
		t.bytes = append([]byte{}, t.bytes[len(t.bytes)-most:]...)
	}
	return len(p), nil
}

// String is the last lines, or everything if more than the end is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := bytes.TrimRight(t.bytes[max(0, len(t.bytes)-max(t.most, mostTail)):], "\n")
	if t.most > mostTail {
		return string(text)
	}
	lines := bytes.Split(text, []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-tailLines):], []byte("\n")))
}
