//go:build unix

package credential

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// Watch ends a command and removes a folder if this process is killed: a shell
// waits for the end of a pipe that only this process holds.
type Watch struct {
	shell *exec.Cmd
	in    io.WriteCloser // nil if there is no shell
}

const watchScript = `trap '' HUP INT TERM
while read -r word; do
	[ "$word" = done ] && { rm -rf -- "$1"; exit; }
	pid=$word
done
[ -n "$pid" ] && { kill -TERM "$pid"; sleep 1; kill -KILL "$pid"; } 2>/dev/null
rm -rf -- "$1"`

// WatchOver watches a folder. It starts before the command does: a process that is
// killed right after its command began must not leave it behind.
func WatchOver(dir string) *Watch {
	cmd := exec.Command("/bin/sh", "-c", watchScript, "sh", dir)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's signals are not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return &Watch{}
	}
	if cmd.Start() != nil {
		_ = in.Close()
		return &Watch{}
	}
	return &Watch{cmd, in}
}

// Command adds the command with a process id.
func (w *Watch) Command(pid int) {
	if w.in != nil {
		_, _ = fmt.Fprintln(w.in, pid)
	}
}

// Release ends the watch; the folder is removed, the command is left alone.
func (w *Watch) Release() {
	if w.in != nil {
		_, _ = io.WriteString(w.in, "done\n")
		_ = w.in.Close()
		_ = w.shell.Wait()
	}
}
