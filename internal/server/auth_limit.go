package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
)

// failures counts sign-ins that failed, by client. Who fails too often has to wait;
// tokens that were good lately pass all the same, so one client cannot lock out
// others behind the same address.
type failures struct {
	now func() time.Time

	mu   sync.Mutex
	list map[string]failed
}

// failed is a bucket: it fills by one with each failure and drains with time.
type failed struct {
	level float64
	at    time.Time
}

const (
	maxFailures  = 10              // at once
	failureDrain = 6 * time.Second // until one is forgotten
	maxClients   = 10_000          // that are remembered
)

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, list: map[string]failed{}}
}

// group is the client whose failures count together: an IPv6 network of 64 bits is
// one, since a host has all of it.
func group(client string) string {
	a, err := netip.ParseAddr(client)
	if err != nil || a.Is4() || a.Is4In6() {
		return client
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return client
	}
	return p.String()
}

func (f *failures) level(client string) float64 {
	x := f.list[client]
	return max(0, x.level-f.now().Sub(x.at).Seconds()/failureDrain.Seconds())
}

// wait returns how long a client has to wait, 0 if it may try now.
func (f *failures) wait(client string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	over := f.level(group(client)) - maxFailures + 1
	if over <= 0 {
		return 0
	}
	return time.Duration(over * float64(failureDrain))
}

// add counts a failure.
func (f *failures) add(client string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	client = group(client)
	level := f.level(client) + 1
	if len(f.list) >= maxClients {
		f.forget()
	}
	f.list[client] = failed{level, f.now()}
}

// forget makes space: clients whose failures are drained, else the first it meets.
func (f *failures) forget() {
	for client := range f.list {
		if f.level(client) == 0 {
			delete(f.list, client)
		}
	}
	for client := range f.list {
		if len(f.list) < maxClients {
			return
		}
		delete(f.list, client)
	}
}

// tooMany is the answer for a client that has to wait.
func tooMany(wait time.Duration) error {
	status := http.StatusTooManyRequests
	return &problem{Problem: api.Problem{
		Title: http.StatusText(status), Status: status, Kind: errs.Denied,
		Detail: "too many failed sign-ins from this address",
		Hint:   "wait, then use a token that this server knows",
	}, retry: int(wait.Seconds()) + 1}
}

// unauthenticated is the answer for a caller that is not known.
func unauthenticated(text string) error {
	status := http.StatusUnauthorized
	return &problem{Problem: api.Problem{
		Title: http.StatusText(status), Status: status, Kind: errs.Denied, Detail: text,
		Hint: "sign in: refline login URL, or set REFLINE_TOKEN; in a browser: refline server link prints a link",
	}, extra: http.Header{"Www-Authenticate": {`Bearer realm="refline"`}}}
}
