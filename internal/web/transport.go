package web

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// apiTransport carries the client's requests to a handler in this process, in the
// name of the caller of a page.
type apiTransport struct {
	handler http.Handler
	caller  *http.Request
}

// RoundTrip implements http.RoundTripper.
func (t *apiTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.Clone(r.Context())
	q.Host, q.RemoteAddr, q.RequestURI = t.caller.Host, t.caller.RemoteAddr, r.URL.RequestURI()
	q.URL.Scheme, q.URL.Host = "", ""
	if q.Body == nil {
		q.Body = http.NoBody
	}
	for _, name := range []string{"Cookie", "Authorization"} {
		if values := t.caller.Header.Values(name); len(values) > 0 {
			q.Header[name] = values
		}
	}
	read, write := io.Pipe()
	a := &answer{header: http.Header{}, begun: make(chan struct{}), body: write}
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				_ = write.CloseWithError(errors.New("the handler of the API failed"))
				a.begin(http.StatusInternalServerError)
				return
			}
			a.begin(http.StatusOK)
			_ = write.Close()
		}()
		t.handler.ServeHTTP(a, q)
	}()
	select {
	case <-a.begun:
	case <-r.Context().Done():
		_ = read.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.sent, Body: read, ContentLength: -1, Request: r,
	}, nil
}

// answer is the writer of a response that is read while it is written.
type answer struct {
	header http.Header // of the handler
	sent   http.Header // as it was when the answer began
	status int
	once   sync.Once
	begun  chan struct{}
	body   *io.PipeWriter
}

func (a *answer) begin(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.begun)
	})
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if status >= 200 {
		a.begin(status)
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.body.Write(p)
}

// Flush is for http.ResponseController. What is written is never held back.
func (a *answer) Flush() { a.begin(http.StatusOK) }
