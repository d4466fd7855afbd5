// Package docker runs the commands of a job in a container of its image, by
// the API of a Docker engine or of Podman's compatible one.
//
// A job has one container, made by Start and started anew for each command, as
// GitLab's runner does: what a script installs is there for the next, what it
// left running is not. The container's main process is the image's entrypoint
// with a shell, and that shell is fed the command on its standard input:
// variables are therefore in no configuration that others could inspect. The
// input stays open, and its end, which comes also when this program is killed,
// ends the command.
//
// It promises that Close and Sweep remove all that was made, and that no file
// in a mount is left to another user. It refuses to know of artifacts, of the
// meaning of a script, and of the time a job may take.
//
// An engine that does not see the folders of this computer gets copies of them
// in volumes of the job, and what is asked for is copied back.
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

// Options say which engine to use. The zero value finds it.
type Options struct {
	// Host is an address as in DOCKER_HOST. Empty: DOCKER_HOST, then the
	// current context of the user's Docker configuration, then the sockets
	// where Docker and Podman usually are.
	Host string
	// Getenv is os.Getenv when nil.
	Getenv func(string) string
	// Home is the user's home directory, os.UserHomeDir when empty.
	Home string
	// Privileged are patterns of the images whose containers, of jobs and of
	// services, have all rights over the engine's computer: * stands for
	// anything but a slash, ** for anything. None by default.
	Privileged []string
	// Env is KEY=value for every command of a job, below the command's own. Like
	// these it is in no configuration that the engine shows.
	Env []string
	// Network is a network of the engine that containers of jobs and services join,
	// beside the job's own. Services have their aliases there too. Empty for none.
	Network string
	// Notice gets a line for the user about the engine, once. If it is nil, the log
	// of the first job gets it.
	Notice func(string)
}

// Executor runs jobs in containers of one engine. It looks for the engine when
// it is first needed.
type Executor struct {
	opts  Options
	mu    sync.Mutex
	conn  *connection // nil until the first success
	pulls pulls
}

// connection is what is known of an engine that answered.
type connection struct {
	api   *client.Client
	host  string
	owner lock.Owner // this process

	notice func(string)
	mu     sync.Mutex
	access fileAccess
	noted  bool                     // that the engine is remote
	copies map[string]*sharedVolume // by the folder they are of
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

// shared is what there is of a copy of a folder.
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

// shellOf looks for the shell of an image once: each look costs a mount.
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

// New makes an Executor. It does nothing that takes time.
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

// pingTime is how long an engine may take to say that it is there.
const pingTime = 5 * time.Second

// Available returns nil when an engine answers, and otherwise why none does and
// how to get one (Unavailable, or Denied when its socket may not be opened).
func (e *Executor) Available(ctx context.Context) error {
	_, err := e.connect(ctx)
	return err
}

// RemoteSystem reports that the engine runs on another system than this program: in a
// virtual machine, as on macOS and Windows, or on another computer. Sockets in
// mounted folders do not work there. It gives the engine's name, "" when it is
// this system's own.
func (e *Executor) RemoteSystem(ctx context.Context) (string, error) {
	conn, err := e.connect(ctx)
	if err != nil {
		return "", err
	}
	info, err := conn.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return "", conn.engineError(err)
	}
	own, _ := os.ReadFile("/proc/sys/kernel/osrelease") // there is none but on Linux
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

// Close drops the connection, and copies of folders that jobs shared.
// Containers are their sandboxes' business.
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

// lockedWriter is for lines of several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
