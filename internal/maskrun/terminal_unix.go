//go:build unix

package maskrun

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"refline/internal/mask"
)

// onTerminal runs a command on a terminal of its own, whose output goes to
// ours, masked. Of standard output and standard error the one that is not a
// terminal is a pipe, masked on its own; done is false where no terminal can be
// made.
func onTerminal(s Streams, set *mask.Set, cmd *exec.Cmd) (done bool, err error) {
	master, slave, err := pty.Open()
	if err != nil {
		return false, nil
	}
	defer master.Close()
	defer slave.Close()
	var piped []*mask.CommandWriter
	place := func(stream io.Writer) io.Writer {
		if IsTerminal(stream) {
			return slave
		}
		w := set.CommandWriter(stream)
		piped = append(piped, w)
		return w
	}
	cmd.Stdout, cmd.Stderr = place(s.Out), place(s.Err)
	var keys *keyboard
	shown := s.Out
	if !IsTerminal(s.Out) {
		shown = s.Err
	}
	if in, ok := s.In.(*os.File); ok && IsTerminal(in) {
		keys = &keyboard{master: master, in: in}
		defer keys.restore()
		if inForeground(int(in.Fd())) {
			keys.makeRaw() // before the command prints
		}
		cmd.Stdin = slave
	}
	followSize(master, shown.(*os.File))
	// A session of its own: the keys' signals come from its terminal. Its
	// number in the child is that of standard output or standard error.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2}
	if IsTerminal(s.Out) {
		cmd.SysProcAttr.Ctty = 1
	}
	wait, err := Start(cmd, true)
	if err != nil {
		return true, err
	}
	_ = slave.Close()
	if keys != nil {
		keys.command = cmd.Process.Pid
		go keys.pass()
	}
	copied := make(chan error, 1)
	go func() { copied <- Copy(set, shown, terminalReader{master}) }()
	err = errors.Join(wait(), <-copied)
	for _, w := range piped {
		err = errors.Join(err, w.Close())
	}
	return true, err
}

// terminalReader reads from a terminal's master: when the last program has left
// the terminal, Linux gives EIO, which is its end.
type terminalReader struct{ master *os.File }

func (r terminalReader) Read(p []byte) (int, error) {
	n, err := r.master.Read(p)
	if errors.Is(err, syscall.EIO) {
		err = io.EOF
	}
	return n, err
}

// keyboard passes the keys to the command's terminal as they are pressed, while
// this program is in the foreground.
type keyboard struct {
	master, in *os.File
	command    int // process id

	mu    sync.Mutex
	state *term.State // of the terminal before it was made raw, nil while it is not
	ended bool
}

// pass works until the program ends.
func (k *keyboard) pass() {
	fd := int(k.in.Fd())
	buf := make([]byte, 4096)
	for {
		if !inForeground(fd) { // to read, or to set the terminal, would stop us
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if !k.makeRaw() {
			return
		}
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, 500); n == 0 || errors.Is(err, unix.EINTR) || !inForeground(fd) {
			continue
		}
		n, err := k.in.Read(buf)
		if err != nil {
			return
		}
		keys := buf[:n]
		if i := bytes.IndexByte(keys, 'Z'-'@'); i >= 0 && k.stopsCommand() {
			_, _ = k.master.Write(keys[:i])
			k.suspend()
			keys = keys[i+1:]
		}
		if _, err := k.master.Write(keys); err != nil {
			return
		}
	}
}

// stopsCommand reports whether Ctrl-Z is for the command itself. The kernel does
// not stop it by that key, since it has a session of its own; a shell in it
// stops its jobs.
func (k *keyboard) stopsCommand() bool {
	group, err := unix.IoctlGetInt(int(k.master.Fd()), unix.TIOCGPGRP)
	return err == nil && group == k.command && terminalSignals(int(k.master.Fd()))
}

// suspend stops the command and this program, and goes on when the shell does.
func (k *keyboard) suspend() {
	_ = syscall.Kill(-k.command, syscall.SIGSTOP)
	k.mu.Lock()
	k.reset()
	k.mu.Unlock()
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGCONT)
	defer signal.Stop(goOn)
	stopSelf() // may return before this program stops
	<-goOn
	_ = syscall.Kill(-k.command, syscall.SIGCONT)
}

func (k *keyboard) makeRaw() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return false
	}
	if k.state == nil {
		state, err := term.MakeRaw(int(k.in.Fd()))
		if err != nil {
			return false
		}
		k.state = state
	}
	return true
}

func (k *keyboard) reset() {
	if k.state != nil {
		_ = term.Restore(int(k.in.Fd()), k.state)
		k.state = nil
	}
}

// restore leaves the terminal as it was.
func (k *keyboard) restore() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	k.reset()
}

// inForeground reports whether this program may read the terminal.
func inForeground(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// followSize keeps the size of the command's terminal that of ours.
func followSize(master, own *os.File) {
	_ = pty.InheritSize(own, master)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		for range changed {
			_ = pty.InheritSize(own, master)
		}
	}()
}
