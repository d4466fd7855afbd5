package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/netguard"
)

const (
	remoteTimeout      = 30 * time.Second
	maxRemoteRedirects = 5
)

// get fetches a remote include. origin is the remote of the project itself: a
// redirect may lead to its server, wherever that is.
func (s Includes) get(ctx context.Context, address, origin string) ([]byte, error) {
	data, _, err := s.getTagged(ctx, address, origin, "")
	return data, err
}

// getTagged fetches a file and its ETag. If etag is still that of the server's file,
// the error is errNotModified.
func (s Includes) getTagged(ctx context.Context, address, origin, etag string) (data []byte, newTag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	first, err := url.Parse(address)
	if err != nil || first.Host == "" {
		return nil, "", errs.E(errs.Invalid, "%q is not a URL", address)
	}
	roots, err := s.authorities()
	if err != nil {
		return nil, "", err
	}
	client := s.newClient(s.Guard, roots)
	guard := s.redirectGuard(origin)
	at := first
	for range maxRemoteRedirects + 1 {
		data, newTag, next, err := fetch(ctx, client, at, etag)
		if err != nil || next == nil {
			return data, newTag, err
		}
		if err := checkRedirect(ctx, guard, at, next); err != nil {
			return nil, "", err
		}
		if s.Guard == nil && next.Host != at.Host {
			client = s.newClient(guard, roots)
		}
		at = next
	}
	return nil, "", errs.E(errs.Invalid, "%s redirects more than %d times", first.Redacted(), maxRemoteRedirects)
}

// fetch gets one URL: what it holds, or where it redirects to.
func fetch(ctx context.Context, client *http.Client, at *url.URL, etag string) (data []byte, newTag string, next *url.URL, err error) {
	shown := at.Redacted()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, "", nil, errs.E(errs.Invalid, "%q is not a URL", shown)
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, "", nil, remoteFault(at, rootCause(err))
	}
	defer res.Body.Close()
	switch {
	case etag != "" && res.StatusCode == http.StatusNotModified:
		return nil, etag, nil, errNotModified
	case res.StatusCode >= 300 && res.StatusCode < 400 && res.Header.Get("Location") != "":
		next, err := res.Location()
		if err != nil {
			return nil, "", nil, errs.E(errs.Invalid, "%s redirects to what is not a URL", shown)
		}
		return nil, "", next, nil
	case res.StatusCode == http.StatusNotFound:
		return nil, "", nil, errs.E(errs.NotFound, "%s: not found", shown)
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return nil, "", nil, errs.E(errs.Denied, "%s: %s", shown, res.Status)
	case res.StatusCode != http.StatusOK:
		return nil, "", nil, errs.E(errs.Unavailable, "%s: %s", shown, res.Status)
	}
	data, err = io.ReadAll(io.LimitReader(res.Body, maxIncludeBytes+1))
	if err != nil {
		return nil, "", nil, errs.E(errs.Unavailable, "%s: %w", shown, err)
	}
	if len(data) > maxIncludeBytes {
		return nil, "", nil, errs.E(errs.Invalid, "%s is larger than %d MiB", shown, maxIncludeBytes>>20)
	}
	return data, res.Header.Get("ETag"), nil, nil
}

// remoteFault is why a server did not answer. A certificate of an unknown
// authority and a name that does not resolve are not repaired by another try.
func remoteFault(at *url.URL, err error) error {
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	var name *net.DNSError
	var refused *net.OpError
	switch {
	case errors.As(err, &unknown):
		return errs.E(errs.Invalid, "the certificate of %s is not signed by a known authority; name its CA file (REFLINE_CA_FILE), or add it to the system's", at.Host)
	case errors.As(err, &wrongName), errors.As(err, &invalid):
		return errs.E(errs.Invalid, "the certificate of %s: %w", at.Host, err)
	case errs.KindOf(err) == errs.Denied:
		return err // of the guard
	case errors.Is(err, context.DeadlineExceeded):
		return errs.E(errs.Unavailable, "%s did not answer within %s", at.Host, remoteTimeout)
	case errors.As(err, &name):
		return errs.E(errs.Unavailable, "the name of %s cannot be resolved", at.Host)
	case errors.As(err, &refused):
		return errs.E(errs.Unavailable, "%s does not answer (%w)", at.Host, refused.Err)
	}
	return errs.E(errs.Unavailable, "%w", err)
}

// redirectGuard says which addresses a redirect may lead to.
func (s Includes) redirectGuard(origin string) *netguard.Guard {
	if s.Guard != nil {
		return s.Guard
	}
	own := hostName(origin)
	return netguard.New(netguard.Options{Trusted: func(host string) bool { return host == own }})
}

// checkRedirect refuses a redirect that takes off encryption, and one to another
// server that only this computer or its network can reach: whoever answers for
// an include does not decide what is asked there.
func checkRedirect(ctx context.Context, guard *netguard.Guard, from, to *url.URL) error {
	switch {
	case to.Scheme != "https" && to.Scheme != "http" || to.Host == "":
		return errs.E(errs.Denied, "%s redirects to a %s URL; only http and https are followed", from.Redacted(), to.Scheme)
	case to.Scheme == "http" && from.Scheme == "https":
		return errs.E(errs.Denied, "%s redirects to %s, without TLS; name the URL that is meant", from.Redacted(), to.Redacted())
	case to.Host == from.Host:
		return nil
	}
	_, err := guard.Addresses(ctx, to.Hostname())
	switch {
	case errs.Is(err, errs.Denied):
		return errs.E(errs.Denied, "%s redirects to %s, which is not a public address; to include from there, name that URL itself", from.Redacted(), to.Redacted())
	case errs.Is(err, errs.Unavailable) && proxied(to):
		return nil // behind a proxy, names may not resolve here
	}
	return err
}

func proxied(to *url.URL) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: to})
	return err == nil && proxy != nil
}

// hostName is the host of a repository's URL without its port, in lower case.
func hostName(address string) string {
	host := HostOf(address)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// newClient makes a client that follows no redirect by itself; guard is nil for
// one that connects anywhere.
func (s Includes) newClient(guard *netguard.Guard, roots *x509.CertPool) *http.Client {
	client := &http.Client{}
	if s.transport != nil {
		client.Transport = s.transport
	} else if guard != nil {
		client = guard.Client(netguard.ClientOptions{Roots: roots, Proxy: http.ProxyFromEnvironment})
	} else {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{RootCAs: roots}
		client.Transport = t
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// authorities are the system's and those of CAFile; nil for the system's alone.
func (s Includes) authorities() (*x509.CertPool, error) {
	if s.CAFile == "" {
		return nil, nil //nolint:nilnil // what tls.Config takes for the system's
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, errs.E(errs.NotFound, "the authority's file: %w (from REFLINE_CA_FILE)", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errs.E(errs.Invalid, "%s holds no PEM certificate (from REFLINE_CA_FILE)", s.CAFile)
	}
	return pool, nil
}

// rootCause drops the URL that net/http puts in front, which may hold a secret.
func rootCause(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // the outermost is meant
		return u.Err
	}
	return err
}
