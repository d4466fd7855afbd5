package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"refline/internal/errs"
)

// sshCommand returns the command that reaches an engine by SSH, as the docker
// command does it: docker or podman on the other computer connects its standard
// streams to the engine.
func sshCommand(host string) ([]string, error) {
	u, err := url.Parse(host)
	if err != nil || u.Hostname() == "" {
		return nil, errs.E(errs.Invalid, "engine address %q: want ssh://[USER@]HOST[:PORT][/SOCKET]", host)
	}
	if _, has := u.User.Password(); has {
		return nil, errs.E(errs.Invalid, "engine address %s: a password is not allowed there; use a key", u.Redacted())
	}
	if strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-") {
		return nil, errs.E(errs.Invalid, "engine address %q: the name starts with a dash", host)
	}
	// ssh cannot ask questions: its streams carry the engine's data.
	args := []string{"ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"}
	if name := u.User.Username(); name != "" {
		args = append(args, "-l", name)
	}
	if port := u.Port(); port != "" {
		args = append(args, "-p", port)
	}
	args = append(args, "--", u.Hostname())
	if socket := strings.TrimSuffix(u.Path, "/"); socket != "" {
		at := quote("unix://" + socket)
		return append(args, "docker --host "+at+" system dial-stdio || podman --url "+at+" system dial-stdio"), nil
	}
	return append(args, "if command -v docker >/dev/null; then docker system dial-stdio; else podman system dial-stdio; fi"), nil
}

// dialSSH starts ssh for one connection.
func dialSSH(command []string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		cmd := exec.Command(command[0], command[1:]...) // outlives ctx
		c := &sshConn{cmd: cmd}
		cmd.Stderr = &c.said
		cmd.WaitDelay = sshRest
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		detach(cmd)
		if err := cmd.Start(); err != nil {
			return nil, errs.E(errs.Unavailable, "an engine behind SSH needs the ssh program: %w", err)
		}
		c.in, c.out = in, out
		return c, nil
	}
}

// sshConn is a connection through the streams of a process.
type sshConn struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.ReadCloser
	said firstBytes
	came atomic.Bool // something from the other side
	once sync.Once
}

// sshRest limits how long to read ssh's standard error after it has ended: a master
// connection that it left behind may hold it open for hours.
const sshRest = time.Second

// sshEnd limits how long ssh may take to report why it ends.
const sshEnd = 5 * time.Second

func (c *sshConn) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if n > 0 {
		c.came.Store(true)
	}
	return n, c.why(err)
}

func (c *sshConn) Write(p []byte) (int, error) {
	n, err := c.in.Write(p)
	return n, c.why(err)
}

// why replaces a plain end of the stream by ssh's own message if nothing was ever
// received. A reader or a writer may notice first.
func (c *sshConn) why(err error) error {
	if err == nil || c.came.Load() || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.end(func() { time.AfterFunc(sshEnd, func() { _ = c.cmd.Process.Kill() }) })
	if text := c.said.text(); text != "" {
		return errs.E(errs.Unavailable, "ssh: %s", text)
	}
	return err
}

// CloseWrite ends the input, which the other side notices.
func (c *sshConn) CloseWrite() error { return c.in.Close() }

func (c *sshConn) Close() error {
	c.end(func() { _ = c.cmd.Process.Kill() })
	return nil
}

func (c *sshConn) end(kill func()) {
	c.once.Do(func() {
		_ = c.in.Close()
		kill()
		_ = c.cmd.Wait() // closes the output; its error is ours: it was killed
	})
}

type sshAddr struct{}

func (sshAddr) Network() string { return "ssh" }
func (sshAddr) String() string  { return "ssh" }

func (*sshConn) LocalAddr() net.Addr  { return sshAddr{} }
func (*sshConn) RemoteAddr() net.Addr { return sshAddr{} }

// SetDeadline uses the deadlines of the pipes, if they have them.
func (c *sshConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *sshConn) SetReadDeadline(t time.Time) error  { return setDeadline(c.out, t) }
func (c *sshConn) SetWriteDeadline(t time.Time) error { return setDeadline(c.in, t) }

func setDeadline(pipe any, t time.Time) error {
	if d, ok := pipe.(interface{ SetDeadline(time.Time) error }); ok {
		if err := d.SetDeadline(t); err != nil && !errors.Is(err, os.ErrNoDeadline) {
			return err
		}
	}
	return nil
}

// firstBytes keeps the beginning of its input.
type firstBytes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (f *firstBytes) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if room := openingSize - f.b.Len(); room > 0 {
		f.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (f *firstBytes) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(strings.Fields(f.b.String()), " ")
}
