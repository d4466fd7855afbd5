package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// hardStop is how long a command may take to clean up after a signal. What
// computes and never looks whether it should end is ended then.
const hardStop = 5 * time.Second

// interrupt turns INT, TERM and HUP, and a closed output, into the end of a
// command. The first one ends it at once, except while a command keeps order
// ([interrupt.keepOrder]): then only stop is done, and the second one ends it.
type interrupt struct {
	stop    context.Context // done at the first signal
	stopped context.CancelFunc
	cancel  context.CancelFunc // of the command's context
	echoed  func()             // called after Ctrl-C

	mu      sync.Mutex
	orderly int  // commands that keep order
	code    int  // the exit code that says which signal it was; 0 for none
	ended   bool // cancel was called for a signal
	timer   *time.Timer
}

func newInterrupt(ctx context.Context, cancel context.CancelFunc) *interrupt {
	i := &interrupt{cancel: cancel}
	i.stop, i.stopped = context.WithCancel(ctx)
	return i
}

// listen acts on signals until the returned function is called.
func (i *interrupt) listen() (end func()) {
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

func (i *interrupt) canceled() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ended
}

func (i *interrupt) signal(s os.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	again := i.stop.Err() != nil
	if s == os.Interrupt {
		i.echoed()
	}
	if n, ok := s.(syscall.Signal); ok && i.code == 0 {
		i.code = 128 + int(n)
	}
	i.stopped()
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

// gone is called when whoever read the output has closed it.
func (i *interrupt) gone() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stopped()
	if i.orderly == 0 {
		i.cancel()
	}
}

// keepOrder leaves it to the command, until release is called, to end in order
// when stop is done.
func (i *interrupt) keepOrder() (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.orderly++
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.orderly--
	})
}

// exitCode says which signal ended the command: 130 for Ctrl-C, 143 for TERM.
func (i *interrupt) exitCode() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.code == 0 {
		return exitCanceled
	}
	return i.code
}

// afterCtrlC takes the cursor back to where it was before the terminal showed
// ^C: what comes next keeps its columns.
func (e *env) afterCtrlC() func() {
	out := e.stdout
	if !e.terminal {
		return func() {}
	}
	return func() { _, _ = io.WriteString(out, "\r") }
}
