package credential

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"strings"

	"refline/internal/errs"
)

// SelectHosts returns the lines of a known_hosts file that name one of the
// hosts: by name, pattern or hash (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Lines
// with @cert-authority are left out, since an agent is bound to host keys.
// missing is the first host without a line; nil when all have one.
func SelectHosts(knownHosts []byte, hosts []Host) (lines []byte, missing *Host) {
	for i, h := range hosts {
		found := false
		for line := range bytes.Lines(knownHosts) {
			marker, names := hostField(line)
			if marker == "@cert-authority" || !namesHost(names, h) {
				continue
			}
			found = found || marker == ""
			lines = append(append(lines, bytes.TrimRight(line, "\r\n")...), '\n')
		}
		if !found && missing == nil {
			missing = &hosts[i]
		}
	}
	return lines, missing
}

// KnowsHost reports whether lines of known_hosts name a host.
func KnowsHost(knownHosts []byte, h Host) bool {
	_, missing := SelectHosts(knownHosts, []Host{h})
	return missing == nil
}

// hostField returns the marker and the names of a line, "" for a comment.
func hostField(line []byte) (marker, names string) {
	fields := strings.Fields(string(line))
	if len(fields) > 0 && fields[0][0] == '@' {
		marker, fields = fields[0], fields[1:]
	}
	if len(fields) == 0 || fields[0][0] == '#' {
		return "", ""
	}
	return marker, fields[0]
}

// namesHost reports whether a list of names and patterns is for the host. A
// pattern after ! that matches excludes it.
func namesHost(names string, h Host) bool {
	found := false
	for name := range strings.SplitSeq(names, ",") {
		pattern, excludes := strings.CutPrefix(name, "!")
		if !matchesName(strings.ToLower(pattern), strings.ToLower(h.knownName())) && !matchesHash(name, h.knownName()) {
			continue
		}
		if excludes {
			return false
		}
		found = true
	}
	return found
}

// matchesName matches a pattern, in which * is any text and ? any character.
func matchesName(pattern, name string) bool {
	p, n := 0, 0
	star, retry := -1, 0 // the last *, and where the text after it was tried
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			retry++
			p, n = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchesHash reports whether a hashed name, |1|SALT|HASH, is the host's.
func matchesHash(hashed, host string) bool {
	part := strings.Split(hashed, "|")
	if len(part) != 4 || part[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(part[2])
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)) == part[3]
}

// UnknownHostError returns the errs.NotFound for a host without a line in the
// known hosts of source, with the command that prints its key.
func UnknownHostError(h Host, source string) error {
	scan := "ssh-keyscan "
	if h.Port != "" && h.Port != "22" {
		scan += "-p " + h.Port + " "
	}
	return errs.E(errs.NotFound, "no key of host %s is in %s; %s%s > known_hosts prints it: compare it with what the host publishes", h, source, scan, h.Name)
}
