package engine

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"refline/internal/executor"
)

// fakeExecutor runs functions of a test instead of commands, and keeps what it
// is asked for.
type fakeExecutor struct {
	isolated bool
	start    func(context.Context, executor.Spec) error       // nil: succeeds
	exec     func(context.Context, fakeCommand) (int, error)  // nil: exit code 0
	closed   func(context.Context, executor.Spec) (err error) // nil: succeeds

	mu       sync.Mutex
	specs    []executor.Spec
	commands []fakeCommand
	open     int // sandboxes that nobody has closed yet
}

var (
	_ executor.Executor = (*fakeExecutor)(nil)
	_ executor.Sandbox  = (*fakeSandbox)(nil)
)

func (f *fakeExecutor) Name() string                { return "fake" }
func (f *fakeExecutor) Isolated() bool              { return f.isolated }
func (f *fakeExecutor) Sweep(context.Context) error { return nil }
func (f *fakeExecutor) Close() error                { return nil }

func (f *fakeExecutor) Start(ctx context.Context, spec executor.Spec) (executor.Sandbox, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.specs = append(f.specs, spec)
	f.mu.Unlock()
	if f.start != nil {
		if err := f.start(ctx, spec); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	return &fakeSandbox{fake: f, spec: spec}, nil
}

// asked are the commands so far.
func (f *fakeExecutor) asked() []fakeCommand {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.commands)
}

// left is the number of sandboxes that are still open.
func (f *fakeExecutor) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

type fakeSandbox struct {
	fake   *fakeExecutor
	spec   executor.Spec
	closed bool
}

func (s *fakeSandbox) Shell() string { return "/bin/sh" }

func (s *fakeSandbox) Exec(ctx context.Context, cmd executor.Command) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return -1, err
	}
	c := fakeCommand{Command: cmd, spec: s.spec}
	c.Env = slices.Clone(cmd.Env)
	s.fake.mu.Lock()
	s.fake.commands = append(s.fake.commands, c)
	s.fake.mu.Unlock()
	if s.fake.exec == nil {
		return 0, nil
	}
	return s.fake.exec(ctx, c)
}

func (s *fakeSandbox) Close(ctx context.Context) error {
	s.fake.mu.Lock()
	first := !s.closed
	if first {
		s.closed = true
		s.fake.open--
	}
	s.fake.mu.Unlock()
	if first && s.fake.closed != nil {
		return s.fake.closed(ctx, s.spec)
	}
	return nil
}

// fakeCommand is a command and what it runs in.
type fakeCommand struct {
	executor.Command
	spec executor.Spec
}

// script is the name of the file that the shell was to run.
func (c fakeCommand) script() string { return path.Base(strings.ReplaceAll(c.Args[1], `\`, "/")) }

// env is the value of a variable; the last of a name counts.
func (c fakeCommand) env(name string) string {
	value, _ := c.lookEnv(name)
	return value
}

func (c fakeCommand) lookEnv(name string) (value string, ok bool) {
	for _, kv := range c.Env {
		if v, is := strings.CutPrefix(kv, name+"="); is {
			value, ok = v, true
		}
	}
	return value, ok
}

// workspace, temp and scripts are the job's folders on the host.
func (c fakeCommand) workspace() string { return c.spec.Mounts[0].Source }
func (c fakeCommand) temp() string      { return c.spec.Mounts[1].Source }
func (c fakeCommand) scripts() string   { return c.spec.Mounts[2].Source }

func (c fakeCommand) print(text string) { fmt.Fprint(c.Stdout, text) }

// untilStopped blocks as a command does that runs until it is told to end.
func untilStopped(ctx context.Context) (int, error) {
	<-ctx.Done()
	return -1, context.Cause(ctx)
}
