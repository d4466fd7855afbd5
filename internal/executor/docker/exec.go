package docker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"refline/internal/errs"
	"refline/internal/executor"
)

// Exec starts the job's container for one command; see [executor.Sandbox].
func (s *sandbox) Exec(ctx context.Context, cmd executor.Command) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return -1, err
	}
	cmd.Env = append(slices.Clone(s.opts.Env), cmd.Env...) // the last of a key counts
	if cmd.Terminal != nil {
		return s.execTerminal(ctx, cmd)
	}
	word := newWord()
	text, err := program(cmd, strings.TrimSpace(word))
	if err != nil {
		return -1, err
	}
	s.ran = true
	out, errOut := &sink{dst: cmd.Stdout}, &sink{dst: cmd.Stderr} // one goroutine writes to both
	early := &opening{dst: errOut}
	said := &announcement{dst: early, word: word}
	grace := cmd.Grace
	if grace == 0 {
		grace = executor.DefaultGrace
	}
	end := s.follow(ctx)
	code, err := s.conn.run(ctx, s.container, text, out, said, grace)
	if code != 0 {
		defer s.noteFailure(context.WithoutCancel(ctx), code, err)
	}
	_ = said.flush()
	if ferr := end(); err == nil {
		err = ferr
	}
	if err != nil {
		return code, err
	}
	if said.said != bootOK {
		return -1, s.bootError(said.said, cmd, code, early)
	}
	if werr := cmp.Or(out.err, errOut.err); werr != nil {
		return code, fmt.Errorf("write the output of %s: %w", cmd.Args[0], werr)
	}
	return code, nil
}

// newWord returns the beginning of an announcement.
func newWord() string { return "refline-" + rand.Text() + " " }

// bootError returns why a command did not start.
func (s *sandbox) bootError(said string, cmd executor.Command, code int, early *opening) error {
	switch said {
	case bootNoDir:
		return errs.E(errs.NotFound, "working directory %s does not exist in the container", cmd.Dir)
	case bootNoFile:
		return errs.E(errs.NotFound, "command %q: not found in the container", cmd.Args[0])
	case bootNoRight:
		return errs.E(errs.Denied, "command %q may not be run in the container", cmd.Args[0])
	}
	return errs.E(errs.Invalid, "image %s: its entrypoint did not start a shell (exit code %d%s); clear it with entrypoint: [\"\"]",
		s.spec.Image.Name, code, early.text())
}

// noteFailure logs what the engine knows about a command's failure.
func (s *sandbox) noteFailure(ctx context.Context, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	found, ierr := s.conn.api.ContainerInspect(ctx, s.container, client.ContainerInspectOptions{})
	if ierr != nil || err != nil {
		return // the job was stopped, or the engine is gone
	}
	if state := found.Container.State; state != nil && state.OOMKilled {
		note(s.spec.Log, "warning: the container ran out of memory, and a process in it was killed (exit code %d)", code)
	}
	s.noteEndedServices(ctx, true)
}

// run starts a container, writes its input, and copies its output until it ends.
// When ctx is done, all processes in it get TERM, and KILL after grace.
func (c *connection) run(ctx context.Context, id, input string, stdout, stderr io.Writer, grace time.Duration) (int, error) {
	// Ending the container must work after ctx is done.
	live := context.WithoutCancel(ctx)
	var stream client.ContainerAttachResult
	err := retry(ctx, func() (err error) {
		stream, err = c.api.ContainerAttach(live, id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
		return err
	})
	if err != nil {
		return -1, cmp.Or(context.Cause(ctx), c.engineError(err))
	}
	defer stream.Close()
	if _, err := c.api.ContainerStart(live, id, client.ContainerStartOptions{}); err != nil {
		return -1, c.startError(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := stdcopy.StdCopy(stdout, stderr, stream.Reader)
		ended <- err
	}()
	if _, err := io.WriteString(stream.Conn, input); err != nil {
		// It ended before it read its input; its output has the reason.
		_ = stream.CloseWrite()
	}
	var cause error
	select {
	case err = <-ended:
	case <-ctx.Done():
		cause = context.Cause(ctx)
		limit, cancel := context.WithTimeout(live, grace+stopTime)
		defer cancel()
		c.terminate(limit, id)
		select {
		case err = <-ended:
		case <-time.After(grace):
			if kerr := c.kill(limit, id); kerr != nil {
				return -1, errors.Join(cause, kerr)
			}
			err = <-ended
		}
	}
	if err != nil {
		// The engine is gone or the stream broke, so the output is lost.
		_ = c.kill(live, id)
		return -1, errors.Join(cause, fmt.Errorf("output of the container: %w", c.engineError(err)))
	}
	code, err := c.exitAfterOutput(live, id)
	return code, errors.Join(cause, err)
}

// stopTime limits the requests that stop a command.
const stopTime = 20 * time.Second

// endTime limits how long a container runs after its output ended. Its shell holds
// the output open to its own end, so a longer time means a broken stream.
const endTime = 10 * time.Second

func (c *connection) exitAfterOutput(ctx context.Context, id string) (int, error) {
	limit, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	code, err := c.exitCode(limit, id)
	if limit.Err() != nil {
		_ = c.kill(ctx, id)
		return -1, errs.E(errs.Unavailable, "engine at %s: the output of the container broke off", c.host)
	}
	return code, err
}

// retry calls f until it succeeds, for a second or two: Podman may still be cleaning
// up a container that has just ended.
func retry(ctx context.Context, f func() error) (err error) {
	for pause := 50 * time.Millisecond; pause < 2*time.Second; pause *= 2 {
		if err = f(); err == nil || cerrdefs.IsNotFound(err) || client.IsErrConnectionFailed(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
	return err
}

// terminate sends TERM to every process of a container; -1 does not include the
// first one. A failure is not an error: the container may just have ended.
func (c *connection) terminate(ctx context.Context, id string) {
	made, err := c.api.ExecCreate(ctx, id, client.ExecCreateOptions{
		User: "0", Cmd: []string{"sh", "-c", "kill -TERM 1; kill -TERM -1; kill -CONT -1"},
	})
	if err == nil {
		_, _ = c.api.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true})
	}
}

// exitCode waits for a started container to end and returns its exit code. It polls,
// because Podman may never answer a wait for a container that has already ended.
// Podman also starts a container again only after it has cleaned up.
func (c *connection) exitCode(ctx context.Context, id string) (int, error) {
	tidied := time.Now().Add(endTime / 5) // Podman's "stopped" becomes "exited"
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		found, err := c.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return -1, c.engineError(err)
		}
		state := found.Container.State
		if state != nil && !state.Running && (state.Status != "stopped" || time.Now().After(tidied)) {
			return state.ExitCode, nil
		}
		select {
		case <-ctx.Done():
			return -1, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// startError distinguishes faults of the job from faults of the engine.
func (c *connection) startError(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"),
		strings.Contains(text, "permission denied"), strings.Contains(text, "unable to find user"):
		return errs.E(errs.Invalid, "the container does not start: %w", err)
	}
	return c.engineError(err)
}

// sink writes until dst fails, and then discards, so that the command can go on.
type sink struct {
	dst io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.dst != nil && s.err == nil {
		_, s.err = s.dst.Write(p)
	}
	return len(p), nil
}

// opening passes everything on and keeps the first bytes for an error message.
type opening struct {
	dst   io.Writer
	first bytes.Buffer
}

const openingSize = 300

func (t *opening) Write(p []byte) (int, error) {
	if room := openingSize - t.first.Len(); room > 0 {
		t.first.Write(p[:min(room, len(p))])
	}
	return t.dst.Write(p)
}

func (t *opening) text() string {
	text := strings.Join(strings.Fields(t.first.String()), " ")
	if text == "" {
		return ""
	}
	return ": " + text
}
