package git

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"refline/internal/errs"
)

// fault is what a message of git or ssh means to a caller.
type fault struct {
	kind errs.Kind
	says string // one clause, with %s for the URL
	any  []string
}

// lasting is an error of kind Unavailable that another try soon does not mend:
// retry stops at its number of attempts.
type lasting struct {
	error
	attempts int
}

func (l lasting) Unwrap() error { return l.error }

// Clauses of faults that last.
const (
	noMemory     = "%s sends more than fits into the memory that git may use"
	diskFull     = "the disk is full: free some space, or clear the caches (%s)"
	noSuchName   = "the name of %s cannot be resolved; check the spelling and the network"
	lacksObjects = "the repository at %s is damaged or incomplete: it lacks objects that its own history names; repair it there (git fsck names them, git fetch --refetch brings them back)"
)

// attemptsFor bounds the attempts for a fault; 0 leaves them to Access.
func attemptsFor(says string) int {
	switch says {
	case diskFull, noMemory:
		return 1
	case noSuchName:
		return 2 // a resolver may lose one question
	default:
		return 0
	}
}

// faults are looked up in order, so what explains comes before what follows
// from it: ssh says "Permission denied", then git "hung up unexpectedly".
func faults() []fault {
	return []fault{
		{errs.Unavailable, diskFull, []string{"No space left on device", "Disk quota exceeded"}},
		{errs.Unavailable, noMemory, []string{"Out of memory, "}},
		{errs.Conflict, lacksObjects, []string{"possible repository corruption on the remote side", "remote: fatal: bad tree object", "remote: fatal: unable to read ",
			"remote did not send all necessary objects", "missing necessary objects"}},
		{errs.NotFound, "%s needs the ssh program, which is not on the PATH", []string{"ssh: not found", "ssh: command not found", "cannot run ssh", "ssh: No such file"}},
		{errs.Denied, "the proxy for %s asks for credentials; see http.proxy and http.proxyAuthMethod of git, or exclude the host by NO_PROXY", []string{"returned error: 407", "response 407", "code 407 from proxy"}},
		{errs.Denied, "the proxy refuses to connect to %s; exclude the host by NO_PROXY, or ask the proxy's operator", []string{"tunnel failed, response 4", "HTTP code 4"}},
		{errs.Unavailable, "the proxy cannot reach %s; see https_proxy and NO_PROXY", []string{"tunnel failed", "from proxy after CONNECT", "Proxy CONNECT aborted", "could not resolve proxy"}},
		{errs.Denied, "%s presents another ssh host key than the known one; if the change is real, replace the key in known_hosts", []string{"REMOTE HOST IDENTIFICATION HAS CHANGED"}},
		{errs.Denied, "the ssh host key of %s is not known; compare its fingerprint and add it to known_hosts (ssh-keyscan prints it)", []string{"Host key verification failed", "host key is known for"}},
		{errs.Denied, "%s does not accept the ssh key; load one it knows into the agent (ssh-add), or use https with a token", []string{"Permission denied (", "Too many authentication failures", "Permission denied, please try again"}},
		{errs.Denied, "%s asks for credentials; give a token, or set up a git credential helper", []string{"could not read Username", "could not read Password", "unable to get password", "terminal prompts disabled"}},
		{errs.Denied, "%s does not accept the credentials; check the user name, the token, its scope and its expiry", []string{"Authentication failed", "HTTP Basic: Access denied", "returned error: 401", "Invalid credentials", "Invalid username or", "told us to quit", "Authorization error"}},
		{errs.Denied, "%s refuses access; the token or key may lack the right to read this repository", []string{"returned error: 403", "not allowed to download code", "access denied"}},
		{errs.NotFound, "%s is not there, or not for these credentials; check the path and who may read it", []string{
			"returned error: 404", "returned error: 410", "repository not found", "does not appear to be a git repository", "not found: did you run git update-server-info",
			"could not be found", "no such file or directory", "' not found", "repository not exported", "is not a git repository"}},
		{errs.NotFound, "what was asked for is not in %s; was it pushed, or replaced by a forced push?", []string{"not our ref", "couldn't find remote ref", "no such remote ref"}},
		{errs.NotFound, "%s answers, but not as a git repository; check the URL, and whether a sign-in page is in front of it", []string{"not valid: is this a git repository"}},
		{errs.Invalid, "the certificate of %s has expired, or the clock here is wrong", []string{"certificate has expired", "certificate is not yet valid", "expired or is not yet valid"}},
		{errs.Invalid, "the certificate of %s is for another name; use that name", []string{"does not match target host name", "no alternative certificate subject name", "x509: certificate is valid for"}},
		{errs.Invalid, "the CA file for %s cannot be read", []string{"Problem with the SSL CA cert", "error setting certificate"}},
		{errs.Invalid, "%s does not speak TLS, or only versions that are not safe; check the port", []string{"unexpected TLS packet", "wrong version number", "protocol version", "unsupported protocol", "packet length too long", "HTTP response to HTTPS client", "first record does not look like a TLS"}},
		{errs.Invalid, "the certificate of %s is not signed by a known authority; name its CA file (REFLINE_CA_FILE), or add it to the system's", []string{"server certificate verification failed", "SSL certificate problem", "certificate signer not trusted", "unable to get local issuer", "certificate signed by unknown authority"}},
		{errs.Invalid, "%s redirects to another URL; give that one (many forges want .git at the end)", []string{"unable to update url base from redirection", "returned error: 301", "returned error: 302", "returned error: 307", "returned error: 308", "http.followRedirects"}},
		{errs.Invalid, "the transport of %s is not allowed", []string{"not allowed", "is blocked", "strange hostname", "strange pathname", "strange port"}},
		{errs.Invalid, "%s sent an object that git's fsck rejects, so nothing was stored", []string{"fsck error", "error in object"}},
		{errs.Denied, "%s belongs to another user of this computer; see git's safe.directory", []string{"dubious ownership", "unsafe repository"}},
		{errs.Unavailable, noSuchName, []string{"could not resolve host", "name or service not known", "temporary failure in name resolution", "no address associated"}},
		{errs.Unavailable, "%s does not answer", []string{
			"connection refused", "timed out", "connection timeout", "timeout was reached", "timeout after", "returned error: 408", "connection reset", "connection closed", "network is unreachable", "no route to host", "broken pipe",
			"operation too slow", "empty reply", "couldn't connect to server", "failed to connect", "kex_exchange_identification", "ssh_exchange_identification"}},
		{errs.Unavailable, "%s is overloaded", []string{"returned error: 429", "returned error: 503"}},
		{errs.Unavailable, "%s reports an internal error", []string{"returned error: 5"}},
		{errs.Denied, "%s rejects the request", []string{"returned error: 4"}},
		{errs.Unavailable, "the connection to %s broke off", []string{
			"early EOF", "hung up unexpectedly", "RPC failed", "unexpected disconnect", "gnutls_handshake", "SSL_ERROR_SYSCALL", "SSL_connect", "TLS connection was non-properly terminated",
			"invalid index-pack output", "expected flush after", "protocol error: bad pack header", "unexpected EOF", "GnuTLS recv error"}},
		{errs.NotFound, "some LFS files of this commit are not on the server of %s; were they pushed (git lfs push --all)?", []string{"failed to fetch some objects"}},
	}
}

// translate turns what a git process that talked to addr reported into one
// clear error. An error of another origin passes through.
func translate(err error, addr address, secrets []string) error {
	var f *failure
	if !errors.As(err, &f) {
		return err
	}
	if addr.scheme == "file" {
		if line := lineWith(f.stderr, addr.path+"/"); line != "" && strings.Contains(line, "corrupt") {
			return errs.E(errs.Conflict, lacksObjects+" (git: %s)", addr.text, line)
		}
	}
	text := strings.ToLower(f.stderr)
	said := scrub(lastLine(f.stderr), addr, secrets)
	for _, known := range faults() {
		for _, sign := range known.any {
			if strings.Contains(text, strings.ToLower(sign)) {
				if known.says == lacksObjects { // the object is named before git gives up
					said = scrub(or(lineWith(f.stderr, "remote: fatal: "), said), addr, secrets)
				}
				err := errs.E(known.kind, known.says+" (git: %s)", addr.text, said)
				if n := attemptsFor(known.says); n > 0 {
					return lasting{err, n}
				}
				return err
			}
		}
	}
	return errs.E(errs.Internal, "git %s with %s: %s", f.verb, addr.text, said)
}

// lastLine is the line of stderr that carries the reason.
func lastLine(stderr string) string {
	line := ""
	for l := range strings.Lines(stderr) {
		l = strings.TrimSpace(l)
		l = strings.TrimSpace(strings.TrimPrefix(l, "remote:"))
		weak := strings.HasPrefix(l, "Please make sure you have the correct access") || strings.HasPrefix(l, "and the repository exists") ||
			strings.HasPrefix(l, "fatal: Could not read from remote repository") || strings.HasPrefix(l, "hint:") || strings.HasPrefix(l, "warning:")
		if l != "" && (!weak || line == "") {
			line = l
		}
	}
	return shorten(line)
}

// lineWith is the first line of stderr that holds sign.
func lineWith(stderr, sign string) string {
	for l := range strings.Lines(stderr) {
		if strings.Contains(l, sign) {
			return shorten(strings.TrimSpace(l))
		}
	}
	return ""
}

// shorten cuts a long line in its middle, since the reason is at the end.
func shorten(line string) string {
	if len(line) > 300 {
		line = line[:200] + "…" + line[len(line)-100:]
	}
	return strings.ToValidUTF8(line, "?")
}

func scrub(text string, addr address, secrets []string) string {
	for _, s := range append(secrets, addr.password) {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
	}
	return text
}

// retry runs try until it succeeds, fails for good, or the attempts are used up.
// Its notices name the remote; the reason is in the error that may follow.
func (a Access) retry(ctx context.Context, url string, try func() error) error {
	attempts, wait := a.Attempts, a.Wait
	if attempts <= 0 {
		attempts = 4
	}
	if wait <= 0 {
		wait = 500 * time.Millisecond
	}
	for n := 1; ; n++ {
		err := try()
		if err == nil || !errs.Is(err, errs.Unavailable) || ctx.Err() != nil {
			return err
		}
		if last, ok := errors.AsType[lasting](err); ok {
			attempts = min(attempts, last.attempts)
		}
		if n >= attempts {
			if n == 1 {
				return err
			}
			return fmt.Errorf("after %d attempts: %w", n, err)
		}
		pause := wait + rand.N(wait/4+1) // apart from others that wait for the same server
		a.notice(fmt.Sprintf("no success with %s yet; try %d of %d in %v", url, n+1, attempts, pause.Round(100*time.Millisecond)))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		wait *= 2
	}
}
