//go:build !linux && !darwin

package process

import (
	"context"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
)

func supported() error {
	return errs.E(errs.Unavailable, "jobs on the host need Linux or macOS, not %s; run them in containers", runtime.GOOS)
}

// Sweep has nothing to do: nothing is started.
func (*Executor) Sweep(context.Context) error { return nil }

// The rest is never reached: Start refuses.

type watcher struct{}

func startWatcher(string) (*watcher, error) { return nil, supported() }
func (*watcher) pid() int                   { return 0 }
func (*watcher) add(int)                    {}
func (*watcher) remove(int)                 {}
func (*watcher) close() error               { return nil }

type family struct {
	leader int
	mark   string
}

func ownSession() *syscall.SysProcAttr { return nil }

func finish(context.Context, *exec.Cmd, family, time.Duration) (int, error) { return -1, supported() }

func openTerminal(*exec.Cmd, *executor.Terminal) (streams, error) { return nil, supported() }
