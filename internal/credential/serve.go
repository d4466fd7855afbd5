package credential

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"refline/internal/errs"
	"refline/internal/sshagent"
)

// servedKey is a key whose agent runs.
type servedKey struct {
	*Key
	socket  string // as the job sees it
	command string // for GIT_SSH_COMMAND
	close   func() error
}

// serveKeys starts an agent for each key.
func serveKeys(keys []*Key, p Place) (env []string, end func() error, err error) {
	var served []servedKey
	end = func() (err error) {
		for _, s := range served {
			err = errors.Join(err, s.close())
		}
		return err
	}
	p.Refused = limited(p.Refused)
	for i, k := range keys {
		s, err := k.serve(p, i)
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
		served = append(served, s)
	}
	command := served[0].command
	if len(served) > 1 {
		const name = "ssh"
		if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(chooser(served)), 0o644); err != nil {
			return nil, nil, errors.Join(errs.E(errs.Unavailable, "script for ssh: %w", err), end())
		}
		command = "sh " + shellQuote(p.Seen+"/"+name)
	}
	return []string{"SSH_AUTH_SOCK=" + served[0].socket, "GIT_SSH_COMMAND=" + command, "GIT_SSH_VARIANT=ssh"}, end, nil
}

// serve starts an agent that holds the key, the number-th of its job.
func (k *Key) serve(p Place, number int) (servedKey, error) {
	var mode os.FileMode
	if p.Shared {
		mode = 0o666
	}
	a, err := sshagent.Start(sshagent.Config{Key: k.Text, KnownHosts: k.KnownHosts, Dir: p.Dir, Mode: mode, Refused: p.Refused})
	if err != nil {
		return servedKey{}, err
	}
	name := "known_hosts"
	if number > 0 {
		name = fmt.Sprintf("known_hosts.%d", number)
	}
	if err := os.WriteFile(filepath.Join(p.Dir, name), a.KnownHosts(), 0o644); err != nil {
		return servedKey{}, errors.Join(errs.E(errs.Unavailable, "known hosts for the agent: %w", err), a.Close())
	}
	return servedKey{k, p.Seen + "/" + filepath.Base(a.Socket()), sshagent.Command(p.Seen + "/" + name), a.Close}, nil
}

// maxRefusals is how many refusals of a job are reported.
const maxRefusals = 20

// limited reports the first refusals, and once that there are more.
func limited(report func(string)) func(string) {
	if report == nil {
		return nil
	}
	var n atomic.Int64
	return func(reason string) {
		switch i := n.Add(1); {
		case i <= maxRefusals:
			report(reason)
		case i == maxRefusals+1:
			report("more; further refusals are not shown")
		}
	}
}

// chooser is a script that git runs as ssh. It takes the key of the repository
// that the last argument names, else the first key for the host.
func chooser(keys []servedKey) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\ncase \"$*\" in\n")
	write := func(k servedKey, patterns []string) {
		if len(patterns) > 0 {
			fmt.Fprintf(&b, "%s) export SSH_AUTH_SOCK=%s; exec %s \"$@\" ;;\n", strings.Join(patterns, "|"), shellQuote(k.socket), k.command)
		}
	}
	for _, k := range keys {
		var patterns []string
		for _, r := range k.Repos {
			patterns = append(patterns, repositoryPatterns(r)...)
		}
		write(k, patterns)
	}
	for _, k := range keys {
		var patterns []string
		for _, h := range k.Hosts {
			name, port, _ := strings.Cut(h, ":")
			if port != "" {
				patterns = append(patterns, "*"+shellQuote("-p "+port+" ")+"*"+shellQuote(name+" ")+"*")
				continue
			}
			patterns = append(patterns, "*"+shellQuote("@"+name+" ")+"*", "*"+shellQuote(" "+name+" ")+"*", shellQuote(name+" ")+"*")
		}
		write(k, patterns)
	}
	write(keys[0], []string{"*"})
	b.WriteString("esac\n")
	return b.String()
}

// repositoryPatterns match the arguments with which git calls ssh for a
// repository: host, command and quoted path.
func repositoryPatterns(repo string) []string {
	h, err := ParseHost(repo)
	path := strings.TrimSuffix(strings.Trim(h.Path, "/"), ".git")
	if err != nil || path == "" {
		return nil
	}
	var out []string
	for _, start := range []string{"", "/"} {
		for _, end := range []string{"", ".git", "/", ".git/"} {
			out = append(out, "*"+shellQuote(h.Name+" ")+"*"+shellQuote("'"+start+path+end+"'")+"*")
		}
	}
	return out
}
