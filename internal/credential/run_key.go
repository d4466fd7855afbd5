package credential

import (
	"errors"
	"os"
	"slices"

	"refline/internal/errs"
	"refline/internal/mask"
)

// RunKey is a deploy key of a run.
type RunKey struct {
	Key
	Name string
	// Protected says that it is a variable for protected refs only.
	Protected bool
}

// RunKeys are the deploy keys of a run and the agents that serve them to this
// process's own git. Nil are none.
type RunKeys struct {
	list []*RunKey
	dir  string
	env  []string
	end  func() error
}

// ServeKeys starts the agents of keys.
func ServeKeys(list []*RunKey) (*RunKeys, error) {
	ks := &RunKeys{list: list}
	if err := ks.serveSelf(); err != nil {
		return nil, err
	}
	return ks, nil
}

// Set is what the keys and tokens serve to a job or to this process's git.
func (ks *RunKeys) Set(tokens Tokens) Set {
	s := Set{Tokens: tokens}
	if ks != nil {
		for _, k := range ks.list {
			s.Keys = append(s.Keys, &k.Key)
		}
	}
	return s
}

// serveSelf starts the agents for the checkout that precedes the jobs.
func (ks *RunKeys) serveSelf() (err error) {
	if ks.dir, err = os.MkdirTemp("", "refline-agent-"); err != nil {
		return errs.E(errs.Unavailable, "folder for the agent: %w", err)
	}
	if ks.env, ks.end, err = ks.Set(nil).Serve(Place{Dir: ks.dir, Seen: ks.dir}); err != nil {
		return errors.Join(err, os.RemoveAll(ks.dir))
	}
	return nil
}

// Close ends the agents.
func (ks *RunKeys) Close() {
	if ks != nil {
		_ = ks.end()
		_ = os.RemoveAll(ks.dir)
	}
}

// Environ is the environment for git to reach a repository: with the keys where
// its host is one of theirs, else as it is.
func (ks *RunKeys) Environ(environ []string, repo string) []string {
	if ks == nil {
		return environ
	}
	h, err := ParseHost(repo)
	knows := func(k *RunKey) bool { return KnowsHost(k.KnownHosts, h) }
	if err != nil || !slices.ContainsFunc(ks.list, knows) {
		return environ
	}
	return append(ks.JobEnviron(environ), ks.env...)
}

// JobEnviron is what a job on the host inherits: not the keys.
func (ks *RunKeys) JobEnviron(environ []string) []string {
	if ks == nil {
		return environ
	}
	for _, k := range ks.list {
		environ = WithoutKey(environ, k.Name)
	}
	return environ
}

// AddTo masks the keys and returns the variables that jobs do not get.
func (ks *RunKeys) AddTo(set *mask.Set) (withheld []string, err error) {
	if ks == nil {
		return nil, nil
	}
	for _, k := range ks.list {
		withheld = append(withheld, k.Name, PassphraseVariable(k.Name))
		if err := set.Add(k.Name, k.Text); err != nil {
			return nil, errs.E(errs.Invalid, "--deploy-key %s: %w", k.Name, err)
		}
	}
	return withheld, nil
}

// Protected names a key that is a variable for protected refs only.
func (ks *RunKeys) Protected() string {
	if ks != nil {
		for _, k := range ks.list {
			if k.Protected {
				return k.Name
			}
		}
	}
	return ""
}
