//go:build linux || darwin

package process

import (
	"os"
	"os/exec"
	"strconv"
	"sync"

	"refline/internal/errs"
)

// watchScript reads "+ PID" and "- PID" as commands come and go. When its input
// ends without "q", this program was killed: it then kills the groups that are
// left and, on Linux, whatever has the mark in $1. A process that is just being
// made still holds the other end of the pipe, so the script sees the end only
// when every command has its mark.
const watchScript = `live=
while read -r op id; do
	case $op in
	+) live="$live $id" ;;
	-) rest=; for p in $live; do [ "$p" = "$id" ] || rest="$rest $p"; done; live=$rest ;;
	q) exit 0 ;;
	esac
done
for p in $live; do kill -KILL "-$p"; done
[ -r /proc/self/environ ] || exit 0
n=0
while [ $n -lt 1000 ]; do
	found=$(grep -lsF -e "$1" /proc/[0-9]*/environ)
	[ -n "$found" ] || exit 0
	for f in $found; do f=${f#/proc/}; kill -KILL "${f%/environ}"; done
	n=$((n + 1))
done`

// watcher is a shell that outlives this program for as long as it takes to kill
// what runs.
type watcher struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	pipe *os.File
}

func startWatcher(mark string) (*watcher, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// Its own session keeps it from the signals of this one's terminal.
	cmd := &exec.Cmd{
		Path: "/bin/sh", Args: []string{"refline-watch", "-c", watchScript, "refline-watch", mark},
		Env: []string{"PATH=" + os.Getenv("PATH") + ":/usr/bin:/bin"}, Dir: "/", Stdin: r, SysProcAttr: ownSession(),
	}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, errs.E(errs.Unavailable, "start the watcher of running commands: %w", err)
	}
	return &watcher{cmd: cmd, pipe: w}, nil
}

func (w *watcher) pid() int { return w.cmd.Process.Pid }

func (w *watcher) add(pid int)    { w.tell("+ " + strconv.Itoa(pid)) }
func (w *watcher) remove(pid int) { w.tell("- " + strconv.Itoa(pid)) }

// tell is without an error: that the watcher is gone takes from the safety of
// later accidents only.
func (w *watcher) tell(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.pipe.WriteString(line + "\n")
}

func (w *watcher) close() error {
	w.tell("q")
	_ = w.pipe.Close()
	_ = w.cmd.Process.Kill() // sooner than to wait for its answer
	_ = w.cmd.Wait()
	return nil
}
