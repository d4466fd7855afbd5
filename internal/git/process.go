package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
)

// process is one start of the git program.
type process struct {
	args   []string
	dir    string
	env    []string  // the whole environment
	config []setting // on top of every configuration file, by environment
	stdin  string
	hold   *os.File // a lock that the child shares, so that it outlives a killed parent
	said   *string  // gets what a process that went well wrote to stderr; may be nil
	remote bool     // it reads from a remote, which may send any amount
	limit  int64    // of bytes on stdout, and by it of memory; 0 for none
	strict bool     // an "error:" on stderr is a failure whatever the exit status: git works around damage
}

// setting is one line of git configuration.
type setting struct{ key, value string }

// failure is a git process that ended with a status other than 0. Only translate
// may show its text: it may hold secrets that git printed.
type failure struct {
	verb   string
	code   int
	stderr string
}

func (f *failure) Error() string {
	return fmt.Sprintf("git %s: exit %d: %s", f.verb, f.code, lastLine(f.stderr))
}

const keepStderr = 64 << 10

// output runs the process and returns what it wrote to stdout. When ctx ends,
// the whole process group is stopped.
func (p process) output(ctx context.Context) ([]byte, error) {
	args := p.args
	if len(p.config) > 0 {
		args = append([]string{refusedByOld}, args...)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = p.dir
	cmd.Env = withSettings(p.env, p.config)
	cmd.WaitDelay = 3 * time.Second
	if p.stdin != "" {
		cmd.Stdin = strings.NewReader(p.stdin)
	}
	if p.hold != nil {
		share(cmd, p.hold)
	}
	stdout := bounded{limit: p.limit, over: func() { stop(errTooMuch) }}
	stderr := tail{limit: keepStderr}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := supervise(cmd, p.memory())
	if err == nil {
		if text := "\n" + stderr.String(); p.strict && strings.Contains(text, "\nerror: ") {
			return nil, &failure{p.verb(), 0, text}
		}
		if p.said != nil {
			*p.said = stderr.String()
		}
		return stdout.text.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("git %s: %w", p.verb(), context.Cause(ctx))
	}
	return stdout.text.Bytes(), p.explain(err, stderr.String())
}

func (p process) explain(err error, stderr string) error {
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errs.E(errs.NotFound, "the git program is not on the PATH; install git %s or newer", MinVersion)
	case errors.As(err, &exit) && strings.Contains(stderr, "unknown option: "+refusedByOld):
		return errs.E(errs.NotFound, "the git program is too old; install git %s or newer", MinVersion)
	case p.limit > 0 && strings.Contains(stderr, "Out of memory"):
		return fmt.Errorf("git %s: %w", p.verb(), errTooMuch)
	case errors.As(err, &exit):
		return &failure{p.verb(), exit.ExitCode(), stderr}
	default:
		return fmt.Errorf("git %s: %w", p.verb(), err)
	}
}

func (p process) verb() string {
	for _, a := range p.args {
		if !strings.HasPrefix(a, "-") {
			return a
		}
	}
	return ""
}

// MinVersion is the first git that takes settings by the environment. An older one
// would ignore them, and with them everything that keeps a repository from running
// code; refusedByOld makes it stop instead.
const (
	MinVersion   = "2.31"
	nullVariable = "REFLINE_GIT_NULL"
	refusedByOld = "--config-env=core.hooksPath=" + nullVariable
)

// NewEnough reports whether git of a version that Version returned can be used.
func NewEnough(version string) bool {
	return atLeast(version, 2, 31)
}

func atLeast(version string, major, minor int) bool {
	var x, y int
	_, err := fmt.Sscanf(version, "%d.%d", &x, &y)
	return err == nil && (x > major || x == major && y >= minor)
}

// withSettings adds settings as GIT_CONFIG_KEY_n after those env already has.
// The environment is the one channel that no other user can read and that wins
// over every file.
func withSettings(env []string, settings []setting) []string {
	if len(settings) == 0 {
		return env
	}
	n := 0
	out := make([]string, 0, len(env)+2*len(settings)+1)
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "GIT_CONFIG_COUNT="); ok {
			n, _ = strconv.Atoi(v)
			continue
		}
		out = append(out, e)
	}
	for i, s := range settings {
		k := strconv.Itoa(n + i)
		out = append(out, "GIT_CONFIG_KEY_"+k+"="+s.key, "GIT_CONFIG_VALUE_"+k+"="+s.value)
	}
	return append(out, nullVariable+"="+devNull, "GIT_CONFIG_COUNT="+strconv.Itoa(n+len(settings)))
}

// errTooMuch is the error of a process that writes more than its limit, or that
// needs more memory for it than memory allows.
var errTooMuch = errors.New("too much output")

// memory bounds a process that reads from a remote; 0 means no bound. git collects
// all refs that a remote lists before it does anything else, and some remote may
// list refs without end.
func (p process) memory() uint64 {
	const fetch = 4 << 30 // the largest repositories take a third of it
	if half := halfOfMemory(); p.remote && half > 0 {
		return min(half, fetch)
	}
	const program = 256 << 20 // of git and its libraries, with room
	if p.limit == 0 {
		return 0
	}
	return program + 12*uint64(p.limit)
}

// bounded keeps what is written to it, up to a limit. The buffer is not embedded: its
// ReadFrom would go around the limit.
type bounded struct {
	text  bytes.Buffer
	limit int64 // 0 for none
	over  func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.limit > 0 && int64(b.text.Len()+len(p)) > b.limit {
		b.over()
		return 0, errTooMuch
	}
	return b.text.Write(p)
}

// tail keeps the end of what is written to it.
type tail struct {
	buf   []byte
	limit int
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*t.limit {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-t.limit:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.buf) }

// Version is the version of the git program, such as "2.39.5".
func Version(ctx context.Context) (string, error) {
	out, err := process{args: []string{"version"}, env: os.Environ()}.output(ctx)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "git version "), nil
}
