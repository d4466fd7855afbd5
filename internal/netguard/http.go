package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"refline/internal/errs"
)

// DialContext connects to an address that a host may have. It is for
// [http.Transport].
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errs.E(errs.Invalid, "connect to %q: %w", address, err)
	}
	addrs, err := g.Addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 20 * time.Second}
	var failed error
	for _, addr := range addrs {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// ClientOptions say how a client connects.
type ClientOptions struct {
	Roots   *x509.CertPool // nil is the system's
	Timeout time.Duration  // of a whole request with its answer; 0 is none

	// OtherHosts lets redirects lead to another host that the guard allows: for
	// content that is known by its hash, which forges keep elsewhere.
	OtherHosts bool

	// Proxy is the operator's proxy for a request, as of
	// [http.ProxyFromEnvironment]; nil is none. It may have any address. A proxy
	// resolves names by itself, so what it may reach is also up to it.
	Proxy func(*http.Request) (*url.URL, error)
}

// Client makes an HTTP client that connects only where the guard allows it, and
// that follows a redirect to the same host only and never from https to http.
func (g *Guard) Client(o ClientOptions) *http.Client {
	direct := &http.Transport{
		DialContext: g.DialContext, TLSClientConfig: &tls.Config{RootCAs: o.Roots},
		TLSHandshakeTimeout: 20 * time.Second, ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 4, ForceAttemptHTTP2: true,
		MaxResponseHeaderBytes: 1 << 20,
	}
	var transport http.RoundTripper = direct
	if o.Proxy != nil {
		proxied := direct.Clone()
		proxied.DialContext = (&net.Dialer{Timeout: 20 * time.Second}).DialContext
		proxied.Proxy = o.Proxy
		transport = &byProxy{g, o.Proxy, direct, proxied}
	}
	return &http.Client{Transport: transport, Timeout: o.Timeout, CheckRedirect: o.checkRedirect}
}

// byProxy sends a request through the operator's proxy if there is one for it,
// once its host has been checked, and directly otherwise.
type byProxy struct {
	guard           *Guard
	proxy           func(*http.Request) (*url.URL, error)
	direct, proxied http.RoundTripper
}

func (b *byProxy) RoundTrip(req *http.Request) (*http.Response, error) {
	through, err := b.proxy(req)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the proxy for %s: %w", req.URL.Host, err)
	}
	if through == nil {
		return b.direct.RoundTrip(req)
	}
	// Behind a proxy names may not resolve here; what does is checked.
	_, err = b.guard.Addresses(req.Context(), req.URL.Hostname())
	if _, literal := netip.ParseAddr(canonical(req.URL.Hostname())); err != nil && (errs.Is(err, errs.Denied) || literal == nil) {
		return nil, err
	}
	return b.proxied.RoundTrip(req)
}

const maxRedirects = 5

func (o ClientOptions) checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	switch {
	case len(via) > maxRedirects:
		return errs.E(errs.Invalid, "%s redirects more than %d times", via[0].URL.Redacted(), maxRedirects)
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return errs.E(errs.Denied, "%s redirects to a %s URL", from.Redacted(), req.URL.Scheme)
	case req.URL.Host != from.Host && !o.OtherHosts:
		return errs.E(errs.Denied, "%s redirects to another host, %s; give that URL if you trust it", from.Redacted(), req.URL.Host)
	case req.URL.Scheme != "https" && req.URL.Scheme != from.Scheme:
		return errs.E(errs.Denied, "%s redirects to a %s URL", from.Redacted(), req.URL.Scheme)
	}
	return nil
}
