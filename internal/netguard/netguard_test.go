package netguard

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"refline/internal/errs"
)

// names is a resolver that answers each question for a name with the next of its
// lists of addresses, and with the last one from then on.
func names(t *testing.T, table map[string][][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	asked := map[string]int{}
	go func() {
		buf := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			name := strings.TrimSuffix(q.Name.String(), ".")
			m.Response, m.Authoritative = true, true
			m.Additionals = nil
			if lists, ok := table[name]; ok {
				key := fmt.Sprint(name, q.Type)
				list := lists[min(asked[key], len(lists)-1)]
				asked[key]++
				for _, text := range list {
					addr := netip.MustParseAddr(text)
					h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET}
					switch {
					case addr.Is4() && q.Type == dnsmessage.TypeA:
						m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: addr.As4()}})
					case addr.Is6() && q.Type == dnsmessage.TypeAAAA:
						m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
					}
				}
			} else {
				m.RCode = dnsmessage.RCodeNameError
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func networks(t *testing.T, texts ...string) []netip.Prefix {
	t.Helper()
	found, err := ParseNetworks(texts)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	g := New(Options{
		Allow:   networks(t, "10.1.0.0/16", "fd12::/16", "192.168.7.7"),
		Trusted: func(host string) bool { return strings.HasSuffix(host, "git.corp.example") || host == "127.0.0.5" },
		Resolver: names(t, map[string][][]string{
			"public.example": {{"93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"}}, "private.example": {{"192.168.1.1"}},
			"mixed.example": {{"93.184.216.34", "127.0.0.1"}}, "git.corp.example": {{"10.9.9.9", "fd99::1"}},
			"meta.git.corp.example": {{"169.254.169.254"}}, "zero.git.corp.example": {{"0.0.0.0"}}, "shared.git.corp.example": {{"100.64.1.1"}},
			"multicast.git.corp.example": {{"224.0.0.1"}}, "allowed.example": {{"10.1.2.3"}}, "mapped.example": {{"::ffff:127.0.0.1"}},
		}),
	})
	for host, want := range map[string]string{
		"93.184.216.34": "93.184.216.34", "2606:4700::1111": "2606:4700::1111", "[2606:4700::1111]": "2606:4700::1111",
		"public.example": "93.184.216.34 2606:2800:220:1:248:1893:25c8:1946", "PUBLIC.example.": "93.184.216.34 2606:2800:220:1:248:1893:25c8:1946",
		"10.1.255.255": "10.1.255.255", "allowed.example": "10.1.2.3", "192.168.7.7": "192.168.7.7", "fd12::1": "fd12::1",
		"git.corp.example": "10.9.9.9 fd99::1", "shared.git.corp.example": "100.64.1.1", "127.0.0.5": "127.0.0.5",

		"127.0.0.1": "denied", "::1": "denied", "0.0.0.0": "denied", "::": "denied", "10.2.0.1": "denied", "192.168.7.8": "denied", "172.16.0.1": "denied",
		"169.254.169.254": "denied", "fe80::1": "denied", "fe80::1%eth0": "denied", "fd13::1": "denied", "100.64.0.1": "denied", "224.0.0.1": "denied", "255.255.255.255": "denied",
		"::ffff:127.0.0.1": "denied", "::ffff:10.2.0.1": "denied", "64:ff9b::7f00:1": "denied", "2002:7f00:1::": "denied", "198.18.0.1": "denied",
		"private.example": "denied", "mixed.example": "denied", "mapped.example": "denied",
		"meta.git.corp.example": "denied", "zero.git.corp.example": "denied", "multicast.git.corp.example": "denied",

		"nowhere.example": "unavailable", "": "invalid", "0x7f.1": "invalid", "2130706433": "invalid", "127.1": "invalid", "0x7f000001": "invalid", "017700000001": "invalid",
	} {
		addrs, err := g.Addresses(t.Context(), host)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = errs.KindOf(err).String()
		}
		if text != want {
			t.Errorf("%q: got %s (%v), want %s", host, text, err, want)
		}
	}
}

func TestParseNetworks(t *testing.T) {
	t.Parallel()
	got := networks(t, "10.1.2.3/8", "fd00::/8", "127.0.0.1", "::1")
	if want := "[10.0.0.0/8 fd00::/8 127.0.0.1/32 ::1/128]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for _, bad := range []string{"", "10.0.0.0/33", "host", "10.0.0.0-10.0.0.9", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10/8"} {
		if _, err := ParseNetworks([]string{bad}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// server counts what reaches it and redirects as its path says.
func server(t *testing.T, hits *atomic.Int32) (at string, port string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		hits.Add(1)
		if to := req.URL.Query().Get("to"); to != "" {
			http.Redirect(w, req, to, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "inside")
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return s.URL, u.Port()
}

func TestClient(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	at, port := server(t, &hits)
	resolver := names(t, map[string][][]string{"git.corp.example": {{"127.0.0.1"}}, "evil.example": {{"127.0.0.1"}}, "other.corp.example": {{"127.0.0.1"}}})
	g := New(Options{Trusted: func(host string) bool { return strings.HasSuffix(host, ".corp.example") }, Resolver: resolver})
	client := g.Client(ClientOptions{})
	get := func(client *http.Client, address string) error {
		res, err := client.Get(address)
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	mine := "http://git.corp.example:" + port
	for _, tc := range []struct {
		name, url string
		hits      int32
		want      string // of the error; "" for none
	}{
		{"a registered host", mine + "/", 1, ""},
		{"the same address by another name", "http://evil.example:" + port, 0, "has the address 127.0.0.1, which is not public"},
		{"the address itself", at, 0, "127.0.0.1 is not a public address; if the server may connect to it, allow its network (--allow-net 127.0.0.1/32)"},
		{"a redirect on the host", mine + "/?to=/x", 2, ""},
		{"a redirect to another host", mine + "/?to=" + url.QueryEscape("http://other.corp.example:"+port), 1, "redirects to another host, other.corp.example"},
		{"a redirect to an address", mine + "/?to=" + url.QueryEscape(at), 1, "redirects to another host"},
		{"a redirect to metadata", mine + "/?to=" + url.QueryEscape("http://169.254.169.254/latest"), 1, "redirects to another host"},
		{"a redirect to another port", mine + "/?to=" + url.QueryEscape("http://git.corp.example:1/"), 1, "redirects to another host"},
		{"a redirect to a file", mine + "/?to=" + url.QueryEscape("file:///etc/passwd"), 1, "redirects to a file URL"},
	} {
		hits.Store(0)
		err := get(client, tc.url)
		if got := hits.Load(); got != tc.hits || (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %d requests arrived, want %d; %v", tc.name, got, tc.hits, err)
		}
		if tc.want != "" && !errs.Is(err, errs.Denied) {
			t.Errorf("%s: kind %v, want denied", tc.name, errs.KindOf(err))
		}
	}
	// Where other hosts are allowed the guard still decides which.
	hash := g.Client(ClientOptions{OtherHosts: true})
	if err := get(hash, mine+"/?to="+url.QueryEscape("http://other.corp.example:"+port)); err != nil {
		t.Errorf("another host: %v", err)
	}
	for _, to := range []string{at, "http://evil.example:" + port, "http://169.254.169.254/latest", "file:///etc/passwd"} {
		hits.Store(0)
		if err := get(hash, mine+"/?to="+url.QueryEscape(to)); !errs.Is(err, errs.Denied) || hits.Load() != 1 {
			t.Errorf("a redirect to %s: %v, %d requests arrived", to, err, hits.Load())
		}
	}
	if err := get(New(Options{Allow: networks(t, "127.0.0.0/8")}).Client(ClientOptions{}), at); err != nil {
		t.Errorf("an allowed network: %v", err)
	}
}

// A name that is public when it is checked and private when it is used does not
// help an attacker: each connection checks its own address.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	_, port := server(t, &hits)
	public := []string{"192.0.2.1"} // of the documentation's network, allowed below; no host answers there
	g := New(Options{Allow: networks(t, "192.0.2.0/24"), Resolver: names(t, map[string][][]string{"evil.example": {public, {"127.0.0.1"}}})})
	addrs, err := g.Addresses(t.Context(), "evil.example")
	if err != nil || fmt.Sprint(addrs) != "[192.0.2.1]" {
		t.Fatalf("first look: %v, %v", addrs, err)
	}
	if _, err := g.DialContext(t.Context(), "tcp", "evil.example:"+port); !errs.Is(err, errs.Denied) || hits.Load() != 0 {
		t.Errorf("second look: %v, %d requests arrived", err, hits.Load())
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	var through []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		through = append(through, req.URL.Host)
		_, _ = io.WriteString(w, "by proxy")
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := New(Options{Resolver: names(t, map[string][][]string{"private.example": {{"10.0.0.1"}}, "public.example": {{"93.184.216.34"}}})})
	client := g.Client(ClientOptions{Proxy: func(req *http.Request) (*url.URL, error) {
		if req.URL.Hostname() == "direct.example" {
			return nil, nil
		}
		return at, nil
	}})
	for host, ok := range map[string]bool{
		"public.example": true, "only-the-proxy-knows.example": true, "private.example": false, "169.254.169.254": false, "[::1]": false, "localhost": false,
		"direct.example": false, // not by the proxy, and it does not resolve
	} {
		res, err := client.Get("http://" + host + "/")
		if (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
		if err == nil {
			_ = res.Body.Close()
		}
	}
	for _, host := range through {
		if host != "public.example" && host != "only-the-proxy-knows.example" {
			t.Errorf("the proxy was asked for %s", host)
		}
	}
}

func FuzzParseNetworks(f *testing.F) {
	f.Add("10.0.0.0/8")
	f.Add("::ffff:10.0.0.0/104")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := ParseNetworks([]string{text})
		if (err == nil) != (len(found) == 1) || err == nil && !found[0].IsValid() {
			t.Errorf("%q: %v, %v", text, found, err)
		}
	})
}
