package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"refline/internal/errs"
)

// proxies are networks of reverse proxies. X-Forwarded headers count only if they
// come from one of these.
type proxies []netip.Prefix

// parseProxies reads addresses and networks.
func parseProxies(list []string) (proxies, error) {
	var p proxies
	for _, s := range list {
		prefix, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			prefix, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, errs.E(errs.Invalid, "%q is not the address or network of a proxy; it looks like 10.0.0.5 or 10.0.0.0/24", s)
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

func (p proxies) has(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// info is where a request comes from.
func (p proxies) info(q *http.Request) *requestInfo {
	i := &requestInfo{client: remoteAddress(q), host: q.Host, secure: q.TLS != nil}
	peer, err := netip.ParseAddr(i.client)
	if err != nil || !p.has(peer) {
		return i
	}
	i.viaProxy = true
	i.client = p.client(peer, q.Header.Values("X-Forwarded-For"))
	if proto := last(q.Header.Values("X-Forwarded-Proto")); proto != "" {
		i.secure = strings.EqualFold(proto, "https")
	}
	if host := last(q.Header.Values("X-Forwarded-Host")); host != "" && len(host) <= 255 && !strings.ContainsAny(host, "/\\@?# \"<>") {
		i.host = host
	}
	if id := q.Header.Get("X-Request-Id"); validRequestID(id) {
		i.id = id
	}
	return i
}

// client is the nearest address that is not a proxy of ours: what is further left
// in the header can be written by anyone.
func (p proxies) client(peer netip.Addr, headers []string) string {
	hops := strings.Split(strings.Join(headers, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		peer = a
		if !p.has(a) {
			break
		}
	}
	return peer.String()
}

// last is the last entry of a list header: the one that our proxy wrote.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	parts := strings.Split(values[len(values)-1], ",")
	return strings.TrimSpace(parts[len(parts)-1])
}

func remoteAddress(q *http.Request) string {
	host, _, err := net.SplitHostPort(q.RemoteAddr)
	if err != nil {
		return q.RemoteAddr
	}
	return host
}

func validRequestID(id string) bool {
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= 64
}
