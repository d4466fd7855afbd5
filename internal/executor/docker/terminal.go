package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"refline/internal/executor"
)

// The job's container has no terminal, so an interactive command runs in an exec
// beside the main process. The engine shows the variables of an exec to everyone
// who may use it. So the main process holds a pipe with a script that sets them,
// and the exec's shell reads the pipe in /proc. No variable is in a file or an
// argument.

// terminalProgram returns what the container's main process reads. It announces the
// pid of the process that holds the pipe, and waits for its end.
func terminalProgram(cmd executor.Command, word string) (string, error) {
	script := exports(cmd.Env) + "cd " + quote(dirOr(cmd.Dir)) + " && exec " + quoteAll(cmd.Args) + "\n"
	return boot(cmd, word, fmt.Sprintf(`printf %%s %s | sleep 2147483 &
say %s "$!"
wait "$!"
kill -KILL "$watch"
`, quote(script), bootOK))
}

var errSessionOver = errors.New("the interactive command has ended")

// execTerminal runs one interactive command; see [executor.Command].
func (s *sandbox) execTerminal(ctx context.Context, cmd executor.Command) (int, error) {
	word := newWord()
	text, err := terminalProgram(cmd, strings.TrimSpace(word))
	if err != nil {
		return -1, err
	}
	s.ran = true
	session, end := context.WithCancelCause(ctx)
	defer end(nil)
	holder := make(chan string, 1)
	early := &opening{dst: io.Discard}
	said := &announcement{dst: early, word: word, heard: func(text string) { holder <- text }}
	type ending struct {
		code int
		err  error
	}
	mainEnd := make(chan ending, 1)
	live := s.follow(ctx)
	go func() {
		code, err := s.conn.run(session, s.container, text, io.Discard, said, cmp.Or(cmd.Grace, executor.DefaultGrace))
		mainEnd <- ending{code, err}
	}()
	var code int
	var started bool
	select {
	case text := <-holder:
		pid, ok := strings.CutPrefix(text, bootOK+" ")
		if started = ok; ok {
			code, err = s.conn.attachTerminal(session, s.container, []string{s.shell, "/proc/" + pid + "/fd/0"}, cmd.Terminal)
		}
		end(errSessionOver)
	case e := <-mainEnd: // without a word
		mainEnd <- e
	}
	last := <-mainEnd
	if lerr := live(); err == nil {
		err = lerr
	}
	switch {
	case ctx.Err() != nil:
		return code, context.Cause(ctx)
	case started && (last.err == nil || errors.Is(last.err, errSessionOver)):
		return code, err
	case last.err != nil && !errors.Is(last.err, errSessionOver):
		return -1, last.err
	}
	return -1, s.bootError(said.said, cmd, last.code, early)
}

// attachTerminal runs args with a terminal in a running container and returns
// its exit code.
func (c *connection) attachTerminal(ctx context.Context, id string, args []string, t *executor.Terminal) (int, error) {
	live := context.WithoutCancel(ctx) // the end of the container ends the stream
	size := t.Size.OrDefault()
	console := client.ConsoleSize{Height: uint(size.Rows), Width: uint(size.Columns)}
	made, err := c.api.ExecCreate(live, id, client.ExecCreateOptions{
		TTY: true, AttachStdin: true, AttachStdout: true, AttachStderr: true, ConsoleSize: console, Cmd: args,
	})
	if err != nil {
		return -1, fmt.Errorf("start an interactive command: %w", c.engineError(err))
	}
	stream, err := c.api.ExecAttach(live, made.ID, client.ExecAttachOptions{TTY: true, ConsoleSize: console})
	if err != nil {
		return -1, fmt.Errorf("start an interactive command: %w", c.engineError(err))
	}
	defer stream.Close()
	go func() { // may wait for In longer than the command runs
		if _, err := io.Copy(stream.Conn, t.In); err == nil {
			_, _ = stream.Conn.Write([]byte{executor.EndOfInput})
		}
	}()
	ended, stop := context.WithCancel(ctx)
	resized := make(chan struct{})
	go func() {
		defer close(resized)
		c.resize(ended, made.ID, size) // engines before API 1.42 do not take it at the start
		c.followSize(ended, made.ID, t.Resize)
	}()
	out := &sink{dst: t.Out}
	_, err = io.Copy(out, stream.Reader)
	stop()
	<-resized
	if err = cmp.Or(out.err, err); err != nil {
		return -1, fmt.Errorf("output of the terminal: %w", err)
	}
	return c.execExitCode(live, made.ID)
}

func (c *connection) followSize(ctx context.Context, exec string, sizes <-chan executor.Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case s, ok := <-sizes:
			if !ok {
				return
			}
			c.resize(ctx, exec, s)
		}
	}
}

// resize has no error: a wrong size only looks wrong.
func (c *connection) resize(ctx context.Context, exec string, s executor.Size) {
	_, _ = c.api.ExecResize(ctx, exec, client.ExecResizeOptions{Height: uint(s.Rows), Width: uint(s.Columns)})
}

// execExitCode waits for the end of an exec whose output has ended.
func (c *connection) execExitCode(ctx context.Context, exec string) (int, error) {
	limit, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		found, err := c.api.ExecInspect(limit, exec, client.ExecInspectOptions{})
		if err != nil {
			return -1, c.engineError(err)
		}
		if !found.Running {
			return found.ExitCode, nil
		}
		select {
		case <-limit.Done():
			return -1, fmt.Errorf("the interactive command closed its terminal and still runs: %w", limit.Err())
		case <-time.After(pause):
		}
	}
}
