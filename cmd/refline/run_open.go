package main

import (
	"context"
	"os/exec"
	"strconv"

	"refline/internal/cli"
)

// runPage is the program that shows a run in a browser.
type runPage struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// openPage shows a run in a browser. The run goes on without the page if it does not
// start: nil then.
func openPage(ctx context.Context, e *cli.Env, run int64) *runPage {
	path, err := cli.ServerProgram()
	if err != nil {
		e.Notef("the run is not shown in a browser: %v", err)
		return nil
	}
	p := &runPage{cmd: exec.CommandContext(ctx, path, "server", "--local", "--open", "--run", strconv.FormatInt(run, 10)), ended: make(chan struct{})} //nolint:gosec // the program beside this one
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = e.Dir, e.Environ(), e.Stderr
	if err := p.cmd.Start(); err != nil {
		e.Notef("the run is not shown in a browser: %v", err)
		return nil
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // it has said itself what was wrong
	}()
	return p
}

// wait keeps the page of a run that is over until Ctrl-C, if there is a terminal to
// press it on.
func (p *runPage) wait(e *cli.Env) {
	if p == nil {
		return
	}
	if e.Terminal && e.Stop.Err() == nil {
		e.Notef("the run is over; the page stays until Ctrl-C")
		select {
		case <-e.Stop.Done():
		case <-p.ended:
		}
	}
	_ = p.cmd.Process.Kill() // it keeps nothing; it may have ended
	<-p.ended
}
