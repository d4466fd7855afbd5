// Package netguard keeps outgoing connections of a server away from addresses
// that its users could not reach themselves: loopback, private and link-local
// networks, cloud metadata.
//
// It promises that a connection it makes or pins goes to an address that it has
// checked, whatever a name resolves to a moment later, and that a redirect leads
// to no other host. It knows nothing of git, forges or webhooks.
//
// The hosts of registered projects pass although they are private: an operator's
// GitLab most often is. Link-local addresses pass only if the operator allows
// them.
package netguard

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"code.dny.dev/ssrf"

	"refline/internal/errs"
)

// Options say what a guard lets pass beside public addresses.
type Options struct {
	// Allow are networks of the operator (--allow-net).
	Allow []netip.Prefix

	// Trusted reports whether a host, in lower case and without a port, may have a
	// private or loopback address: that of a registered project. It may be nil.
	Trusted func(host string) bool

	// Resolver resolves names; nil is that of the system.
	Resolver *net.Resolver
}

// Guard decides where outgoing connections may go. It is safe for concurrent use.
type Guard struct {
	options Options
	public  *ssrf.Guardian
}

// New makes a guard.
func New(o Options) *Guard {
	var v4, v6 []netip.Prefix
	for _, p := range o.Allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return &Guard{o, ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}
}

// ParseNetworks reads networks as --allow-net has them: CIDR, or one address.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); err != nil && addrErr == nil && addr.Zone() == "" {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, errs.E(errs.Invalid, "%q is not a network; write it as 10.0.0.0/8 or fd00::/8", text)
		}
		if network.Addr().Is4In6() {
			return nil, errs.E(errs.Invalid, "%q: write it as an IPv4 network", text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// check returns an error of kind Denied unless a host may have this address.
func (g *Guard) check(host string, addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if g.public.SafeAddr(addr) == nil {
		return nil
	}
	if g.trusts(host) && (addr.IsPrivate() || addr.IsLoopback() || sharedSpace(addr)) {
		return nil
	}
	if addr.String() == host {
		return errs.E(errs.Denied, "%s is not a public address; if the server may connect to it, allow its network (--allow-net %s)", addr, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return errs.E(errs.Denied, "%s has the address %s, which is not public; if the server may connect to it, allow its network (--allow-net %s)", host, addr, netip.PrefixFrom(addr, addr.BitLen()))
}

func (g *Guard) trusts(host string) bool {
	return g.options.Trusted != nil && g.options.Trusted(host)
}

// sharedSpace is the address space of RFC 6598, which networks of companies and
// of virtual machines use like a private one.
func sharedSpace(addr netip.Addr) bool {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(addr)
}

// Addresses resolves a host and returns the addresses that it may have, at least
// one. A program that connects by itself is to use just these. If any address is
// not allowed, the kind is Denied: a name that mixes them is an attack or a
// mistake.
func (g *Guard) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	host = canonical(host)
	if host == "" {
		return nil, errs.E(errs.Invalid, "the address has no host")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, g.check(host, addr)
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		// Other programs read 127.1 and 0x7f000001 as addresses, this one as names.
		return nil, errs.E(errs.Invalid, "%s is neither a host name nor an address as it is usually written", host)
	}
	resolver := g.options.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil || len(addrs) == 0 {
		return nil, errs.E(errs.Unavailable, "the name of %s cannot be resolved; check the spelling and the network", host)
	}
	for i, addr := range addrs {
		if err := g.check(host, addr); err != nil {
			return nil, err
		}
		addrs[i] = addr.Unmap()
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() }) // IPv4 first
	return slices.Compact(addrs), nil
}

// canonical is a host as it is compared: lower case, without brackets and without
// the dot at its end.
func canonical(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return host
}
