//go:build linux || darwin

package process

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"

	"refline/internal/errs"
)

// watchScript waits for the end of its input. Without "q" before it, this
// program was killed. On Linux it then kills whatever has the mark in $1, with
// its group; elsewhere the groups that "+ PID" and "- PID" told it of. A process
// that is just being made still holds the other end of the pipe, so the script
// sees the end only when every command has its mark.
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
mark=$1 n=0
while [ $n -lt 1000 ]; do
	found=$(grep -lsF -e "$mark" /proc/[0-9]*/environ)
	[ -n "$found" ] || exit 0
	for f in $found; do
		f=${f%/environ}
		read -r stat <$f/stat || continue
		set -- ${stat##*) }
		kill -KILL "-$3"
		kill -KILL "${f#/proc/}"
	done
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

// byMark is where a mark can be read: there the watcher need not be woken for
// each command.
const byMark = runtime.GOOS == "linux"

func (w *watcher) add(pid int) {
	if !byMark {
		w.tell("+ " + strconv.Itoa(pid))
	}
}

func (w *watcher) remove(pid int) {
	if !byMark {
		w.tell("- " + strconv.Itoa(pid))
	}
}

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
