package main

import (
	"refline/internal/cli"
	"refline/internal/cli/host"
	"refline/internal/executor"
	"refline/internal/executor/choice"
	"refline/internal/executor/docker"
)

func executorHelp(kinds []executor.Kind) string {
	text := "where jobs run: auto (a job with an image in a container)"
	for _, k := range kinds {
		text += ", " + k.Name + " (" + k.Summary + ")"
	}
	return text + "; default $REFLINE_EXECUTOR, else auto"
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
	kinds := host.Kinds(e, o.containers())
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
		Kinds: host.Kinds(e, o.containers()), Named: o.executor, Strict: o.strict, Project: project, State: state,
		Engine: namedEngine(e), NoEngine: docker.ErrNoEngine, Notice: func(text string) { e.Notef("%s", text) },
	}
}

// containers say how docker runs jobs.
func (o *runOptions) containers() host.Containers {
	return host.Containers{
		PassEnv: o.passEnv, Privileged: o.privileged, Network: o.network, Sockets: len(o.deployKey.specs) > 0 || len(o.gitTokens) > 0,
	}
}
