package main

import (
	"context"
	"path"
	"strings"

	"refline/internal/cli"
	"refline/internal/executor"
	"refline/internal/executor/choice"
	"refline/internal/executor/docker"
	"refline/internal/executor/process"
)

// executorKinds are all that --executor takes beside auto: a new one is added
// here. Among those that jobs with an image can run in, auto takes the first
// that opens.
func executorKinds(e *cli.Env, o *runOptions) []executor.Kind {
	return []executor.Kind{
		{
			Name: "process", Summary: "on this computer, without containers",
			Open: func(context.Context) (executor.Executor, error) { return process.New(), nil },
		},
		{
			Name: "docker", Summary: "in containers only", Isolated: true,
			Open: func(ctx context.Context) (executor.Executor, error) { return openDocker(ctx, e, o) },
		},
	}
}

func executorHelp(kinds []executor.Kind) string {
	text := "where jobs run: auto (a job with an image in a container)"
	for _, k := range kinds {
		text += ", " + k.Name + " (" + k.Summary + ")"
	}
	return text + "; default $REFLINE_EXECUTOR, else auto"
}

// openDocker finds the container engine and removes what killed runs left in it.
func openDocker(ctx context.Context, e *cli.Env, o *runOptions) (executor.Executor, error) {
	passed, err := passedVariables(e, o.passEnv)
	if err != nil {
		return nil, err
	}
	d := docker.New(docker.Options{
		Getenv: e.Getenv, Privileged: o.privileged, Env: passed, Network: o.network, Notice: func(text string) { e.Notef("%s", text) },
	})
	if err := d.Available(ctx); err != nil {
		return nil, err
	}
	if len(o.deployKey.specs) > 0 || len(o.gitTokens) > 0 {
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

// chooseExecutor applies $REFLINE_EXECUTOR where --executor is not given.
func (o *runOptions) chooseExecutor(e *cli.Env) error {
	source := "--executor"
	if o.executor == "" {
		source, o.executor = "REFLINE_EXECUTOR", e.Getenv("REFLINE_EXECUTOR")
	}
	if o.executor == "" || o.executor == choice.Auto {
		o.executor = choice.Auto
		return nil
	}
	if o.executor == "kubernetes" {
		return cli.Usagef("%s kubernetes: a run on this computer makes no pods. Register the code as a flow of a server with a runtime for them: refline runtime set NAME --executor kubernetes --image IMAGE, then refline flow register --runtime NAME", source)
	}
	kinds := executorKinds(e, o)
	known := choice.Auto
	for _, k := range kinds {
		if k.Name == o.executor {
			return nil
		}
		known += ", " + k.Name
	}
	return cli.Usagef("%s %q: want one of %s", source, o.executor, known)
}

// namedEngine is the variable by which the user chose a container engine, "" for
// none.
func namedEngine(e *cli.Env) string {
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT"} {
		if e.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// executorChoice is what the jobs of a project are run in.
func (o *runOptions) executorChoice(e *cli.Env, project, state string) choice.Options {
	return choice.Options{
		Kinds: executorKinds(e, o), Named: o.executor, Strict: o.strict, Project: project, State: state,
		Engine: namedEngine(e), NoEngine: docker.ErrNoEngine, Notice: func(text string) { e.Notef("%s", text) },
	}
}
