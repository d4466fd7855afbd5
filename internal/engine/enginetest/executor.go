// Package enginetest has an executor that runs functions of a test instead of
// commands.
package enginetest

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"refline/internal/executor"
)

// Executor runs functions of a test instead of commands, and keeps what it
// is asked for.
type Executor struct {
	InContainer bool                                             // what Isolated returns
	OnStart     func(context.Context, executor.Spec) error       // nil: succeeds
	OnExec      func(context.Context, Command) (int, error)      // nil: exit code 0
	OnClose     func(context.Context, executor.Spec) (err error) // nil: succeeds

	mu       sync.Mutex
	Specs    []executor.Spec
	commands []Command
	open     int // sandboxes that are not closed yet
}

var (
	_ executor.Executor = (*Executor)(nil)
	_ executor.Sandbox  = (*sandbox)(nil)
)

func (f *Executor) Name() string                { return "fake" }
func (f *Executor) Isolated() bool              { return f.InContainer }
func (f *Executor) Sweep(context.Context) error { return nil }
func (f *Executor) Close() error                { return nil }

func (f *Executor) Start(ctx context.Context, spec executor.Spec) (executor.Sandbox, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.Specs = append(f.Specs, spec)
	f.mu.Unlock()
	if f.OnStart != nil {
		if err := f.OnStart(ctx, spec); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	return &sandbox{fake: f, spec: spec}, nil
}

// Asked are the commands so far.
func (f *Executor) Asked() []Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.commands)
}

// Left is the number of sandboxes that are still open.
func (f *Executor) Left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

type sandbox struct {
	fake   *Executor
	spec   executor.Spec
	closed bool
}

func (s *sandbox) Shell() string { return "/bin/sh" }

func (s *sandbox) Exec(ctx context.Context, cmd executor.Command) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return -1, err
	}
	c := Command{Command: cmd, Spec: s.spec}
	c.Env = slices.Clone(cmd.Env)
	s.fake.mu.Lock()
	s.fake.commands = append(s.fake.commands, c)
	s.fake.mu.Unlock()
	if s.fake.OnExec == nil {
		return 0, nil
	}
	return s.fake.OnExec(ctx, c)
}

func (s *sandbox) Close(ctx context.Context) error {
	s.fake.mu.Lock()
	first := !s.closed
	if first {
		s.closed = true
		s.fake.open--
	}
	s.fake.mu.Unlock()
	if first && s.fake.OnClose != nil {
		return s.fake.OnClose(ctx, s.spec)
	}
	return nil
}

// Command is a command and what it runs in.
type Command struct {
	executor.Command
	Spec executor.Spec
}

// Script is the name of the file that the shell was to run.
func (c Command) Script() string { return path.Base(strings.ReplaceAll(c.Args[1], `\`, "/")) }

// Var is the value of a variable; the last of a name counts.
func (c Command) Var(name string) string {
	value, _ := c.LookVar(name)
	return value
}

func (c Command) LookVar(name string) (value string, ok bool) {
	for _, kv := range c.Env {
		if v, is := strings.CutPrefix(kv, name+"="); is {
			value, ok = v, true
		}
	}
	return value, ok
}

// Workspace, Temp and scripts are the job's folders on the host.
func (c Command) Workspace() string { return c.Spec.Mounts[0].Source }
func (c Command) Temp() string      { return c.Spec.Mounts[1].Source }
func (c Command) Scripts() string   { return c.Spec.Mounts[2].Source }

func (c Command) Print(text string) { fmt.Fprint(c.Stdout, text) }

// UntilStopped blocks as a command does that runs until it is asked to end.
func UntilStopped(ctx context.Context) (int, error) {
	<-ctx.Done()
	return -1, context.Cause(ctx)
}
