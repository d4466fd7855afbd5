// Package executor is the contract between the engine and the technologies
// that jobs run in: processes of this computer, containers, pods.
//
// The engine lays out folders, writes scripts and knows what a job means; an
// executor only starts commands near those folders. It refuses to know of
// pipelines, artifacts, caches, secrets and logs.
package executor

import (
	"context"
	"errors"
	"io"
	"reflect"
	"time"
)

// Executor starts sandboxes. It is safe for concurrent use; one Executor
// serves every job of a run.
type Executor interface {
	// Isolated reports whether a sandbox has a file system of its own. Mounts then
	// appear at Mount.Target; otherwise commands use the host's paths.
	Isolated() bool
	// Start brings up what one job needs (network, services, image, container)
	// and returns when the first command can run. After an error nothing is left.
	// Progress for the job's log (image pulled, service healthy) goes to
	// spec.Log. Errors have a kind: Invalid for a spec that can never work,
	// NotFound for a missing image, Denied for one that may not be pulled,
	// Unavailable for an engine that does not answer.
	Start(ctx context.Context, spec Spec) (Sandbox, error)
	// Sweep removes what killed runs left behind: those whose process is dead. It is
	// safe to call while others run.
	Sweep(ctx context.Context) error
	// Close releases what the executor itself holds.
	Close() error
}

// Sandbox is where the commands of one job run, one after the other.
type Sandbox interface {
	// Shell is the shell that a job's script is written for: the absolute
	// path of bash, or of sh if there is no bash.
	Shell() string
	// Exec runs one command to its end and returns its exit code. A code other than
	// 0 is not an error; a command ended by a signal has 128 plus its number. If
	// the command or its Dir does not exist, nothing runs and the error is NotFound.
	//
	// When ctx is done, everything that the command started gets TERM, and KILL
	// after cmd.Grace; the error is ctx's cause. When the command ends, its
	// background processes are killed at once. Exec returns when all output is
	// written, and leaves nothing running.
	Exec(ctx context.Context, cmd Command) (exitCode int, err error)
	// Close ends and removes everything that Start made. Files in mounts belong to
	// the user who runs this program afterwards; before, they may not be readable.
	// Close is idempotent, and works also when ctx is done, within limits of its own.
	// Its error includes ErrLost if files of the commands could not be copied back.
	Close(ctx context.Context) error
}

// ErrLost reports that the caller lacks files that the commands wrote. That is
// worse than an incomplete clean-up.
var ErrLost = errors.New("what the job wrote did not come back")

// Spec says what one job needs around its commands.
type Spec struct {
	// RunID and JobID label what is made (letters, digits, dashes).
	RunID, JobID string
	// Image is the job's; an empty Name means the executor's default.
	Image    Image
	Services []Service
	// Env is KEY=value for the image's entrypoint; commands have their own. An
	// engine shows it to everyone who may use it, so it holds no secrets.
	Env []string
	// Mounts are folders of the host that the commands use.
	Mounts []Mount
	// Log gets lines about the preparation. Never nil.
	Log io.Writer
	// Registry credentials in the format of Docker's config.json
	// (DOCKER_AUTH_CONFIG), empty for the user's own configuration.
	DockerAuthConfig string
	// ServiceWait is how long a service may take to get healthy; 0 means 30 s.
	ServiceWait time.Duration
}

// Image names a container image. Variables in its strings are already expanded.
type Image struct {
	Name       string
	Entrypoint []string // nil: the image's own; []string{""} clears it
	PullPolicy []string // always, if-not-present, never; tried in order; empty: if-not-present
	Platform   string   // os/arch[/variant], empty for the engine's
	User       string   // user[:group], empty for the image's
}

// Service is a container beside the job, reachable by its aliases.
type Service struct {
	Image
	Aliases []string // besides the two names GitLab derives from the image
	Command []string
	Env     []string // KEY=value
}

// Mount makes a host folder available to commands. If the sandbox is on another
// computer, the folder is copied there, and back by the time Close returns. The
// fields after ReadOnly limit what is copied.
type Mount struct {
	Source   string // absolute, on the host
	Target   string // absolute, in an isolated sandbox
	ReadOnly bool
	// Back lists the paths that the caller reads afterwards, relative to the folder,
	// with slashes; "." is the whole folder. Nil means everything, empty nothing.
	Back []string
	// Live means that the caller also reads Back while a command runs.
	Live bool
	// Shared means that the folder does not change during the run, so one copy
	// serves all jobs.
	Shared bool
}

// Command is one process to run. Its standard input is /dev/null, unless it has a
// Terminal.
type Command struct {
	Args []string // Args[0] is looked up in the sandbox's PATH
	Dir  string   // working directory inside the sandbox; absolute
	// Env is KEY=value; the last value of a key counts. It is added to the image's
	// variables in an isolated sandbox. On the host it is everything: the caller
	// decides what a job inherits of the user's environment. Names that a shell
	// cannot hold may be left out.
	Env []string
	// Stdout and Stderr get the output as it comes; nil discards it. If both are
	// the same writer, it gets everything in order and from one goroutine at a time;
	// two different writers may be called at once. A *os.File may be given to the
	// command as it is.
	Stdout, Stderr io.Writer
	Grace          time.Duration // between TERM and KILL; 0 means DefaultGrace
	// Terminal makes the command interactive: a terminal is its input and output,
	// and Stdout and Stderr are not used.
	Terminal *Terminal
}

// Terminal connects a person to a command. Variables of terminals (TERM, LANG)
// are in Command.Env. Keys arrive as bytes: Ctrl-C is 3, so the caller has its own
// terminal in raw mode.
type Terminal struct {
	// In has the keys. Its end counts as Ctrl-D. A read that still waits when the
	// command ends goes on, and its result is dropped.
	In  io.Reader
	Out io.Writer
	// Size is the size at the start; Resize delivers later ones and may be nil.
	Size   Size
	Resize <-chan Size
}

// Size is the size of a terminal in characters. The zero Size means 24 by 80.
type Size struct{ Rows, Columns uint16 }

// OrDefault returns s, or 24 by 80 for the zero Size.
func (s Size) OrDefault() Size {
	if s == (Size{}) {
		return Size{Rows: 24, Columns: 80}
	}
	return s
}

// EndOfInput is what a terminal sends for Ctrl-D.
const EndOfInput = 4

// OneOutput reports whether Stdout and Stderr are the same writer. The output then
// arrives in the order in which it was printed.
func (c Command) OneOutput() bool {
	return c.Stdout != nil && c.Stderr != nil &&
		reflect.ValueOf(c.Stdout).Comparable() && reflect.ValueOf(c.Stderr).Comparable() && c.Stdout == c.Stderr
}

// DefaultGrace is the time between TERM and KILL unless a command sets another.
const DefaultGrace = 2 * time.Second
