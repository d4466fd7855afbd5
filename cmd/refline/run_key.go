package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/credential"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/secret"
	"refline/internal/source"
	"refline/internal/variable"
)

// deployKeyOptions say which key the jobs of a run, and the checkout before
// them, may use.
type deployKeyOptions struct {
	hostOptions
	spec string
}

func (o *deployKeyOptions) bind(cmd *cobra.Command) {
	o.hostOptions.bind(cmd)
	cmd.Flags().StringVar(&o.spec, "deploy-key", "", "a key that jobs and --repo use but never hold: NAME (kept by refline key, or a variable) or NAME=@FILE")
}

// runKey is the deploy key of a run and the agent that serves it to this
// process's own git.
type runKey struct {
	credential.Key
	name string
	// protected says that it is a variable for protected refs only.
	protected bool
	own       *credential.Served
	dir       string
}

// openRunKey finds the key that the options name; nil when they name none.
func openRunKey(ctx context.Context, e *env, o *runOptions) (*runKey, error) {
	d := &o.deployKey
	if d.spec == "" {
		if len(d.hosts) > 0 || d.knownHosts != "" {
			return nil, usagef("--host and --known-hosts are for a key: give --deploy-key NAME")
		}
		return nil, nil
	}
	name, file, hasFile := strings.Cut(d.spec, "=")
	file, at := strings.CutPrefix(file, "@")
	if !credential.ValidKeyName(name) || hasFile && (!at || file == "") {
		return nil, usagef("--deploy-key wants NAME or NAME=@FILE; a key itself never stands on a command line")
	}
	from := agentOptions{hostOptions: d.hostOptions}
	store, err := openKeyStore(e)
	if err != nil {
		return nil, err
	}
	k := &runKey{name: name}
	switch {
	case hasFile:
		from.keyFile = file
	case store.Has(name):
		from.key = name
	case variable.ValidName(name) && (e.getenv(name) != "" || e.getenv(credential.LineVariable(name, 1)) != ""):
		from.keyEnv = name
	default:
		if err := k.fromVariable(ctx, e, o); err != nil {
			return nil, err
		}
	}
	if h, err := credential.ParseHost(o.repo); from.key == "" && len(from.hosts) == 0 && err == nil && source.IsURL(o.repo) {
		from.hosts = hostList{h}
	}
	if k.Text == nil {
		k.Key, err = from.load(e)
	} else {
		k.KnownHosts, err = hostKeys(e, from.hosts, from.knownHosts)
	}
	if err != nil {
		return nil, err
	}
	if err := k.serveSelf(); err != nil {
		return nil, err
	}
	return k, nil
}

// fromVariable takes the key from the project's variables.
func (k *runKey) fromVariable(ctx context.Context, e *env, o *runOptions) error {
	v, err := openVars(ctx, e, varOptions{file: o.variables, repo: o.repo}, false)
	if err != nil {
		return err
	}
	i := v.Index(secret.Variable{Name: k.name, Environment: secret.AnyEnvironment})
	if i < 0 {
		return errs.E(errs.NotFound, "--deploy-key %[1]s: neither a kept key nor a variable has this name; make it: refline key new %[1]s --repo URL, or give a file: --deploy-key %[1]s=@FILE", k.name)
	}
	k.Text, k.protected = v.Variables[i].Value.Reveal(), v.Variables[i].Protected
	return nil
}

// serveSelf starts the agent for the checkout that precedes the jobs.
func (k *runKey) serveSelf() (err error) {
	if k.dir, err = os.MkdirTemp("", "refline-agent-"); err != nil {
		return errs.E(errs.Unavailable, "folder for the agent: %w", err)
	}
	if k.own, err = k.Serve(credential.Place{Dir: k.dir, Seen: k.dir}); err != nil {
		return errors.Join(err, os.RemoveAll(k.dir))
	}
	return nil
}

func (k *runKey) close() {
	if k != nil {
		_ = k.own.Close()
		_ = os.RemoveAll(k.dir)
	}
}

// environ is the environment for git to reach a repository: with the key where
// its host is one of the key's, else as it is.
func (k *runKey) environ(environ []string, repo string) []string {
	if k == nil {
		return environ
	}
	if h, err := credential.ParseHost(repo); err != nil || !credential.KnowsHost(k.KnownHosts, h) {
		return environ
	}
	return append(credential.WithoutKey(environ, k.name), k.own.Env...)
}

// jobEnviron is what a job on the host inherits: not the key.
func (k *runKey) jobEnviron(environ []string) []string {
	if k == nil {
		return environ
	}
	return credential.WithoutKey(environ, k.name)
}

// agentFor starts what logs in for a job: an ssh agent with the deploy key, and
// git's credentials for https. It is nil when the run has neither.
func agentFor(ex executor.Executor, k *runKey, tokens credential.Tokens) engine.AgentStarter {
	set := credential.Set{Tokens: tokens}
	if k != nil {
		set.Key = &k.Key
	}
	if set.Empty() {
		return nil
	}
	return func(p engine.AgentPlace) (env []string, end func() error, err error) {
		count, _ := strconv.Atoi(p.Env["GIT_CONFIG_COUNT"])
		return set.Serve(credential.Place{
			Dir: p.Dir, Seen: p.Seen, Shared: ex.Isolated(), ConfigCount: count,
			Refused: func(reason string) { p.Note("agent refused " + reason) },
		})
	}
}
