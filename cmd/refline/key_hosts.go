package main

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"refline/internal/credential"
	"refline/internal/errs"
)

// hostOptions say to which hosts a key may log in, and how they are known.
type hostOptions struct {
	hosts      hostList
	knownHosts string
}

func (o *hostOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&o.hosts, "host", "a host that the key may be used for: HOST, HOST:PORT or a repository's URL")
	f.StringVar(&o.knownHosts, "known-hosts", "", "a file with the hosts' public keys (default: the variable SSH_KNOWN_HOSTS, a file's name or its content; else your own known_hosts)")
	_ = cmd.MarkFlagFilename("known-hosts")
}

// hostList is a flag that may be repeated.
type hostList []credential.Host

func (l *hostList) String() string { return "" }
func (l *hostList) Type() string   { return "host" }

func (l *hostList) Set(text string) error {
	h, err := credential.ParseHost(text)
	*l = append(*l, h)
	return err
}

// hostKeys gives lines of known_hosts for the hosts. Without hosts it gives all
// that is known, provided that it was named: one's own known_hosts holds more
// than a key should be used for.
func hostKeys(e *env, hosts []credential.Host, file string) ([]byte, error) {
	sources, named, err := knownHostsFiles(e, file)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		if named == nil {
			return nil, usagef("say which hosts the key is for: --host HOST, or --known-hosts FILE with no other hosts in it")
		}
		return named, nil
	}
	known := named
	if named == nil {
		var all [][]byte
		for _, s := range sources {
			if text, err := readRegular(s, s, maxKnownHosts); err == nil {
				all = append(all, text)
			}
		}
		known = bytes.Join(all, []byte("\n"))
	}
	lines, missing := credential.SelectHosts(known, hosts)
	if missing != nil {
		where := "your known_hosts"
		if file != "" {
			where = file
		}
		return nil, errs.E(errs.NotFound, "%w, then give --known-hosts known_hosts", credential.UnknownHostError(*missing, where))
	}
	return lines, nil
}

// maxKnownHosts bounds a file of known hosts.
const maxKnownHosts = 16 << 20

// knownHostsFiles returns the content that was named, or the files to look into.
func knownHostsFiles(e *env, file string) (files []string, named []byte, err error) {
	if file != "" {
		named, err = readRegular(e.path(file), "--known-hosts "+file, maxKnownHosts)
		return nil, named, err
	}
	if e.getenv("SSH_KNOWN_HOSTS") != "" {
		named, err = envSecret(e, "variable", "SSH_KNOWN_HOSTS")
		return nil, named, err
	}
	if home, err := os.UserHomeDir(); err == nil {
		files = append(files, filepath.Join(home, ".ssh", "known_hosts"))
	}
	return append(files, "/etc/ssh/ssh_known_hosts"), nil, nil
}
