//go:build unix

package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// proxy is between runners and a server. It loses requests and answers, sends
// requests twice, and delays them.
type proxy struct {
	to    *httputil.ReverseProxy
	share atomic.Int64 // percent of the calls that something happens to
	count atomic.Int64 // of those
}

func newProxy(to string) (*proxy, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	p := &proxy{to: httputil.NewSingleHostReverseProxy(u)}
	p.to.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // the server is not there
	return p, nil
}

// maxHeld bounds the requests that are kept to be sent twice.
const maxHeld = 4 << 20

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rand.Int64N(100) >= p.share.Load() || r.ContentLength > maxHeld {
		p.to.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHeld))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.count.Add(1)
	again := func() *http.Request {
		c := r.Clone(r.Context())
		c.Body = io.NopCloser(bytes.NewReader(body))
		return c
	}
	held := strings.HasSuffix(r.URL.Path, "/poll") // would be held for long
	switch rand.IntN(4) {
	case 0: // the request is lost
		panic(http.ErrAbortHandler)
	case 1: // the answer is lost
		p.to.ServeHTTP(httptest.NewRecorder(), again())
		panic(http.ErrAbortHandler)
	case 2: // doubled
		if !held {
			p.to.ServeHTTP(httptest.NewRecorder(), again())
		}
	default: // late
		time.Sleep(time.Duration(rand.IntN(800)) * time.Millisecond)
	}
	p.to.ServeHTTP(w, again())
}
