package server

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"refline/internal/errs"
)

// certificate is a certificate in two files that may be replaced while the server
// runs.
type certificate struct {
	cert, key string

	mu      sync.Mutex
	current *tls.Certificate
	changed [2]time.Time
	looked  time.Time
}

// certificateLook is how often the files are looked at, if there are connections.
const certificateLook = 10 * time.Second

// TLS returns the configuration for a certificate and its key in PEM files. Files
// that change are read again; if they cannot be, the last good ones stay.
func TLS(cert, key string) (*tls.Config, error) {
	c := &certificate{cert: cert, key: key}
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}, nil
}

func (c *certificate) load() error {
	times, err := c.times()
	if err != nil {
		return errs.E(errs.NotFound, "the TLS certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return errs.E(errs.Invalid, "the TLS certificate %s with key %s: %w", c.cert, c.key, err)
	}
	c.current, c.changed = &pair, times
	return nil
}

func (c *certificate) times() (t [2]time.Time, err error) {
	for i, path := range []string{c.cert, c.key} {
		info, err := os.Stat(path)
		if err != nil {
			return t, err
		}
		t[i] = info.ModTime()
	}
	return t, nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) > certificateLook {
		c.looked = now
		if times, err := c.times(); err == nil && times != c.changed {
			_ = c.load() // a half-written pair is read at the next look
		}
	}
	return c.current, nil
}
