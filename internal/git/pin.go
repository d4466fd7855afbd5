package git

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/net/http/httpproxy"

	"refline/internal/errs"
)

// pins make git connect to addresses that a guard has checked, and to no others:
// git resolves names itself, and the answer may differ the next time.
type pins struct {
	settings []setting // of libcurl
	ssh      []string  // options
}

// pin asks the guard for the addresses of a remote. Without a guard there is
// nothing to pin.
//
// What else git could connect to is closed by other settings: redirects and
// alternates of the dumb protocol by http.followRedirects, bundles by
// transfer.bundleURI, other transports by GIT_ALLOW_PROTOCOL.
func (a Access) pin(ctx context.Context, addr address) (pins, error) {
	if a.Guard == nil || addr.scheme == "file" {
		return pins{}, nil
	}
	if a.Trust != Server {
		return pins{}, errs.E(errs.Invalid, "a guard goes with the configuration of a server: that of a user may lead elsewhere")
	}
	host, port := addr.hostPort()
	addrs, err := a.Guard.Addresses(ctx, host)
	if errs.Is(err, errs.Unavailable) && addr.scheme != "ssh" && behindProxy(ownEnvironment(a.Environ, ""), addr) {
		return pins{}, nil // names may not resolve on this side of the operator's proxy
	}
	if err != nil {
		return pins{}, fmt.Errorf("%s: %w", addr.text, err)
	}
	if addr.scheme == "ssh" {
		known := host // by which known_hosts has the key
		if port != "22" {
			known = "[" + host + "]:" + port
		}
		return pins{ssh: []string{"HostName=" + addrs[0].String(), "HostKeyAlias=" + known, "CheckHostIP=no", "ProxyCommand=none", "ProxyJump=none"}}, nil
	}
	if version, err := gitVersion(); err != nil || !newEnoughToPin(version) {
		return pins{}, errs.E(errs.Unavailable, "git %s cannot be kept to addresses that were checked; install git %s or newer", version, minPinVersion)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return pins{}, nil // nothing is resolved
	}
	texts := make([]string, len(addrs))
	for i, ip := range addrs {
		texts[i] = ip.String()
		if ip.Is6() {
			texts[i] = "[" + texts[i] + "]"
		}
	}
	return pins{settings: []setting{{"http.curloptResolve", host + ":" + port + ":" + strings.Join(texts, ",")}}}, nil
}

// minPinVersion is the first git that knows http.curloptResolve.
const minPinVersion = "2.37"

func newEnoughToPin(version string) bool { return atLeast(version, 2, 37) }

// gitVersion is asked for once, since it takes a process.
var gitVersion = sync.OnceValues(func() (string, error) { return Version(context.Background()) })

// behindProxy reports whether libcurl reaches addr through a proxy, which then
// resolves the name.
func behindProxy(env []string, addr address) bool {
	proxy, err := proxyOf(env)(&http.Request{URL: &url.URL{Scheme: addr.scheme, Host: addr.host}})
	return err != nil || proxy != nil
}

// proxyOf chooses a proxy from an environment as libcurl does.
func proxyOf(env []string) func(*http.Request) (*url.URL, error) {
	either := func(upper string) string { return or(lookup(env, strings.ToLower(upper)), lookup(env, upper)) }
	config := httpproxy.Config{
		HTTPProxy: lookup(env, "http_proxy"), HTTPSProxy: or(either("HTTPS_PROXY"), either("ALL_PROXY")), NoProxy: either("NO_PROXY"),
	}
	config.HTTPProxy = or(config.HTTPProxy, either("ALL_PROXY"))
	choose := config.ProxyFunc()
	return func(req *http.Request) (*url.URL, error) { return choose(req.URL) }
}

// hostPort splits the host of an address that is not a folder, with the default
// port of its scheme.
func (a address) hostPort() (host, port string) {
	port = map[string]string{"http": "80", "https": "443", "ssh": "22", "git": "9418"}[a.scheme]
	u := url.URL{Host: a.host}
	if strings.Contains(a.text, "://") && u.Port() != "" {
		port = u.Port()
	}
	host = u.Hostname()
	if h, _, err := net.SplitHostPort(a.host); err == nil {
		host = h
	}
	return host, port
}
