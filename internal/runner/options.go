// Package runner takes jobs of a server and runs them on this computer.
//
// One standing poll is claim, heartbeat and cancel: the runner says what it has, the
// server what it should have. What runs is [engine.RunJob], as in a local run. It
// promises that a job is reported once and whole, whatever answer is lost and
// whichever side is killed: before a script starts, a journal says so, and logs and
// results stay in a folder until the server has them. A job whose lease is lost is
// ended, and its result is not sent.
//
// It does not know what becomes of a run, how a pipeline is written, or which secrets
// a job may have.
package runner

import (
	"context"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
)

// Options say which server a runner works for, and how.
type Options struct {
	URL   string        // of the server
	Token func() string // of the runner
	// Transport carries the requests; nil is one for HTTP and HTTPS with the proxy of
	// the environment.
	Transport http.RoundTripper
	// Embedded says that the server is in this process: bodies are not compressed.
	Embedded bool

	Name    string   // for people; "" is the name of the computer
	Version string   // of the program
	Tags    []string // none: all that its token has
	Slots   int      // jobs at the same time; 0 is 1

	// Dir is the runner's own folder: mirrors of repositories, workspaces, caches and
	// the journal. One runner uses it at a time.
	Dir string
	// Kinds are where jobs can run, in the order of preference.
	Kinds []executor.Kind
	// HostImages lets jobs with an image run on this computer itself if there is no
	// container engine. Otherwise they fail.
	HostImages bool
	// Environ is what jobs on the host inherit, as KEY=value; nil are the few
	// variables of this process that programs need (see [HostEnviron]).
	Environ []string
	Binary  string // of the program, for jobs on the host: REFLINE_BIN

	// AllowFile and AllowHTTP admit repositories in folders of this computer, and
	// those reached by http.
	AllowFile, AllowHTTP bool

	// CacheLimit bounds the folder of caches in bytes, for servers that keep none; 0:
	// no limit.
	CacheLimit int64
	// PythonEnv makes the environment of a Python script; see engine.JobInput.
	PythonEnv func(ctx context.Context, root, script string, log io.Writer, env []string) (bin string, err error)
	// PythonPackage returns the folder of the Python package; see engine.JobInput.
	PythonPackage func() (dir string, err error)

	// Grace is how long jobs may go on when the runner is to stop; then they are
	// ended and fail as runner_system_failure.
	Grace time.Duration
	// Unreachable is how long jobs go on without an answer of the server, at least
	// the lease; 0 is 10 minutes. The server may run them elsewhere from the end of
	// the lease on.
	Unreachable time.Duration
	// CallTimeout bounds one call of the server; 0 is 30 seconds.
	CallTimeout time.Duration
	// Settle, if set, is called with what kept a job from being run, before that is
	// reported: another may know more of it, and then ctx is done.
	Settle func(ctx context.Context, err error)
	// Notice gets what an operator wants to know, a line each; may be nil.
	Notice func(text string)
}

func (o *Options) complete() error {
	if o.Name == "" {
		o.Name, _ = os.Hostname()
	}
	if o.Slots <= 0 {
		o.Slots = 1
	}
	if o.Environ == nil {
		o.Environ = HostEnviron(os.Environ())
	}
	if o.Unreachable <= 0 {
		o.Unreachable = 10 * time.Minute
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 2*o.Slots + 4
		o.Transport = t
	}
	switch {
	case o.Dir == "":
		return errs.E(errs.Invalid, "the runner has no folder")
	case len(o.Kinds) == 0:
		return errs.E(errs.Invalid, "the runner has no executor")
	}
	return nil
}

// HostEnviron keeps of an environment what programs of a job need on the host: not
// what the runner itself was started with.
func HostEnviron(environ []string) []string {
	var kept []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch strings.ToUpper(name) {
		case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR",
			"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR":
			kept = append(kept, kv)
		default:
			if strings.HasPrefix(name, "LC_") {
				kept = append(kept, kv)
			}
		}
	}
	return kept
}

func system() string { return runtime.GOOS + "/" + runtime.GOARCH }
