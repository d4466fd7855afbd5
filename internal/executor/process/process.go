// Package process runs the commands of jobs on this computer, as the user who
// runs this program.
//
// It promises that nothing a command started is left running when the command ends
// or is canceled, and also when this program is killed. A command has a session of
// its own: no terminal to read from, one group to signal. On Linux, processes that
// leave the group are found by a mark in their environment. A small shell beside
// this program ends everything if this program dies.
//
// It does not find a process that left its session and wiped its environment, or
// that changed its user, and on macOS none that left its session. There is no
// isolation: mounts and images have no meaning here. It refuses to know what a
// command is for.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/lock"
)

var (
	_ executor.Executor = (*Executor)(nil)
	_ executor.Sandbox  = (*sandbox)(nil)
)

// markKey is the environment variable that marks the processes of a command. Its
// value is the owner and the command. If a job runs this program again, the outer
// values come first, separated by commas.
const markKey = "REFLINE_PROCESS"

// Executor starts commands as processes of this computer.
type Executor struct {
	shell    func() string
	commands atomic.Uint64
	mu       sync.Mutex
	watcher  *watcher // nil before the first Start and after Close
	mark     string   // of all commands of this Executor, without their number
}

// New makes an Executor. Nothing is started before the first Start.
func New() *Executor { return &Executor{shell: sync.OnceValue(findShell)} }

// Isolated is false: commands use the host's file system.
func (*Executor) Isolated() bool { return false }

// Start starts the watcher. It does not use the image and the mounts; the log names
// the services, which are not started.
func (e *Executor) Start(ctx context.Context, spec executor.Spec) (executor.Sandbox, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := supported(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watcher == nil {
		if err := e.open(); err != nil {
			return nil, err
		}
	}
	for _, s := range spec.Services {
		fmt.Fprintf(spec.Log, "service %s is not started: jobs on the host have no services\n", s.Name)
	}
	return &sandbox{executor: e, watcher: e.watcher, mark: e.mark}, nil
}

func (e *Executor) open() error {
	self, err := lock.Self()
	if err != nil {
		return err
	}
	owner := self.String()
	if outer := os.Getenv(markKey); outer != "" {
		owner = outer + "," + owner
	}
	watch, err := startWatcher(markKey + "=" + owner + "/")
	if err != nil {
		return err
	}
	// Executors of one process have the same owner; their watchers differ.
	e.watcher, e.mark = watch, fmt.Sprintf("%s/%d.", owner, watch.pid())
	return nil
}

// Close ends the watcher. It leaves running commands alone.
func (e *Executor) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watcher == nil {
		return nil
	}
	err := e.watcher.close()
	e.watcher = nil
	return err
}

type sandbox struct {
	executor *Executor
	watcher  *watcher
	mark     string
}

func (s *sandbox) Shell() string { return s.executor.shell() }

// Close has nothing to do: each Exec cleans up after itself.
func (*sandbox) Close(context.Context) error { return nil }

func findShell() string {
	for _, name := range []string{"bash", "sh"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return "/bin/sh"
}

// Exec runs one command; see [executor.Sandbox].
func (s *sandbox) Exec(ctx context.Context, cmd executor.Command) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return -1, err
	}
	if len(cmd.Args) == 0 {
		return -1, errs.E(errs.Invalid, "a command without a name")
	}
	path, err := lookPath(cmd)
	if err != nil {
		return -1, err
	}
	mark := fmt.Sprintf("%s%d", s.mark, s.executor.commands.Add(1))
	c := &exec.Cmd{
		Path: path, Args: cmd.Args, Dir: cmd.Dir,
		Env:         append(cmd.Env[:len(cmd.Env):len(cmd.Env)], markKey+"="+mark),
		SysProcAttr: ownSession(),
	}
	out, err := connect(c, cmd)
	if err != nil {
		return -1, err
	}
	if err := c.Start(); err != nil {
		out.abandon()
		return -1, startError(err, cmd)
	}
	s.watcher.add(c.Process.Pid)
	out.started()
	code, err := finish(ctx, c, family{leader: c.Process.Pid, mark: mark}, cmd.Grace)
	s.watcher.remove(c.Process.Pid)
	if werr := out.finish(); err == nil && werr != nil {
		err = fmt.Errorf("write the output of %s: %w", cmd.Args[0], werr)
	}
	return code, err
}

// streams are what a command reads and writes.
type streams interface {
	abandon()      // the command did not start
	started()      // the command has its own ends
	finish() error // returns when all output is written
}

func connect(c *exec.Cmd, cmd executor.Command) (streams, error) {
	if cmd.Terminal != nil {
		return openTerminal(c, cmd.Terminal)
	}
	out, err := openOutput(cmd)
	if err != nil {
		return nil, err
	}
	c.Stdout, c.Stderr = out.stdout, out.stderr
	return out, nil
}

func startError(err error, cmd executor.Command) error {
	if info, serr := os.Stat(cmd.Dir); cmd.Dir != "" && (serr != nil || !info.IsDir()) {
		return errs.E(errs.NotFound, "working directory %s does not exist", cmd.Dir)
	}
	switch {
	case os.IsNotExist(err):
		return errs.E(errs.NotFound, "command %q: not found, or the interpreter in its first line is missing", cmd.Args[0])
	case os.IsPermission(err):
		return errs.E(errs.Denied, "command %q may not be run: %w", cmd.Args[0], err)
	default:
		return fmt.Errorf("start %q: %w", cmd.Args[0], err)
	}
}

// lookPath finds Args[0] in the command's own PATH, or in this program's if the
// command has none.
func lookPath(cmd executor.Command) (string, error) {
	name := cmd.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := os.Getenv("PATH")
	for _, kv := range cmd.Env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	for dir := range strings.SplitSeq(path, ":") {
		if !strings.HasPrefix(dir, "/") {
			dir = cmd.Dir + "/" + dir
		}
		file := dir + "/" + name
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", errs.E(errs.NotFound, "command %q is not in PATH (%s)", name, path)
}
