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

// watchScript waits for the end of its input. If no "q" came before, this program
// was killed. On Linux the script then kills every process with the mark in $1,
// and its group; elsewhere the groups listed by "+ PID" and "- PID". A process that
// is being forked still holds the other end of the pipe, so the input ends only
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

// watcher is a shell that outlives this program until running commands are killed.
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
	// Its own session protects it from signals of this program's terminal.
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

// byMark is true if marks can be read; the watcher then need not hear of each
// command.
const byMark = runtime.GOOS == "linux"

func (w *watcher) add(pid int) {
	if !byMark {
		w.send("+ " + strconv.Itoa(pid))
	}
}

func (w *watcher) remove(pid int) {
	if !byMark {
		w.send("- " + strconv.Itoa(pid))
	}
}

// send has no error: without the watcher only a later kill is less safe.
func (w *watcher) send(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.pipe.WriteString(line + "\n")
}

func (w *watcher) close() error {
	w.send("q")
	_ = w.pipe.Close()
	_ = w.cmd.Process.Kill() // faster than to wait for its end
	_ = w.cmd.Wait()
	return nil
}
