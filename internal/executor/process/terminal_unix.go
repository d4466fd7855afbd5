//go:build linux || darwin

package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"

	"refline/internal/errs"
	"refline/internal/executor"
)

// terminal is the pseudoterminal of an interactive command.
type terminal struct {
	asked   *executor.Terminal
	master  *os.File
	slave   *os.File // the command's end, until it has started
	stop    chan struct{}
	resizer sync.WaitGroup
	done    chan error // from the copy of the output
}

// openTerminal makes the pseudoterminal the command's controlling one: its
// session has no other.
func openTerminal(c *exec.Cmd, asked *executor.Terminal) (streams, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, errs.E(errs.Unavailable, "make a terminal for %q: %w", c.Args[0], err)
	}
	t := &terminal{asked: asked, master: master, slave: slave, stop: make(chan struct{}), done: make(chan error, 1)}
	t.resize(asked.Size.OrDefault())
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr.Setctty, c.SysProcAttr.Ctty = true, 0
	return t, nil
}

func (t *terminal) resize(s executor.Size) {
	_ = pty.Setsize(t.master, &pty.Winsize{Rows: s.Rows, Cols: s.Columns}) // a wrong size only looks wrong
}

func (t *terminal) abandon() {
	t.slave.Close()
	t.master.Close()
}

func (t *terminal) started() {
	t.slave.Close()
	go t.copyKeys() // may wait for In longer than the command runs
	t.resizer.Go(t.followSize)
	go func() { t.done <- t.copyOutput() }()
}

// copyKeys ends with the first write after the command's end.
func (t *terminal) copyKeys() {
	if _, err := io.Copy(t.master, t.asked.In); err == nil {
		_, _ = t.master.Write([]byte{executor.EndOfInput})
	}
}

func (t *terminal) followSize() {
	for {
		select {
		case <-t.stop:
			return
		case size, ok := <-t.asked.Resize:
			if !ok {
				return
			}
			t.resize(size)
		}
	}
}

// copyOutput goes on when Out fails, so that the command does not hang.
func (t *terminal) copyOutput() (werr error) {
	buf := make([]byte, 4096)
	for {
		n, err := t.master.Read(buf)
		if n > 0 && werr == nil {
			_, werr = t.asked.Out.Write(buf[:n])
		}
		// Linux answers EIO once no process has the terminal.
		if errors.Is(err, syscall.EIO) || errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
			return werr
		}
		if err != nil {
			return errors.Join(werr, err)
		}
	}
}

func (t *terminal) finish() error {
	defer t.master.Close()
	close(t.stop)
	t.resizer.Wait()
	select {
	case err := <-t.done:
		return err
	case <-time.After(drainTime): // a process out of reach still has the terminal
		t.master.Close()
		return <-t.done
	}
}
