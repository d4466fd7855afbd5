// Package docker runs the commands of a job in a container of its image, through
// the API of Docker or of a compatible engine such as Podman.
//
// A job has one container. Start creates it, and each command starts it again, as
// GitLab's runner does: what a script installs stays for the next command, what it
// left running does not. The container's main process is the image's entrypoint
// with a shell, which reads the command from its standard input. So no variable is
// in a configuration that others can inspect. The input stays open; its end, also
// when this program is killed, ends the command.
//
// It promises that Close and Sweep remove everything that was made, and that files
// in mounts belong to the user afterwards. It refuses to know of artifacts, of the
// meaning of a script, and of the time a job may take.
//
// A remote engine that cannot mount folders of this computer gets copies in volumes
// of the job, and the requested paths are copied back.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/lock"
)

var (
	_ executor.Executor = (*Executor)(nil)
	_ executor.Sandbox  = (*sandbox)(nil)
)

// Options choose the engine. The zero value finds one.
type Options struct {
	// Host is an address as in DOCKER_HOST. If empty, it is taken from DOCKER_HOST,
	// from the current context of the user's Docker configuration, or from the usual
	// sockets of Docker and Podman.
	Host string
	// Getenv defaults to os.Getenv.
	Getenv func(string) string
	// Home is the user's home directory; it defaults to os.UserHomeDir.
	Home string
	// Privileged are patterns of images whose containers have all rights over the
	// engine's computer: * matches anything but a slash, ** anything. None by default.
	Privileged []string
	// Env is KEY=value for every command of a job, below the command's own variables.
	// The engine shows neither.
	Env []string
	// Network is a network of the engine that containers of jobs and services join,
	// beside the job's own. Services have their aliases there too. Empty for none.
	Network string
	// Notice gets a line for the user about the engine, once. If it is nil, the log
	// of the first job gets it.
	Notice func(string)
}

// Executor runs jobs in containers of one engine. It connects on first use.
type Executor struct {
	opts  Options
	mu    sync.Mutex
	conn  *connection // nil until the first success
	pulls pulls
}

// connection is an engine that answered, with what is known about it.
type connection struct {
	api   *client.Client
	host  string
	owner lock.Owner // this process

	notice func(string)
	mu     sync.Mutex
	access fileAccess
	noted  bool                     // that the engine is remote
	copies map[string]*sharedVolume // by folder
	shells map[string]string        // by the image's id
}

// fileAccess is whether an engine can mount the folders of this computer.
type fileAccess int

const (
	filesUnknown fileAccess = iota
	filesShared
	filesRemote
)

func (c *connection) files() fileAccess {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.access
}

func (c *connection) setFiles(a fileAccess) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.access = a
}

// shared returns the copy of a folder that jobs share.
func (c *connection) shared(dir string) *sharedVolume {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copies == nil {
		c.copies = map[string]*sharedVolume{}
	}
	if c.copies[dir] == nil {
		c.copies[dir] = &sharedVolume{}
	}
	return c.copies[dir]
}

// shellOf finds the shell of an image once: each lookup costs a mount.
func (c *connection) shellOf(image string, find func() (string, error)) (string, error) {
	c.mu.Lock()
	shell := c.shells[image]
	c.mu.Unlock()
	if shell != "" {
		return shell, nil
	}
	shell, err := find()
	if err == nil && image != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.shells == nil {
			c.shells = map[string]string{}
		}
		c.shells[image] = shell
	}
	return shell, err
}

// noteRemote reports once that folders are copied.
func (c *connection) noteRemote(log io.Writer) {
	c.mu.Lock()
	noted := c.noted
	c.noted = true
	c.mu.Unlock()
	text := fmt.Sprintf("the engine at %s cannot mount folders of this computer: they are copied to it, and artifacts, caches and reports back", c.host)
	switch {
	case noted:
	case c.notice != nil:
		c.notice(text)
	default:
		note(log, "%s", text)
	}
}

// New makes an Executor. It does not connect.
func New(opts Options) *Executor {
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	if opts.Home == "" {
		opts.Home, _ = os.UserHomeDir()
	}
	return &Executor{opts: opts}
}

// Isolated is true: mounts appear at their targets.
func (*Executor) Isolated() bool { return true }

// pingTime limits the first request to an engine.
const pingTime = 5 * time.Second

// Available returns nil if an engine answers. Otherwise the error has the reason and
// the way out: Unavailable, or Denied if its socket may not be opened.
func (e *Executor) Available(ctx context.Context) error {
	_, err := e.connect(ctx)
	return err
}

// RemoteSystem returns the name of the engine's system if it is not this one: a
// virtual machine, as on macOS and Windows, or another computer. Sockets in mounted
// folders do not work there. It returns "" if the engine runs on this system.
func (e *Executor) RemoteSystem(ctx context.Context) (string, error) {
	conn, err := e.connect(ctx)
	if err != nil {
		return "", err
	}
	info, err := conn.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return "", conn.engineError(err)
	}
	own, _ := os.ReadFile("/proc/sys/kernel/osrelease") // exists on Linux only
	if strings.TrimSpace(string(own)) == info.Info.KernelVersion {
		return "", nil
	}
	return info.Info.OperatingSystem + ", kernel " + info.Info.KernelVersion, nil
}

// connect finds the engine, once.
func (e *Executor) connect(ctx context.Context) (*connection, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn != nil {
		return e.conn, nil
	}
	at, err := e.opts.findEngine(ctx)
	if err != nil {
		return nil, err
	}
	api, err := client.New(at.options()...)
	if err != nil {
		return nil, errs.E(errs.Invalid, "engine address %q (%s): %w", at.host, at.source, err)
	}
	ping, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	if _, err := api.Ping(ping, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		_ = api.Close()
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, at.unreachable(err)
	}
	owner, err := lock.Self()
	if err != nil {
		return nil, err
	}
	e.conn = &connection{api: api, host: at.host, owner: owner, notice: e.opts.Notice}
	return e.conn, nil
}

// Close ends the connection and removes shared copies of folders. Sandboxes remove
// their containers themselves.
func (e *Executor) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var all []error
	for _, one := range e.conn.copies {
		if one.name != "" {
			all = append(all, e.conn.removeVolume(ctx, one.name))
		}
	}
	err := errors.Join(append(all, e.conn.api.Close())...)
	e.conn = nil
	return err
}

// note writes one line to a job's log.
func note(log io.Writer, format string, args ...any) {
	fmt.Fprintf(log, format+"\n", args...)
}

// lockedWriter takes lines from several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
