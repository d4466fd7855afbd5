// Package host is what runs jobs on this computer: its executors, and the environments
// of Python scripts.
package host

import (
	"context"
	"path"
	"strings"

	"refline/internal/cli"
	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/process"
)

// Containers say how jobs run in containers.
type Containers struct {
	PassEnv    []string // patterns of variables of this computer that they get
	Privileged []string // patterns of images that may
	Network    string
	Sockets    bool // they use sockets of this computer: a deploy key or a token
}

// Kinds are all that --executor takes beside auto: a new one is added
// here. Among those that jobs with an image can run in, auto takes the first
// that opens.
func Kinds(e *cli.Env, c Containers) []executor.Kind {
	return []executor.Kind{
		{
			Name: "process", Summary: "on this computer, without containers",
			Open: func(context.Context) (executor.Executor, error) { return process.New(), nil },
		},
		{
			Name: "docker", Summary: "in containers only", Isolated: true,
			Open: func(ctx context.Context) (executor.Executor, error) { return openDocker(ctx, e, c) },
		},
	}
}

// openDocker finds the container engine and removes what killed runs left in it.
func openDocker(ctx context.Context, e *cli.Env, c Containers) (executor.Executor, error) {
	passed, err := passedVariables(e, c.PassEnv)
	if err != nil {
		return nil, err
	}
	d := docker.New(docker.Options{
		Getenv: e.Getenv, Privileged: c.Privileged, Env: passed, Network: c.Network, Notice: func(text string) { e.Notef("%s", text) },
	})
	if err := d.Available(ctx); err != nil {
		return nil, err
	}
	if c.Sockets {
		if engine, err := d.RemoteSystem(ctx); err == nil && engine != "" {
			e.Notef("the container engine runs on another system (%s), where sockets of this one seldom work: jobs in containers may not reach the deploy key or token. If so, use --executor process, or run refline on the engine's system", engine)
		}
	}
	if err := d.Sweep(ctx); err != nil {
		e.Notef("containers of earlier runs could not be removed: %v", err)
	}
	return d, nil
}

// passedVariables are the variables of this environment that jobs in containers
// get. A name without a pattern must be set: a typing mistake would show up as a
// strange failure of a job.
func passedVariables(e *cli.Env, patterns []string) ([]string, error) {
	var passed []string
	for _, pattern := range patterns {
		found := false
		for _, kv := range e.Environ() {
			name, _, _ := strings.Cut(kv, "=")
			match, err := path.Match(pattern, name)
			if err != nil {
				return nil, cli.Usagef("--pass-env %q: not a pattern: %v", pattern, err)
			}
			if match {
				passed, found = append(passed, kv), true
			}
		}
		if !found && !strings.ContainsAny(pattern, "*?[") {
			return nil, cli.Usagef("--pass-env %s: the variable is not set here", pattern)
		}
	}
	return passed, nil
}
