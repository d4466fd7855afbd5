package podsandbox

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
)

type sandbox struct {
	e        *Executor
	log      io.Writer
	services bool // it has them
}

func (s *sandbox) Shell() string { return s.e.shell }

// Close ends the services: each Exec cleans up after itself.
func (s *sandbox) Close(context.Context) error {
	if s.services {
		s.e.endServices(s.log)
	}
	return nil
}

// Exec runs one command; see [executor.Sandbox].
func (s *sandbox) Exec(ctx context.Context, cmd executor.Command) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return -1, err
	}
	if len(cmd.Args) == 0 {
		return -1, errs.E(errs.Invalid, "a command without a name")
	}
	c, id := s.e.begin(cmd)
	if err := s.e.wire.sendJSON(frameStart, id, startOf(cmd)); err != nil {
		s.e.forget(id)
		if errs.Is(err, errs.Invalid) {
			return -1, err
		}
		return -1, s.e.lost()
	}
	stop := context.AfterFunc(ctx, func() { _ = s.e.wire.send(frameCancel, id, nil) }) // if it fails, the connection is gone
	defer stop()
	if cmd.Terminal != nil {
		defer s.e.followTerminal(id, cmd.Terminal)()
	}
	var d done
	select {
	case d = <-c.done:
	case <-s.e.gone:
		select {
		case d = <-c.done:
		default:
			s.e.forget(id)
			return -1, s.e.lost()
		}
	}
	if text := d.Memory.String(); text != "" && s.log != nil {
		fmt.Fprintln(s.log, text)
	}
	if d.Code != 0 && s.services {
		s.e.noteEnded(s.log, true)
	}
	switch {
	case d.Canceled && ctx.Err() != nil:
		return d.Code, context.Cause(ctx)
	case d.Failed:
		return d.Code, errs.E(d.Kind, "%s", d.Text)
	case c.werr != nil:
		return d.Code, fmt.Errorf("write the output of %s: %w", cmd.Args[0], c.werr)
	}
	return d.Code, nil
}

// lost is the error of a command whose container ended.
func (e *Executor) lost() error {
	<-e.gone
	return errs.E(errs.Unavailable, "%w: it was killed or removed while the job ran", ErrGone)
}

func startOf(cmd executor.Command) start {
	out := start{
		Args: cmd.Args, Dir: cmd.Dir, Env: cmd.Env, Stdout: cmd.Stdout != nil, Stderr: cmd.Stderr != nil, OneOutput: cmd.OneOutput(),
		GraceMS: int64(cmd.Grace / time.Millisecond),
	}
	if t := cmd.Terminal; t != nil {
		size := t.Size.OrDefault()
		out.Terminal, out.Rows, out.Columns = true, size.Rows, size.Columns
	}
	return out
}

func (e *Executor) begin(cmd executor.Command) (*call, uint32) {
	c := &call{stdout: cmd.Stdout, stderr: cmd.Stderr, done: make(chan done, 1)}
	if cmd.Terminal != nil {
		c.stdout, c.stderr = cmd.Terminal.Out, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	e.calls[e.last] = c
	return c, e.last
}

func (e *Executor) forget(id uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.calls, id)
}

// followTerminal sends keys and sizes until the function that it returns is called.
// The read that waits then goes on, and its result is dropped.
func (e *Executor) followTerminal(id uint32, t *executor.Terminal) (end func()) {
	stop, resized := make(chan struct{}), make(chan struct{})
	go e.copyKeys(id, t.In, stop)
	go func() {
		defer close(resized)
		for {
			select {
			case <-stop:
				return
			case size, ok := <-t.Resize:
				if !ok {
					return
				}
				body := binary.BigEndian.AppendUint16(nil, size.Rows)
				_ = e.wire.send(frameResize, id, binary.BigEndian.AppendUint16(body, size.Columns)) // a wrong size only looks wrong
			}
		}
	}()
	return func() {
		close(stop)
		<-resized
	}
}

func (e *Executor) copyKeys(id uint32, in io.Reader, stop <-chan struct{}) {
	buf := make([]byte, 4096)
	for {
		n, err := in.Read(buf)
		select {
		case <-stop:
			return
		default:
		}
		if n > 0 && e.wire.send(frameKeys, id, buf[:n]) != nil {
			return
		}
		if err != nil {
			if err == io.EOF {
				_ = e.wire.send(frameNoKeys, id, nil) // the command ends with the connection
			}
			return
		}
	}
}
