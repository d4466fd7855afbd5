package git

import (
	"net"
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"refline/internal/errs"
)

// address is a repository's URL after the checks, without any secret.
type address struct {
	scheme   string // https, http, ssh, git, file
	user     string
	host     string // with port, "" for file
	path     string
	text     string // as given to git and shown to people
	password string // from the URL, for the credential helper only
}

// parseAddress accepts what git-fetch(1) calls GIT URLS, as far as access
// allows it, and nothing that git could take for an option, another transport
// or a line of the credential protocol.
func parseAddress(raw string, a Access) (address, error) {
	if raw == "" {
		return address{}, errs.E(errs.Invalid, "the repository's URL is empty")
	}
	shown := withoutUserinfo(raw)
	for _, c := range raw {
		if c < 0x20 || c == 0x7f {
			return address{}, errs.E(errs.Invalid, "the repository's URL %q contains a control character", shown)
		}
	}
	scheme, _, hasScheme := strings.Cut(raw, "://")
	switch {
	case strings.HasPrefix(raw, "-"):
		return address{}, errs.E(errs.Invalid, `the repository's URL %q begins with "-"`, shown)
	case isTransport(raw):
		return address{}, errs.E(errs.Invalid, "the repository's URL %q names a transport that is not allowed; use https or ssh", shown)
	case hasScheme && strings.EqualFold(scheme, "file"):
		return fileAddress(raw[len("file://"):], raw, a)
	case hasScheme:
		return urlAddress(raw, shown, a)
	case isScpLike(raw):
		return scpAddress(raw)
	default:
		return fileAddress(raw, raw, a)
	}
}

// withoutUserinfo is raw fit to be shown, even when it cannot be parsed.
func withoutUserinfo(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	if i := strings.IndexAny(tail, "?#"); i >= 0 {
		tail = tail[:i]
	}
	return scheme + "://" + authority + tail
}

// isTransport spots "name::rest", by which git calls git-remote-name.
func isTransport(raw string) bool {
	name, _, ok := strings.Cut(raw, "::")
	return ok && !strings.ContainsAny(name, "/[@:")
}

func isScpLike(raw string) bool {
	colon := strings.IndexByte(raw, ':')
	if strings.HasPrefix(raw, "[") || strings.Contains(raw, "@[") {
		return strings.Contains(raw, "]:")
	}
	if colon <= 0 || strings.ContainsRune(raw[:colon], '/') {
		return false
	}
	return runtime.GOOS != "windows" || colon > 1 // C:\repo
}

func urlAddress(raw, shown string, a Access) (address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, errs.E(errs.Invalid, "the repository's URL %q is malformed", shown) // url's error would repeat the userinfo
	}
	scheme := strings.ToLower(u.Scheme)
	switch scheme {
	case "https", "ssh":
	case "http":
		if !a.AllowHTTP && !isLoopback(u.Hostname()) {
			return address{}, errs.E(errs.Invalid, "%s would send code and credentials in the clear; use https", shown)
		}
	case "git":
		if a.Trust != User {
			return address{}, errs.E(errs.Invalid, "%s is neither encrypted nor authenticated; use https or ssh", shown)
		}
	default:
		return address{}, errs.E(errs.Invalid, "%s: scheme %q is not supported; use https or ssh", shown, scheme)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		return address{}, errs.E(errs.Invalid, "the repository's URL %q has a query or a fragment; give it without, and a token as credential", shown)
	}
	password, hasPassword := u.User.Password()
	user := u.User.Username()
	if hasPassword && scheme != "https" && scheme != "http" {
		return address{}, errs.E(errs.Invalid, "%s: a password in the URL is only understood for https; use a key or an agent", shown)
	}
	if scheme == "git" && user != "" {
		return address{}, errs.E(errs.Invalid, "%s: git:// knows no users", shown)
	}
	if err := checkHost(u.Hostname(), user, shown); err != nil {
		return address{}, err
	}
	if u.Path == "" || u.Path == "/" {
		return address{}, errs.E(errs.Invalid, "the repository's URL %q names a host but no repository", shown)
	}
	clean := url.URL{Scheme: scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if scheme == "ssh" && user != "" {
		clean.User = url.User(user)
	}
	return address{scheme, user, u.Host, u.Path, clean.String(), password}, nil
}

func scpAddress(raw string) (address, error) {
	user, rest := "", raw
	if at := strings.IndexByte(raw, '@'); at >= 0 && at < strings.IndexByte(raw, ':') {
		user, rest = raw[:at], raw[at+1:]
	}
	host, p, _ := strings.Cut(rest, ":")
	if strings.HasPrefix(rest, "[") {
		host, p, _ = strings.Cut(rest, "]:")
		host += "]"
	}
	if err := checkHost(strings.Trim(host, "[]"), user, raw); err != nil {
		return address{}, err
	}
	if p == "" || strings.HasPrefix(p, "-") {
		return address{}, errs.E(errs.Invalid, "the repository's URL %q names a host but no repository", raw)
	}
	return address{scheme: "ssh", user: user, host: host, path: p, text: raw}, nil
}

func fileAddress(p, raw string, a Access) (address, error) {
	if !a.AllowFile {
		return address{}, errs.E(errs.Denied, "%q is a folder of this computer; only https and ssh are allowed here", raw)
	}
	if strings.HasPrefix(raw, "file:") {
		unescaped, err := url.PathUnescape(p)
		if err != nil || !strings.HasPrefix(unescaped, "/") {
			return address{}, errs.E(errs.Invalid, "%q is not a file URL: it needs three slashes and an absolute path", raw)
		}
		p = unescaped
	}
	abs, err := filepath.Abs(p)
	if err != nil {
		return address{}, errs.E(errs.Invalid, "%q: %w", raw, err)
	}
	return address{scheme: "file", path: abs, text: abs}, nil
}

// checkHost refuses what ssh or a URL parser could read as something else.
func checkHost(host, user, shown string) error {
	if host == "" {
		return errs.E(errs.Invalid, "the repository's URL %q has no host", shown)
	}
	if strings.HasPrefix(host, "-") || strings.HasPrefix(user, "-") {
		return errs.E(errs.Invalid, `the repository's URL %q has a host or a user that begins with "-"`, shown)
	}
	if net.ParseIP(strings.SplitN(host, "%", 2)[0]) != nil {
		return nil
	}
	for _, c := range host {
		if c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return errs.E(errs.Invalid, "the repository's URL %q has a host with a character that host names do not have: %q", shown, c)
		}
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// name is the last part of the path, for people and for folder names.
func (a address) name() string {
	return strings.TrimSuffix(path.Base(strings.TrimRight(filepath.ToSlash(a.path), "/")), ".git")
}
