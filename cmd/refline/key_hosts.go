package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

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

// sshHost is a host as ssh names it.
type sshHost struct {
	name, port string
	path       string // of the repository, where it was given by URL
}

// String is "host" or "host:port".
func (h sshHost) String() string {
	if h.port == "" || h.port == "22" {
		return h.name
	}
	return h.name + ":" + h.port
}

// known is the name in known_hosts.
func (h sshHost) known() string {
	if h.port == "" || h.port == "22" {
		return h.name
	}
	return "[" + h.name + "]:" + h.port
}

// hostList is a flag that may stand several times.
type hostList []sshHost

func (l *hostList) String() string { return "" }
func (l *hostList) Type() string   { return "host" }

func (l *hostList) Set(text string) error {
	h, err := parseHost(text)
	*l = append(*l, h)
	return err
}

// parseHost takes HOST, HOST:PORT, [ADDRESS]:PORT, user@host:path or a URL.
func parseHost(text string) (sshHost, error) {
	h, ok := sshHost{name: text}, true
	switch {
	case strings.Contains(text, "://"):
		h, ok = urlHost(text)
	case strings.Contains(text, "@"):
		_, rest, _ := strings.Cut(text, "@")
		h.name, h.path, ok = strings.Cut(rest, ":")
	case strings.HasPrefix(text, "["):
		name, port, closed := strings.Cut(text[1:], "]")
		h, ok = sshHost{name: name, port: strings.TrimPrefix(port, ":")}, closed
	case strings.Count(text, ":") == 1:
		h.name, h.port, _ = strings.Cut(text, ":")
	}
	if !ok || !hostName(h.name) || strings.Trim(h.port, "0123456789") != "" {
		return sshHost{}, usagef("%q is no host: want HOST, HOST:PORT, user@host:path or ssh://user@host/path", text)
	}
	return h, nil
}

func urlHost(text string) (sshHost, bool) {
	u, err := url.Parse(text)
	if err != nil {
		return sshHost{}, false
	}
	h := sshHost{name: u.Hostname(), path: u.Path}
	if u.Scheme == "ssh" || u.Scheme == "git+ssh" {
		h.port = u.Port()
	}
	return h, true
}

func hostName(s string) bool {
	return s != "" && s[0] != '-' && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || strings.ContainsRune("/\\'\"*?,!@|", r)
	}) < 0
}

// hostKeys gives lines of known_hosts for the hosts. Without hosts it gives all
// that is known, provided that it was named: one's own known_hosts holds more
// than a key should be used for.
func hostKeys(ctx context.Context, e *env, hosts []sshHost, file string) ([]byte, error) {
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
	if named != nil {
		dir, err := os.MkdirTemp("", "refline-hosts-")
		if err != nil {
			return nil, errs.E(errs.Unavailable, "folder for known hosts: %w", err)
		}
		defer os.RemoveAll(dir)
		sources = []string{filepath.Join(dir, "known_hosts")}
		if err := os.WriteFile(sources[0], named, 0o600); err != nil {
			return nil, errs.E(errs.Unavailable, "known hosts: %w", err)
		}
	}
	var out bytes.Buffer
	for _, h := range hosts {
		before := out.Len()
		for _, s := range sources {
			// It knows hashed names, wildcards and lists; 1 says not found.
			lines, _ := exec.CommandContext(ctx, "ssh-keygen", "-F", h.known(), "-f", s).Output()
			out.Write(withoutComments(lines))
		}
		if out.Len() == before {
			return nil, unknownHost(h, file)
		}
	}
	return out.Bytes(), nil
}

// knownHostsFiles gives the content that was named, or the files to look into.
func knownHostsFiles(e *env, file string) (files []string, named []byte, err error) {
	if file != "" {
		named, err = os.ReadFile(e.path(file))
		if err != nil {
			return nil, nil, errs.E(errs.NotFound, "--known-hosts %s: %w", file, unwrapPath(err))
		}
		return nil, named, nil
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

// knowsHost tells whether lines of known_hosts name a host: by name, pattern or
// hash (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
func knowsHost(knownHosts []byte, h sshHost) bool {
	for line := range strings.Lines(string(knownHosts)) {
		names, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		for name := range strings.SplitSeq(names, ",") {
			if ok, err := path.Match(name, h.known()); ok && err == nil || name == h.known() || hashes(name, h.known()) {
				return true
			}
		}
	}
	return false
}

// hashes tells whether a hashed name, |1|SALT|HASH, is that of the host.
func hashes(hashed, host string) bool {
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

func withoutComments(text []byte) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		if line[0] != '#' {
			out = append(out, line...)
		}
	}
	return out
}

func unknownHost(h sshHost, file string) error {
	scan := "ssh-keyscan "
	if h.port != "" && h.port != "22" {
		scan += "-p " + h.port + " "
	}
	where := "your known_hosts"
	if file != "" {
		where = file
	}
	return errs.E(errs.NotFound, "no key of host %s is in %s; %s%s > known_hosts prints it: compare it with what the host publishes, then give --known-hosts known_hosts",
		h, where, scan, h.name)
}
