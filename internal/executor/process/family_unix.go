//go:build linux || darwin

package process

import (
	"context"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	"refline/internal/errs"
	"refline/internal/executor"
)

// killTime is how long the system may take to end a process after KILL.
const killTime = 10 * time.Second

func supported() error { return nil }

// ownSession makes a command the leader of a session and a group. It has no
// terminal then: Ctrl-C does not reach it, and it cannot ask for a password.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// family is a command and everything that it started.
type family struct {
	leader int    // pid, process group and session
	mark   string // value of markKey
}

// finish waits for the command, or ends it when ctx is done, and kills what is left
// of its family.
func finish(ctx context.Context, c *exec.Cmd, f family, grace time.Duration) (code int, err error) {
	if grace == 0 {
		grace = executor.DefaultGrace
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		if f.end(grace); f.signal(0) {
			_ = f.kill() // reported below, once the leader is gone
		}
	})
	waitExit(f.leader)
	if !stop() {
		<-stopped
		err = context.Cause(ctx)
	}
	// Reap the leader last: until then no other group can get its pid.
	if left := f.kill(); left != nil && err == nil {
		err = left
	}
	_ = c.Wait() // an exit code is not an error here
	return exitCode(c.ProcessState.Sys().(syscall.WaitStatus)), err
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// end sends TERM to the family and waits for at most grace.
func (f family) end(grace time.Duration) {
	f.signal(syscall.SIGTERM)
	// A stopped process receives TERM only when it continues.
	f.signal(syscall.SIGCONT)
	deadline := time.Now().Add(grace)
	for pause := time.Millisecond; f.signal(0) && time.Now().Before(deadline); pause = min(2*pause, 50*time.Millisecond) {
		time.Sleep(min(pause, time.Until(deadline)))
	}
}

// kill ends the family at once and returns when it is gone.
func (f family) kill() error {
	deadline := time.Now().Add(killTime)
	for pause := 100 * time.Microsecond; f.signal(syscall.SIGKILL); pause = min(2*pause, 20*time.Millisecond) {
		if time.Now().After(deadline) {
			return errs.E(errs.Internal, "processes of group %d still run after KILL", f.leader)
		}
		time.Sleep(pause)
	}
	return nil
}

// waitExit returns when pid has ended, without reaping it.
func waitExit(pid int) {
	const byPID = 1 // P_PID
	var info [16]uint64
	for {
		_, _, e := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(pid),
			uintptr(unsafe.Pointer(&info)), syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if e != syscall.EINTR {
			return
		}
	}
}
