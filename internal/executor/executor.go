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
	// Isolated reports whether a sandbox has a file system of its own, so that
	// mounts appear at Mount.Target, or sees the host's as it is, so that
	// Target is not used.
	Isolated() bool
	// Start brings up what one job needs (network, services, image, container)
	// and returns when the first command can run. On an error nothing is left.
	// Progress for the job's log (image pulled, service healthy) goes to
	// spec.Log. Errors have a kind: Invalid for a spec that can never work,
	// NotFound for an image that is not there, Denied for one that may not be
	// pulled, Unavailable for an engine that does not answer.
	Start(ctx context.Context, spec Spec) (Sandbox, error)
	// Sweep removes what runs that were killed left behind (those whose
	// process no longer lives). It is safe to call while others run.
	Sweep(ctx context.Context) error
	// Close gives back what the executor itself holds.
	Close() error
}

// Sandbox is where the commands of one job run, one after the other.
type Sandbox interface {
	// Shell is the shell that a job's script is written for: the absolute
	// path of bash, or of sh where there is no bash.
	Shell() string
	// Exec runs one command to its end. It returns the exit code and nil also
	// when that is not 0; a command ended by a signal has 128 plus its number.
	// A command that does not exist, or whose Dir does not, is an error
	// (NotFound), and nothing ran.
	//
	// When ctx is done all that the command started is sent TERM, after
	// cmd.Grace KILL, and the error is ctx's cause. When the command ends, what
	// it left in the background is killed at once, and Exec returns when all
	// output is written. Nothing that the command started is left running.
	Exec(ctx context.Context, cmd Command) (exitCode int, err error)
	// Close ends and removes everything Start made, and gives files in mounts
	// back to the user who runs this program; what a job made may not be
	// readable before. It is idempotent, and does its work also when ctx is
	// done (then within bounds of its own). ErrLost is in its error when what
	// a command wrote could not be brought back.
	Close(ctx context.Context) error
}

// ErrLost says that the caller does not have what the commands wrote, or not all
// of it: more than something that was not tidied up.
var ErrLost = errors.New("what the job wrote did not come back")

// Spec says what one job needs around its commands.
type Spec struct {
	// RunID and JobID label what is made (letters, digits, dashes): a sweep
	// finds it by them.
	RunID, JobID string
	// Image is the job's runtime; Name is empty when the executor may take
	// its own default.
	Image    Image
	Services []Service
	// Env is KEY=value: what an image's entrypoint sees. Commands have their
	// own. Who may ask an engine sees it too, so it holds no secrets.
	Env []string
	// Mounts are folders of the host that the commands must see.
	Mounts []Mount
	// Log gets lines about the preparation. Never nil.
	Log io.Writer
	// Registry credentials in the format of Docker's config.json
	// (DOCKER_AUTH_CONFIG), empty for the user's own configuration.
	DockerAuthConfig string
	// ServiceWait is how long a service may take to get healthy; 0 means 30 s.
	ServiceWait time.Duration
}

// Image names a container image. Every string is expanded already.
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

// Mount makes a host folder visible. Where that cannot be, since the sandbox is
// on another computer, it is copied there, and back at the latest when Close
// returns; the fields after ReadOnly say what need not be.
type Mount struct {
	Source   string // absolute, on the host
	Target   string // absolute, in an isolated sandbox
	ReadOnly bool
	// Back are the paths that the caller reads afterwards: in the folder, with
	// slashes, "." for all of it. Nil means all, empty nothing.
	Back []string
	// Live says that the caller reads Back while a command runs, too.
	Live bool
	// Shared says that nobody changes the folder while the run lasts, so that
	// one copy serves all its jobs.
	Shared bool
}

// Command is one process to run. Its standard input is /dev/null, unless it has a
// Terminal.
type Command struct {
	Args []string // Args[0] is looked up in the sandbox's PATH
	Dir  string   // working directory, as the sandbox sees it; absolute
	// Env is KEY=value, the last of a key counts. It is added to the sandbox's
	// own: an isolated one has what its image says, one on the host has
	// nothing, so that the caller decides what a job sees of the user's. Names
	// that no shell can hold may be left out.
	Env []string
	// Stdout and Stderr get the output as it comes; nil discards it. When both
	// are the same writer, it gets all in order and is never called by two
	// goroutines at once; when they differ, each may have its own. A *os.File
	// may be handed to the command as it is.
	Stdout, Stderr io.Writer
	Grace          time.Duration // between TERM and KILL; 0 means DefaultGrace
	// Terminal makes the command interactive: a terminal is its input and output,
	// and Stdout and Stderr are not used.
	Terminal *Terminal
}

// Terminal is where somebody works with a command. Variables of terminals (TERM,
// LANG) are in Command.Env. Keys arrive as bytes, so Ctrl-C is 3; the caller has
// its own terminal in raw mode.
type Terminal struct {
	// In has the keys. Its end counts as Ctrl-D. A read that still waits when the
	// command has ended is left alone; what it returns is lost.
	In  io.Reader
	Out io.Writer
	// Size is the terminal's at the start. Sizes that Resize delivers follow; it may
	// be nil.
	Size   Size
	Resize <-chan Size
}

// Size is that of a terminal, in characters. The zero Size means 24 by 80.
type Size struct{ Rows, Columns uint16 }

// OrDefault is 24 by 80 for the zero Size.
func (s Size) OrDefault() Size {
	if s == (Size{}) {
		return Size{Rows: 24, Columns: 80}
	}
	return s
}

// EndOfInput is what a terminal sends for Ctrl-D.
const EndOfInput = 4

// OneOutput reports whether Stdout and Stderr are the same writer: then what a
// command prints comes in the order in which it was printed.
func (c Command) OneOutput() bool {
	return c.Stdout != nil && c.Stderr != nil &&
		reflect.ValueOf(c.Stdout).Comparable() && reflect.ValueOf(c.Stderr).Comparable() && c.Stdout == c.Stderr
}

// DefaultGrace is how long a command that was told to end may take.
const DefaultGrace = 2 * time.Second
