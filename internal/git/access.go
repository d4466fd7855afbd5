package git

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/netguard"
)

// Access says how remotes may be reached and with which credentials. The zero
// value reaches public https repositories and trusts nothing.
type Access struct {
	Trust Trust

	// AllowFile admits folders of this computer and file:// URLs: for the local
	// user only, since it reads whatever this process may read.
	AllowFile bool
	// Shown is printed and stored in place of the repository's URL, which is a secret.
	Shown string
	// AllowHTTP admits http to other hosts than this computer.
	AllowHTTP bool

	// Username and Password authenticate over https. Password is a function so
	// that no dump of this struct shows it; it may be nil. Most forges take any
	// user name beside a token; the default is "oauth2".
	Username string
	Password func() string

	// Login, if set, is asked instead for the credentials of a site
	// (https://host or https://host:port), also for that of a submodule. Without a
	// password the site gets none but those in its URL.
	Login func(site string) (username, password string)

	// Guard, if set, decides which addresses git may connect to. It goes with
	// Trust Server and needs git 2.37 or newer.
	Guard *netguard.Guard

	CAFile        string // certificates of a private authority, PEM
	KnownHosts    string // known_hosts file for ssh; under Server there is no other
	IdentityAgent string // socket of the ssh agent to use; under Server there is no other

	// Attempts and Wait bound the tries when a fault may pass: at most Attempts
	// (default 4), with Wait (default 500 ms) before the second, doubled for
	// each one after.
	Attempts int
	Wait     time.Duration

	// AskWithin bounds a look at the remote's refs, other attempts included
	// (default 1 minute).
	AskWithin time.Duration

	maxRefs int64         // bytes of a list of refs; 0 is 64 MiB, about a million refs
	stall   time.Duration // without 1,000 bytes a second; 0 is a minute

	// Notice, if set, gets what a waiting person wants to know: a lock held by
	// another process, another attempt, a mirror that is rebuilt.
	Notice func(string)

	// Environ is the environment to start from; nil means that of this process.
	Environ []string
}

func (a Access) notice(text string) {
	if a.Notice != nil {
		a.Notice(text)
	}
}

const (
	usernameVariable = "REFLINE_GIT_USERNAME"
	passwordVariable = "REFLINE_GIT_PASSWORD"
	refusedVariable  = "REFLINE_GIT_REFUSED" // a file that comes to be when the server refuses them
)

// helper answers git's question for credentials from the environment it
// inherits; printf is part of the shell, so nothing shows in a process list.
// git-lfs asks again for ever when it is refused, so a refusal is remembered
// where there is a place for it.
const helper = `!f() { case "$1" in
get) test -n "$` + refusedVariable + `" && test -e "$` + refusedVariable + `" && echo quit=1 && exit 0
printf 'username=%s\npassword=%s\n' "$` + usernameVariable + `" "$` + passwordVariable + `";;
erase) test -z "$` + refusedVariable + `" || : >"$` + refusedVariable + `";;
esac; }; f`

// credentials returns the settings and variables that let git sign in to addr,
// and the secret values, to be kept out of every text.
func (a Access) credentials(addr address) (settings []setting, env, secrets []string, err error) {
	if addr.scheme != "https" && addr.scheme != "http" {
		return nil, nil, nil, nil
	}
	site := addr.scheme + "://" + addr.host
	user, password, err := a.signIn(addr)
	if err != nil {
		return nil, nil, nil, err
	}
	if password == "" {
		if a.Trust == User && addr.user != "" {
			settings = append(settings, setting{"credential." + site + ".username", addr.user})
		}
		return settings, nil, nil, nil
	}
	// Bound to the site, so that a redirect or a submodule elsewhere gets nothing;
	// the empty value sends away the helpers named before.
	settings = []setting{
		{"credential." + site + ".helper", ""},
		{"credential." + site + ".helper", helper},
	}
	return settings, []string{usernameVariable + "=" + user, passwordVariable + "=" + password}, []string{password}, nil
}

// signIn returns the user name and the password for the site of addr. The password
// is "" if there is none.
func (a Access) signIn(addr address) (user, password string, err error) {
	site := addr.scheme + "://" + addr.host
	switch {
	case a.Login != nil:
		user, password = a.Login(site)
	case a.Password != nil:
		user, password = a.Username, a.Password()
	default:
		user = a.Username
	}
	user, password = or(or(user, addr.user), "oauth2"), or(password, addr.password)
	if strings.ContainsAny(user+password, "\n\r\x00") {
		return "", "", errs.E(errs.Invalid, "the user name or the token for %s contains a line break", site)
	}
	return user, password, nil
}

// talk is what a command needs to connect to addr.
type talk struct {
	env      []string
	settings []setting
	secrets  []string
}

func (a Access) talk(ctx context.Context, addr address, home string) (talk, error) {
	t := talk{settings: append(hardenedFetch(), setting{"http.lowSpeedTime", strconv.Itoa(int(cmp.Or(a.stall, time.Minute).Seconds()))})}
	if a.Trust == User {
		t.env = userEnvironment(a.Environ)
	} else {
		t.env = ownEnvironment(a.Environ, home)
		t.settings = append(t.settings,
			setting{"http.followRedirects", "false"},
			setting{"core.askPass", ""},
			setting{"credential.helper", ""})
	}
	t.env = append(t.env, "GIT_ALLOW_PROTOCOL="+a.transports(addr))
	settings, env, secrets, err := a.credentials(addr)
	if err != nil {
		return talk{}, err
	}
	t.settings, t.env, t.secrets = append(t.settings, settings...), append(t.env, env...), secrets
	if a.CAFile != "" {
		t.settings = append(t.settings, setting{"http." + addr.scheme + "://" + addr.host + "/.sslCAInfo", a.CAFile})
	}
	pinned, err := a.pin(ctx, addr)
	if err != nil {
		return talk{}, err
	}
	t.settings = append(t.settings, pinned.settings...)
	ssh, err := a.sshCommand(ctx, addr, t.env, pinned.ssh)
	if err != nil {
		return talk{}, err
	}
	if ssh != "" {
		t.env = append(keep(t.env, func(name string) bool { return name != "GIT_SSH_COMMAND" }), "GIT_SSH_COMMAND="+ssh)
	}
	return t, nil
}

// transports is git's allow list. It also bounds where the url.insteadOf of a
// User may lead.
func (a Access) transports(addr address) string {
	allowed := []string{"https", "ssh"}
	if a.AllowHTTP || addr.scheme == "http" {
		allowed = append(allowed, "http")
	}
	if a.Trust == User {
		allowed = append(allowed, "git")
	}
	if a.AllowFile && (a.Trust == User || addr.scheme == "file") {
		allowed = append(allowed, "file")
	}
	return strings.Join(allowed, ":")
}
