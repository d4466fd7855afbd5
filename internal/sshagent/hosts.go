package sshagent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
)

// knownHosts is what known_hosts says.
type knownHosts struct {
	file    []byte
	allowed map[string]bool // host keys as on the wire
}

// parseKnownHosts reads the lines of known_hosts. A key that is @revoked is
// never allowed; @cert-authority is refused, since a session is bound to a key.
func parseKnownHosts(text []byte) (knownHosts, error) {
	k := knownHosts{allowed: make(map[string]bool)}
	revoked := make(map[string]bool)
	for i, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
		switch {
		case errors.Is(err, io.EOF):
			continue
		case err != nil:
			return k, errs.E(errs.Invalid, "known hosts, line %d: %v; a line is: HOST TYPE KEY, as ssh-keyscan prints it", i+1, err)
		case marker == "revoked":
			revoked[string(key.Marshal())] = true
		case marker != "":
			return k, errs.E(errs.Invalid, "known hosts, line %d: @%s cannot be used with an agent that is bound to host keys; name the host's own key", i+1, marker)
		default:
			k.allowed[string(key.Marshal())] = true
		}
		if marker != "" {
			k.file = fmt.Appendf(k.file, "@%s ", marker)
		}
		k.file = fmt.Appendf(k.file, "%s %s", strings.Join(hosts, ","), ssh.MarshalAuthorizedKey(key))
	}
	for key := range revoked {
		delete(k.allowed, key)
	}
	if len(k.allowed) == 0 {
		return k, errs.E(errs.Invalid, "known hosts: no host key is named; `ssh-keyscan HOST` prints them, compare them with what the host publishes")
	}
	return k, nil
}

// Command returns the value for GIT_SSH_COMMAND: ssh that asks nothing, reads
// no configuration of the user, uses no key but the agent's and connects only
// to the hosts in the file knownHosts, a path as the job sees it.
func Command(knownHosts string) string {
	// ssh splits the value at spaces unless it is quoted and expands %; the
	// shell that git calls takes off the single quotes.
	path := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(knownHosts)
	options := []string{
		"BatchMode=yes",
		"StrictHostKeyChecking=yes",
		`UserKnownHostsFile="` + path + `"`,
		"GlobalKnownHostsFile=/dev/null",
		"UpdateHostKeys=no",
		"IdentityFile=none",
		"PreferredAuthentications=publickey",
		"ForwardAgent=no",
		"ControlMaster=no",
		"ControlPath=none",
	}
	var b strings.Builder
	b.WriteString("ssh -F /dev/null")
	for _, o := range options {
		b.WriteString(" -o '")
		b.WriteString(strings.ReplaceAll(o, "'", `'\''`))
		b.WriteString("'")
	}
	return b.String()
}
