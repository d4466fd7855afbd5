package credential

import (
	"net/url"
	"strings"

	"refline/internal/errs"
)

// Host is a host as SSH names it.
type Host struct {
	Name, Port string
	Path       string // of the repository, if the host came from a URL
}

// String returns "host" or "host:port".
func (h Host) String() string {
	if h.Port == "" || h.Port == "22" {
		return h.Name
	}
	return h.Name + ":" + h.Port
}

// knownName returns the host's name in known_hosts.
func (h Host) knownName() string {
	if h.Port == "" || h.Port == "22" {
		return h.Name
	}
	return "[" + h.Name + "]:" + h.Port
}

// ParseHost reads HOST, HOST:PORT, [ADDRESS]:PORT, user@host:path or a URL. The
// error is errs.Invalid.
func ParseHost(text string) (Host, error) {
	h, ok := Host{Name: text}, true
	switch {
	case strings.Contains(text, "://"):
		h, ok = urlHost(text)
	case strings.Contains(text, "@"):
		_, rest, _ := strings.Cut(text, "@")
		h.Name, h.Path, ok = strings.Cut(rest, ":")
	case strings.HasPrefix(text, "["):
		name, port, closed := strings.Cut(text[1:], "]")
		h, ok = Host{Name: name, Port: strings.TrimPrefix(port, ":")}, closed
	case strings.Count(text, ":") == 1:
		h.Name, h.Port, _ = strings.Cut(text, ":")
	}
	if !ok || !validHostName(h.Name) || strings.Trim(h.Port, "0123456789") != "" {
		return Host{}, errs.E(errs.Invalid, "invalid host %q: want HOST, HOST:PORT, user@host:path or ssh://user@host/path", text)
	}
	return h, nil
}

func urlHost(text string) (Host, bool) {
	u, err := url.Parse(text)
	if err != nil {
		return Host{}, false
	}
	h := Host{Name: u.Hostname(), Path: u.Path}
	if u.Scheme == "ssh" || u.Scheme == "git+ssh" {
		h.Port = u.Port()
	}
	return h, true
}

func validHostName(s string) bool {
	return s != "" && s[0] != '-' && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || strings.ContainsRune("/\\'\"*?,!@|", r)
	}) < 0
}
