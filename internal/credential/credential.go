// Package credential is what a run logs in with: deploy keys over SSH and
// tokens over HTTPS, the hosts that they are for, and the sockets through which
// a job uses them without holding them.
//
// Values come in and values go out: the package knows no flags, no
// configuration and no pipelines. A [Store] is one place for keys; a program
// that keeps them elsewhere builds a [Key] itself.
package credential

import (
	"errors"
	"os"
	"slices"

	"refline/internal/errs"
)

// Key is a private key and the hosts that it may be used for.
type Key struct {
	Text       []byte   // as a file holds it
	KnownHosts []byte   // lines of known_hosts
	Hosts      []string // those of the lines that are known by name
	Repos      []string // addresses of the repositories that it is for
}

// Place is where a job reaches what serves its credentials.
type Place struct {
	Dir  string // for sockets and files; removed by its owner
	Seen string // Dir as the job sees it

	// Shared is set when the job runs as another user, in a container: the
	// sockets are open to all users, and only the folder protects them.
	Shared bool

	// ConfigCount is the job's GIT_CONFIG_COUNT so far.
	ConfigCount int

	// Refused receives each refusal, a line without key material. It may be nil.
	Refused func(reason string)
}

// Set holds the credentials of a run. Of several keys git uses the one for the
// repository, else the first one for its host.
type Set struct {
	Keys   []*Key
	Tokens Tokens
}

// Empty reports whether there is nothing to serve.
func (s Set) Empty() bool { return len(s.Keys) == 0 && len(s.Tokens) == 0 }

// maxSocketDir is the longest path of a folder for sockets that all systems
// take.
const maxSocketDir = 85

// Serve starts what a job logs in with: an SSH agent for the key, a credential
// helper for the tokens. It returns the variables by which the job's git and
// ssh find them, and what ends them.
func (s Set) Serve(p Place) (env []string, end func() error, err error) {
	var ends []func() error
	end = func() (err error) {
		for _, f := range slices.Backward(ends) {
			err = errors.Join(err, f())
		}
		return err
	}
	if !p.Shared && len(p.Dir) > maxSocketDir {
		short, err := os.MkdirTemp("", "refline-agent-")
		if err != nil {
			return nil, nil, errs.E(errs.Unavailable, "folder for the agent: %w", err)
		}
		p.Dir, p.Seen = short, short
		ends = append(ends, func() error { return os.RemoveAll(short) })
	}
	if len(s.Keys) > 0 {
		more, stop, err := serveKeys(s.Keys, p)
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
		env, ends = append(env, more...), append(ends, stop)
	}
	if len(s.Tokens) > 0 {
		more, stop, err := s.Tokens.serve(p)
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
		env, ends = append(env, more...), append(ends, stop)
	}
	return env, end, nil
}
