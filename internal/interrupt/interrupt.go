// Package interrupt turns signals and a closed output into the end of a command.
//
// The first signal asks for an orderly end; what does not look at it is ended after
// a few seconds, so that a key always works. It does not know what a command does.
package interrupt

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// hardStop is how long a command may take to clean up after a signal. A computation
// that never checks its context is ended then.
const hardStop = 5 * time.Second

// Interrupt turns INT, TERM and HUP, and a closed output, into the end of a
// command. The first one ends it at once, except while a command keeps order
// ([Interrupt.KeepOrder]): then only Stop is done, and the second one ends it.
type Interrupt struct {
	Stop   context.Context // done at the first signal
	stop   context.CancelFunc
	cancel context.CancelFunc // of the command's context
	echoed func()             // called after Ctrl-C

	mu      sync.Mutex
	orderly int  // commands that keep order
	code    int  // the exit code that says which signal it was; 0 for none
	ended   bool // cancel was called for a signal
	timer   *time.Timer
}

// New returns an Interrupt that ends a command by cancel. It calls echoed after
// Ctrl-C, which a terminal has shown.
func New(ctx context.Context, cancel context.CancelFunc, echoed func()) *Interrupt {
	i := &Interrupt{cancel: cancel, echoed: echoed}
	i.Stop, i.stop = context.WithCancel(ctx)
	return i
}

// Close ends the use of the Interrupt.
func (i *Interrupt) Close() { i.stop() }

// Listen acts on signals until the returned function is called.
func (i *Interrupt) Listen() (end func()) {
	signals := make(chan os.Signal, 2)
	wanted := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup wants it
		wanted = append(wanted, syscall.SIGHUP)
	}
	signal.Notify(signals, wanted...)
	done := make(chan struct{})
	go func() {
		for !i.canceled() {
			select {
			case s := <-signals:
				i.signal(s)
			case <-done:
				return
			}
		}
		signal.Stop(signals) // one more ends this program at once
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.timer != nil {
			i.timer.Stop()
		}
	}
}

func (i *Interrupt) canceled() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ended
}

func (i *Interrupt) signal(s os.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	again := i.Stop.Err() != nil
	if s == os.Interrupt {
		i.echoed()
	}
	if n, ok := s.(syscall.Signal); ok && i.code == 0 {
		i.code = 128 + int(n)
	}
	i.stop()
	switch {
	case i.orderly == 0:
		i.cancel()
		i.ended = true
		code := i.code
		i.timer = time.AfterFunc(hardStop, func() { os.Exit(code) })
	case again:
		i.cancel() // jobs and containers are still removed
		i.ended = true
	}
}

// ReaderGone is called when the reader of the output has closed it.
func (i *Interrupt) ReaderGone() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stop()
	if i.orderly == 0 {
		i.cancel()
	}
}

// KeepOrder leaves it to the command, until release is called, to end in order
// when Stop is done.
func (i *Interrupt) KeepOrder() (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.orderly++
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.orderly--
	})
}

// ExitCode says which signal ended the command: 130 for Ctrl-C, 143 for TERM, 0 for
// none.
func (i *Interrupt) ExitCode() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.code
}
