package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/credential"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/mask"
	"refline/internal/secret"
	"refline/internal/source"
	"refline/internal/variable"
)

// deployKeyOptions say which keys the jobs of a run, and the checkout before
// them, may use.
type deployKeyOptions struct {
	hostOptions
	specs []string
}

func (o *deployKeyOptions) bind(cmd *cobra.Command) {
	o.hostOptions.bind(cmd)
	cmd.Flags().StringArrayVar(&o.specs, "deploy-key", nil, "a key that jobs and --repo use but never hold: NAME (kept by refline key, or a variable) or NAME=@FILE; of several the one for the repository or its host is used")
}

// runKey is a deploy key of a run.
type runKey struct {
	credential.Key
	name string
	// protected says that it is a variable for protected refs only.
	protected bool
}

// runKeys are the deploy keys of a run and the agents that serve them to this
// process's own git.
type runKeys struct {
	list []*runKey
	dir  string
	env  []string
	end  func() error
}

// openRunKeys finds the keys that the options name; nil when they name none.
func openRunKeys(ctx context.Context, e *env, o *runOptions) (*runKeys, error) {
	d := &o.deployKey
	if len(d.specs) == 0 {
		if len(d.hosts) > 0 || d.knownHosts != "" {
			return nil, usagef("--host and --known-hosts are for a key: give --deploy-key NAME")
		}
		return nil, nil
	}
	ks := &runKeys{}
	for _, spec := range d.specs {
		k, err := openRunKey(ctx, e, o, spec)
		if err != nil {
			return nil, err
		}
		ks.list = append(ks.list, k)
	}
	if err := ks.serveSelf(); err != nil {
		return nil, err
	}
	return ks, nil
}

func openRunKey(ctx context.Context, e *env, o *runOptions, spec string) (*runKey, error) {
	d := &o.deployKey
	name, file, hasFile := strings.Cut(spec, "=")
	file, at := strings.CutPrefix(file, "@")
	if spec == "" {
		return nil, usagef("--deploy-key is empty; leave it out, or give it a value")
	}
	if !credential.ValidKeyName(name) || hasFile && (!at || file == "") {
		return nil, usagef("--deploy-key wants NAME or NAME=@FILE; a key itself never goes on a command line")
	}
	from := keySource{hostOptions: d.hostOptions, name: name}
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
		if len(d.specs) > 1 { // each has hosts of its own
			from.hostOptions = hostOptions{}
		}
	case variable.ValidName(name) && (e.getenv(name) != "" || e.getenv(credential.LineVariable(name, 1)) != ""):
		from.keyEnv = name
	default:
		if err := k.fromVariable(ctx, e, o); err != nil {
			return nil, err
		}
		from.text = k.Text
	}
	if h, err := credential.ParseHost(o.repo); from.key == "" && len(from.hosts) == 0 && err == nil && source.IsURL(o.repo) {
		from.hosts = hostList{h}
	}
	k.Key, err = from.load(e)
	return k, err
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

// set is what the keys and tokens serve to a job or to this process's git.
func (ks *runKeys) set(tokens credential.Tokens) credential.Set {
	s := credential.Set{Tokens: tokens}
	if ks != nil {
		for _, k := range ks.list {
			s.Keys = append(s.Keys, &k.Key)
		}
	}
	return s
}

// serveSelf starts the agents for the checkout that precedes the jobs.
func (ks *runKeys) serveSelf() (err error) {
	if ks.dir, err = os.MkdirTemp("", "refline-agent-"); err != nil {
		return errs.E(errs.Unavailable, "folder for the agent: %w", err)
	}
	if ks.env, ks.end, err = ks.set(nil).Serve(credential.Place{Dir: ks.dir, Seen: ks.dir}); err != nil {
		return errors.Join(err, os.RemoveAll(ks.dir))
	}
	return nil
}

func (ks *runKeys) close() {
	if ks != nil {
		_ = ks.end()
		_ = os.RemoveAll(ks.dir)
	}
}

// environ is the environment for git to reach a repository: with the keys where
// its host is one of theirs, else as it is.
func (ks *runKeys) environ(environ []string, repo string) []string {
	if ks == nil {
		return environ
	}
	h, err := credential.ParseHost(repo)
	knows := func(k *runKey) bool { return credential.KnowsHost(k.KnownHosts, h) }
	if err != nil || !slices.ContainsFunc(ks.list, knows) {
		return environ
	}
	return append(ks.jobEnviron(environ), ks.env...)
}

// jobEnviron is what a job on the host inherits: not the keys.
func (ks *runKeys) jobEnviron(environ []string) []string {
	if ks == nil {
		return environ
	}
	for _, k := range ks.list {
		environ = credential.WithoutKey(environ, k.name)
	}
	return environ
}

// addTo masks the keys and returns the variables that jobs do not get.
func (ks *runKeys) addTo(set *mask.Set) (withheld []string, err error) {
	if ks == nil {
		return nil, nil
	}
	for _, k := range ks.list {
		withheld = append(withheld, k.name, credential.PassphraseVariable(k.name))
		if err := set.Add(k.name, k.Text); err != nil {
			return nil, errs.E(errs.Invalid, "--deploy-key %s: %w", k.name, err)
		}
	}
	return withheld, nil
}

// protected names a key that is a variable for protected refs only.
func (ks *runKeys) protected() string {
	if ks != nil {
		for _, k := range ks.list {
			if k.protected {
				return k.name
			}
		}
	}
	return ""
}

// agentFor starts what logs in for a job: ssh agents with the deploy keys, and
// git's credentials for https. It is nil when the run has neither.
func agentFor(ex executor.Executor, ks *runKeys, tokens credential.Tokens) engine.AgentStarter {
	set := ks.set(tokens)
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
