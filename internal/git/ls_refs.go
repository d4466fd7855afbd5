package git

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"refline/internal/errs"
	"refline/internal/netguard"
)

// A server looks at refs often: at each event, and at each repository without
// events every few minutes. Over http it speaks git's protocol itself, which takes
// no process. Only the list of refs is read this way, as gitprotocol-v2(5) and
// gitprotocol-http(5) describe; all else is git's.

// errDumb is the error of a server that serves plain files instead.
var errDumb = errors.New("not git's smart protocol")

// refsByHTTP lists the refs with these prefixes, or all, in the form of lsRemote.
// The list has at most so many bytes.
func (r *Remote) refsByHTTP(ctx context.Context, prefixes []string, most int64) (map[string]string, error) {
	client, err := r.access.httpClient()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	user, password, err := r.access.signIn(r.addr)
	if err != nil {
		return nil, err
	}
	s := &refSession{client: client, base: strings.TrimRight(r.addr.text, "/"), user: user, password: password, most: most}
	var names map[string]string
	err = r.access.retry(ctx, r.URL(), func() error {
		var err error
		names, err = s.list(ctx, prefixes)
		if err == nil || errors.Is(err, errDumb) || errors.Is(err, errTooMuch) || ctx.Err() != nil || errs.KindOf(err) != errs.Internal {
			return err
		}
		return translate(asFailure(err), r.addr, []string{password})
	})
	return names, r.hide(err)
}

// asFailure makes an error of an HTTP client one that translate knows.
func asFailure(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	text := err.Error()
	dns, unresolved := errors.AsType[*net.DNSError](err)
	timeout, hasTimeout := errors.AsType[net.Error](err)
	switch {
	case unresolved:
		text = "could not resolve host: " + dns.Name
	case hasTimeout && timeout.Timeout():
		text = "timed out"
	case errors.Is(err, io.EOF):
		text = "unexpected EOF"
	}
	return &failure{"ls-refs", 128, text}
}

// httpClient connects as git under Server would: no redirects, the operator's
// proxy, a private authority, and the guard's decision.
func (a Access) httpClient() (*http.Client, error) {
	o := netguard.ClientOptions{Proxy: proxyOf(ownEnvironment(a.Environ, ""))}
	if a.CAFile != "" {
		pem, err := os.ReadFile(a.CAFile)
		o.Roots = x509.NewCertPool()
		if err != nil || !o.Roots.AppendCertsFromPEM(pem) {
			return nil, errs.E(errs.Invalid, "the CA file %s cannot be read, or holds no certificate", a.CAFile)
		}
	}
	client := &http.Client{Transport: &http.Transport{Proxy: o.Proxy, TLSClientConfig: &tls.Config{RootCAs: o.Roots}, ForceAttemptHTTP2: true}}
	if a.Guard != nil {
		client = a.Guard.Client(o)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

// refSession is one look at a remote.
type refSession struct {
	client         *http.Client
	base           string
	user, password string
	most           int64
}

func (s *refSession) list(ctx context.Context, prefixes []string) (map[string]string, error) {
	advertisement, err := s.send(ctx, http.MethodGet, "/info/refs?service=git-upload-pack", "application/x-git-upload-pack-advertisement", nil)
	if err != nil {
		return nil, err
	}
	defer advertisement.Close()
	format, names, err := parseAdvertisement(advertisement)
	if err != nil || names != nil { // an old server lists all refs at once
		return names, err
	}
	var ask bytes.Buffer
	writePacket(&ask, "command=ls-refs\n")
	if format != "" {
		writePacket(&ask, "object-format="+format+"\n")
	}
	ask.WriteString("0001")
	writePacket(&ask, "peel\n")
	writePacket(&ask, "symrefs\n")
	for _, p := range prefixes {
		writePacket(&ask, "ref-prefix "+p+"\n")
	}
	ask.WriteString("0000")
	answer, err := s.send(ctx, http.MethodPost, "/git-upload-pack", "application/x-git-upload-pack-result", ask.Bytes())
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	return parseRefs(answer)
}

// send returns the body of an answer of this type, bounded.
func (s *refSession) send(ctx context.Context, method, path, kind string, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Git-Protocol", "version=2")
	req.Header.Set("User-Agent", "git/refline")
	if body != nil {
		req.Header.Set("Content-Type", strings.Replace(kind, "-result", "-request", 1))
	}
	if s.password != "" {
		req.SetBasicAuth(s.user, s.password)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	switch {
	case res.StatusCode == http.StatusUnauthorized && s.password == "":
		err = errors.New("could not read Username: terminal prompts disabled")
	case res.StatusCode != http.StatusOK:
		err = fmt.Errorf("The requested URL returned error: %d", res.StatusCode) //nolint:staticcheck // as git words it, for translate
	case res.Header.Get("Content-Type") != kind:
		err = errDumb
	}
	if err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&limitReader{res.Body, s.most}, res.Body}, nil
}

// limitReader is an io.LimitedReader that fails at the limit.
type limitReader struct {
	r    io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooMuch
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

func writePacket(w *bytes.Buffer, line string) { fmt.Fprintf(w, "%04x%s", len(line)+4, line) }

// packets reads the lines of gitprotocol-common(5).
type packets struct{ r *bufio.Reader }

// next returns a line without its line break; ok is false for a packet without
// content, which ends a list.
func (p packets) next() (line string, ok bool, err error) {
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return "", false, unexpectedEnd(err)
	}
	size, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err != nil {
		return "", false, fmt.Errorf("protocol error: bad line length %q", head[:])
	}
	if size < 4 {
		return "", false, nil
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(p.r, body); err != nil {
		return "", false, unexpectedEnd(err)
	}
	line = strings.TrimSuffix(string(body), "\n")
	if reason, failed := strings.CutPrefix(line, "ERR "); failed {
		return "", false, fmt.Errorf("remote error: %s", reason)
	}
	return line, true, nil
}

func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("unexpected EOF")
	}
	return err
}

// parseAdvertisement reads what a server says first. names is nil if it speaks
// version 2, which has to be asked for refs.
func parseAdvertisement(body io.Reader) (format string, names map[string]string, err error) {
	p := packets{bufio.NewReader(body)}
	line, ok, err := p.next()
	if err == nil && strings.HasPrefix(line, "# service=") {
		if line, ok, err = p.next(); err == nil && !ok {
			line, ok, err = p.next()
		}
	}
	if err != nil {
		return "", nil, err
	}
	if line == "version 2" {
		for ok {
			if line, ok, err = p.next(); err != nil {
				return "", nil, err
			}
			if f, is := strings.CutPrefix(line, "object-format="); is {
				format = f
			}
		}
		return format, nil, nil
	}
	names = map[string]string{}
	if line == "version 1" {
		line, ok, err = p.next()
	}
	for first := true; ok && err == nil; first = false {
		if first {
			var capabilities string
			line, capabilities, _ = strings.Cut(line, "\x00")
			for c := range strings.FieldsSeq(capabilities) {
				if target, is := strings.CutPrefix(c, "symref=HEAD:"); is {
					names["ref: HEAD"] = target
				}
			}
		}
		if id, name, found := strings.Cut(line, " "); found && isObjectID(id) && name != "capabilities^{}" {
			names[name] = id
		}
		line, ok, err = p.next()
	}
	return "", names, err
}

// parseRefs reads the answer to ls-refs.
func parseRefs(body io.Reader) (map[string]string, error) {
	p := packets{bufio.NewReader(body)}
	names := map[string]string{}
	for {
		line, ok, err := p.next()
		if err != nil || !ok {
			return names, err
		}
		f := strings.Split(line, " ")
		if len(f) < 2 || !isObjectID(f[0]) {
			continue // an unborn HEAD
		}
		names[f[1]] = f[0]
		for _, attribute := range f[2:] {
			if target, is := strings.CutPrefix(attribute, "symref-target:"); is {
				names["ref: "+f[1]] = target
			} else if peeled, is := strings.CutPrefix(attribute, "peeled:"); is && isObjectID(peeled) {
				names[f[1]+"^{}"] = peeled
			}
		}
	}
}
