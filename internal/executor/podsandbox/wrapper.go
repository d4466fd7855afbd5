package podsandbox

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/process"
)

// Wrap is the job container's side: it connects to the agent and runs the commands
// that the agent asks for, until that says how to end. Without a word of the agent,
// such as when that was killed, everything is ended.
func Wrap(ctx context.Context, socket string) (exitCode int, err error) {
	conn, err := dial(ctx, socket)
	if err != nil {
		return 1, err
	}
	defer conn.Close()
	w := &wrapper{wire: newWire(conn), processes: process.New(), environ: os.Environ(), commands: map[uint32]*command{}}
	defer w.processes.Close()
	return w.serve(ctx)
}

// agentTime is how long the agent may take to listen: its container starts first.
const agentTime = 2 * time.Minute

func dial(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, agentTime)
	defer cancel()
	var d net.Dialer
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		conn, err := d.DialContext(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, errs.E(errs.Unavailable, "the agent of the pod does not listen at %s: %w; see the log of its container refline", socket, err)
		case <-time.After(pause):
		}
	}
}

var (
	errCanceled = errors.New("canceled by the agent")
	errNoAgent  = errs.E(errs.Unavailable, "the agent of the pod ended without a word; see its container refline")
)

type wrapper struct {
	wire      *wire
	processes *process.Executor
	sandbox   executor.Sandbox
	environ   []string // of the image
	running   sync.WaitGroup

	mu       sync.Mutex
	commands map[uint32]*command
}

// command is one that runs.
type command struct {
	cancel context.CancelCauseFunc
	keys   *keys
	sizes  chan executor.Size
}

func (w *wrapper) serve(ctx context.Context) (int, error) {
	var err error
	if w.sandbox, err = w.processes.Start(ctx, executor.Spec{Log: os.Stderr}); err != nil {
		return 1, err
	}
	if err := w.wire.sendJSON(frameHello, 0, hello{Protocol: protocol, Shell: w.sandbox.Shell()}); err != nil {
		return 1, errNoAgent
	}
	commands, endAll := context.WithCancelCause(ctx)
	defer w.running.Wait()
	defer endAll(errNoAgent)
	for {
		kind, id, body, err := w.wire.receive()
		if err != nil {
			return 1, errNoAgent
		}
		if kind == frameBye {
			if len(body) != 4 {
				return 1, errNoAgent
			}
			return int(binary.BigEndian.Uint32(body)), nil
		}
		if kind == frameStart {
			w.start(commands, id, body)
			continue
		}
		w.mu.Lock()
		c := w.commands[id]
		w.mu.Unlock()
		if c != nil {
			c.take(kind, body)
		}
	}
}

// take is a frame for a command that runs.
func (c *command) take(kind frameKind, body []byte) {
	switch kind {
	case frameCancel:
		c.cancel(errCanceled)
	case frameKeys:
		c.keys.add(body)
	case frameNoKeys:
		c.keys.end()
	case frameResize:
		if len(body) == 4 {
			select {
			case c.sizes <- executor.Size{Rows: binary.BigEndian.Uint16(body), Columns: binary.BigEndian.Uint16(body[2:])}:
			default: // a burst of sizes; a later one comes
			}
		}
	}
}

func (w *wrapper) start(ctx context.Context, id uint32, body []byte) {
	var s start
	if err := json.Unmarshal(body, &s); err != nil {
		w.report(id, -1, err, memory{})
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c := &command{cancel: cancel, keys: newKeys(), sizes: make(chan executor.Size, 16)}
	w.mu.Lock()
	w.commands[id] = c
	w.mu.Unlock()
	w.running.Go(func() {
		before := readMemory()
		code, err := w.sandbox.Exec(ctx, w.command(id, c, s))
		reap()
		w.mu.Lock()
		delete(w.commands, id)
		w.mu.Unlock()
		c.keys.end()
		cancel(nil)
		w.report(id, code, err, readMemory().since(before))
	})
}

func (w *wrapper) report(id uint32, code int, err error, m memory) {
	d := done{Code: code, Memory: m}
	switch {
	case errors.Is(err, errCanceled):
		d.Canceled = true
	case err != nil:
		d.Failed, d.Kind, d.Text = true, errs.KindOf(err), err.Error()
	}
	_ = w.wire.sendJSON(frameDone, id, d) // the receiver meets a connection that is gone
}

func (w *wrapper) command(id uint32, c *command, s start) executor.Command {
	cmd := executor.Command{
		Args: s.Args, Dir: s.Dir, Env: append(w.environ[:len(w.environ):len(w.environ)], s.Env...), Grace: time.Duration(s.GraceMS) * time.Millisecond,
	}
	if s.Terminal {
		cmd.Terminal = &executor.Terminal{In: c.keys, Out: &sender{w.wire, frameStdout, id}, Size: executor.Size{Rows: s.Rows, Columns: s.Columns}, Resize: c.sizes}
		return cmd
	}
	if s.Stdout {
		cmd.Stdout = &sender{w.wire, frameStdout, id}
	}
	switch {
	case s.OneOutput:
		cmd.Stderr = cmd.Stdout
	case s.Stderr:
		cmd.Stderr = &sender{w.wire, frameStderr, id}
	}
	return cmd
}

// sender sends the output of a command.
type sender struct {
	wire *wire
	kind frameKind
	id   uint32
}

func (s *sender) Write(p []byte) (int, error) {
	if err := s.wire.send(s.kind, s.id, p); err != nil {
		return 0, err
	}
	return len(p), nil
}
