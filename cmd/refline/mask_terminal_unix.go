//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/term"

	"refline/internal/errs"
	"refline/internal/mask"
)

// maskOnTerminal runs a command on a terminal of its own, whose output goes to
// ours, masked. Of standard output and standard error the one that is no
// terminal is a pipe, masked on its own; done is false where no terminal can be
// made.
func maskOnTerminal(e *env, set *mask.Set, cmd *exec.Cmd) (done bool, err error) {
	master, slave, err := pty.Open()
	if err != nil {
		return false, nil
	}
	defer master.Close()
	defer slave.Close()
	var piped []*mask.CommandWriter
	place := func(stream io.Writer) io.Writer {
		if isTerminal(stream) {
			return slave
		}
		w := set.CommandWriter(stream)
		piped = append(piped, w)
		return w
	}
	cmd.Stdout, cmd.Stderr = place(e.stdout), place(e.stderr)
	shown := e.stdout
	if !isTerminal(e.stdout) {
		shown = e.stderr
	}
	if in, ok := e.stdin.(*os.File); ok && isTerminal(in) {
		restore, err := typeInto(master, in)
		if err != nil {
			return true, err
		}
		defer restore()
		cmd.Stdin = slave
	}
	followSize(master, shown.(*os.File))
	// A session of its own: the keys' signals come from its terminal. Its
	// number in the child is that of standard output or standard error.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2}
	if isTerminal(e.stdout) {
		cmd.SysProcAttr.Ctty = 1
	}
	wait, err := startCommand(cmd, true)
	if err != nil {
		return true, err
	}
	_ = slave.Close()
	copied := make(chan error, 1)
	go func() { copied <- maskStream(set, shown, terminalReader{master}) }()
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

// typeInto gives the keys to the command's terminal as they are pressed.
func typeInto(master, in *os.File) (restore func(), err error) {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, errs.E(errs.Unavailable, "terminal: %w", err)
	}
	go func() { _, _ = io.Copy(master, in) }() // ends with the program
	return func() { _ = term.Restore(int(in.Fd()), state) }, nil
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
