// Package podsandbox runs the commands of one job in another container of the same
// pod.
//
// The agent, which runs the job by the engine, listens on a Unix socket in a volume
// that both containers have; a wrapper is the job container's first process,
// connects, and starts commands as its children. The containers share the folders
// that the engine works in at the same paths. It promises what an executor promises:
// nothing of a command is left when it ends, and everything ends when the agent
// dies. The environment of a command goes over the socket, so it is in no manifest.
//
// It refuses to know of Kubernetes, the server and the pod's other end.
package podsandbox

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
)

var (
	_ executor.Executor = (*Executor)(nil)
	_ executor.Sandbox  = (*sandbox)(nil)
)

// ErrGone reports that the job's container ended while a command ran in it.
var ErrGone = errors.New("the job's container is gone")

// Executor is the agent's side. All of its sandboxes are in the one container that
// connects.
type Executor struct {
	path     string
	listener net.Listener
	open     chan struct{} // closed when the wrapper has said hello, or never will
	gone     chan struct{} // closed when nothing comes from the wrapper any more
	openErr  error
	shell    string
	wire     *wire
	services []*service

	mu     sync.Mutex
	calls  map[uint32]*call
	last   uint32
	closed bool
}

// call is a command that runs.
type call struct {
	stdout, stderr io.Writer
	werr           error // of the writers, the first; the receiver's
	done           chan done
}

// Listen makes the socket, and waits for one wrapper in the background.
func Listen(path string) (*Executor, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, errs.E(errs.Unavailable, "socket of the job's container: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o660) // the pod's group
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "socket of the job's container: %w", err)
	}
	e := &Executor{path: path, listener: l, open: make(chan struct{}), gone: make(chan struct{}), calls: map[uint32]*call{}}
	go e.serve()
	return e, nil
}

// serve takes one connection; then nobody else can connect.
func (e *Executor) serve() {
	defer close(e.gone)
	conn, err := e.listener.Accept()
	_ = e.listener.Close() // removes the socket too
	if err != nil {
		e.openErr = errs.E(errs.Unavailable, "the job's container did not connect: %w", err)
		close(e.open)
		return
	}
	defer conn.Close()
	w := newWire(conn)
	kind, _, body, err := w.receive()
	var h hello
	if err == nil && kind == frameHello {
		err = json.Unmarshal(body, &h)
	}
	if err == nil && (kind != frameHello || h.Protocol != protocol) {
		err = fmt.Errorf("its program is of another version than the agent's")
	}
	if err != nil {
		e.openErr = errs.E(errs.Unavailable, "the job's container: %w", err)
		close(e.open)
		return
	}
	e.mu.Lock()
	e.wire, e.shell = w, h.Shell
	closed := e.closed
	e.mu.Unlock()
	close(e.open)
	if !closed {
		e.receive()
	}
}

// receive takes frames until the connection ends.
func (e *Executor) receive() {
	for {
		kind, id, body, err := e.wire.receive()
		if err != nil {
			return
		}
		e.mu.Lock()
		c := e.calls[id]
		e.mu.Unlock()
		if c == nil {
			continue // it came after the end
		}
		switch kind {
		case frameStdout:
			c.write(c.stdout, body)
		case frameStderr:
			c.write(c.stderr, body)
		case frameDone:
			var d done
			if err := json.Unmarshal(body, &d); err != nil {
				return
			}
			e.mu.Lock()
			delete(e.calls, id)
			e.mu.Unlock()
			c.done <- d
		}
	}
}

// write goes on when a writer fails, so that the command does not hang.
func (c *call) write(to io.Writer, p []byte) {
	if to != nil && c.werr == nil {
		_, c.werr = to.Write(p)
	}
}

// Isolated is false: both containers have the job's folders at the same paths.
func (*Executor) Isolated() bool { return false }

// Start waits for the container, and starts the services in theirs. It does not use the
// image and the mounts: the pod was made with them.
func (e *Executor) Start(ctx context.Context, spec executor.Spec) (executor.Sandbox, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-e.open:
	}
	if e.openErr != nil {
		return nil, e.openErr
	}
	select {
	case <-e.gone:
		return nil, errs.E(errs.Unavailable, "%w", ErrGone)
	default:
	}
	if len(spec.Services) > 0 {
		if err := e.startServices(ctx, spec); err != nil {
			e.endServices(nil)
			return nil, err
		}
		e.noteEnded(spec.Log, false)
	}
	return &sandbox{e: e, log: spec.Log, services: len(spec.Services) > 0}, nil
}

// Sweep has nothing to do: what runs ends with the agent.
func (*Executor) Sweep(context.Context) error { return nil }

// Finish ends the wrapper with an exit code, for those who look at the pod.
func (e *Executor) Finish(code int) {
	e.mu.Lock()
	w := e.wire
	e.mu.Unlock()
	if w != nil {
		_ = w.conn.SetWriteDeadline(time.Now().Add(byeTime))
		_ = w.send(frameBye, 0, binary.BigEndian.AppendUint32(nil, uint32(code)))
	}
}

// byeTime is how long Finish and Close wait for a wrapper that does not read.
const byeTime = 5 * time.Second

// Close ends the connection, and with it the wrapper.
func (e *Executor) Close() error {
	e.mu.Lock()
	e.closed = true
	w := e.wire
	e.mu.Unlock()
	_ = e.listener.Close()
	if w != nil {
		_ = w.conn.Close()
	}
	e.endServices(nil)
	e.closeServices()
	<-e.gone
	return nil
}
