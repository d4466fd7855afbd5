package secretsource

import (
	"bytes"
	"os"
	"path/filepath"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/inputfile"
)

// Hosts say to which hosts a key may log in, and how they are known.
type Hosts struct {
	Names []credential.Host
	Known string // a file of known hosts; "" for SSH_KNOWN_HOSTS, else the user's own
}

// maxKnownHosts bounds a file of known hosts.
const maxKnownHosts = 16 << 20

// HostKeys returns the lines of known_hosts for the hosts. Without hosts it returns
// all that is known, provided that it was named: the user's own known_hosts has more
// hosts than a key should be used for.
func (s *Source) HostKeys(hosts Hosts) ([]byte, error) {
	files, named, err := s.knownHosts(hosts.Known)
	if err != nil {
		return nil, err
	}
	if len(hosts.Names) == 0 {
		if named == nil {
			return nil, errs.Usage("say which hosts the key is for: --host HOST, or --known-hosts FILE with no other hosts in it")
		}
		return named, nil
	}
	known := named
	if named == nil {
		var all [][]byte
		for _, file := range files {
			if text, err := inputfile.Read(file, file, maxKnownHosts); err == nil {
				all = append(all, text)
			}
		}
		known = bytes.Join(all, []byte("\n"))
	}
	lines, missing := credential.SelectHosts(known, hosts.Names)
	if missing != nil {
		where := "your known_hosts"
		if hosts.Known != "" {
			where = hosts.Known
		}
		return nil, errs.E(errs.NotFound, "%w, then give --known-hosts known_hosts", credential.UnknownHostError(*missing, where))
	}
	return lines, nil
}

// knownHosts returns the content that was named, or the files to search.
func (s *Source) knownHosts(file string) (files []string, named []byte, err error) {
	if file != "" {
		named, err = inputfile.Read(s.path(file), "--known-hosts "+file, maxKnownHosts)
		return nil, named, err
	}
	if s.Getenv("SSH_KNOWN_HOSTS") != "" {
		named, err = s.FromEnv("variable", "SSH_KNOWN_HOSTS")
		return nil, named, err
	}
	if home, err := os.UserHomeDir(); err == nil {
		files = append(files, filepath.Join(home, ".ssh", "known_hosts"))
	}
	return append(files, "/etc/ssh/ssh_known_hosts"), nil, nil
}
