package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/web"
)

// httpOptions say how requests reach the server.
type httpOptions struct {
	// PublicURL is where people and runners reach the server; its path is the base
	// path of all routes. Nil: it is reached directly.
	PublicURL *url.URL
	Proxies   proxies // whose X-Forwarded headers count
	Log       *slog.Logger
}

// parsePublicURL reads the address under which a server is reached.
func parsePublicURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errs.E(errs.Invalid, "%q is not a public URL; it looks like https://ci.example.com or https://example.com/ci", text)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// requestInfo is what is known of a request beside its actor.
type requestInfo struct {
	id       string
	client   string // address of the client, behind the proxies
	host     string // as the client wrote it
	base     string // what comes before the routes' paths, "" for nothing
	secure   bool   // the client uses TLS
	viaProxy bool   // one of ours
	route    string // pattern
	actor    Actor
	writer   *countingWriter

	mu    sync.Mutex // requests that a page makes of the API log too, and may outlive it
	attrs []any      // for the log
}

type infoKey struct{}

// infoOf returns what is known of a request; an empty one outside of requests.
func infoOf(ctx context.Context) *requestInfo {
	if info, ok := ctx.Value(infoKey{}).(*requestInfo); ok {
		return info
	}
	return &requestInfo{}
}

func (i *requestInfo) log(attrs ...any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.attrs = append(i.attrs, attrs...)
}

func (i *requestInfo) logged() []any {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.attrs)
}

func (i *requestInfo) fail(err error) { i.log(slog.String("error", err.Error())) }
func (i *requestInfo) answered() bool { return i.writer != nil && i.writer.status != 0 }
func (i *requestInfo) status() int {
	if i.writer == nil || i.writer.status == 0 {
		return http.StatusOK
	}
	return i.writer.status
}

func (i *requestInfo) scheme() string {
	if i.secure {
		return "https"
	}
	return "http"
}

// countingWriter sees what is answered.
type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *countingWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Flush is for handlers that ask for http.Flusher; those that use
// http.ResponseController come by Unwrap.
func (w *countingWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// handler puts around the routes what holds for every request.
func (r *router) handler(o httpOptions) http.Handler {
	var h http.Handler = http.HandlerFunc(r.serve)
	h = sameOrigin(h, o.PublicURL)
	h = withBase(h, o.PublicURL)
	return observe(h, o)
}

// serve answers what no route is for with a problem too.
func (r *router) serve(w http.ResponseWriter, q *http.Request) {
	h, pattern := r.mux.Handler(q)
	if pattern != "" {
		r.mux.ServeHTTP(w, q)
		return
	}
	probe := &probeWriter{header: http.Header{}}
	h.ServeHTTP(probe, q)
	if allow := probe.header.Get("Allow"); probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		p := problemOf(errs.E(errs.NotFound, "%s is not possible here, but %s", q.Method, allow))
		p.Status, p.Title = probe.status, http.StatusText(probe.status)
		r.writeProblem(w, q, p)
		return
	}
	if r.errorPage != nil && forBrowser(q) {
		r.writeProblem(w, q, errs.E(errs.NotFound, "there is nothing at this address"))
		return
	}
	writeProblem(w, q, errs.E(errs.NotFound, "there is nothing at this address; the API begins with %s/api/v1/", infoOf(q.Context()).base))
}

// probeWriter keeps the status and the header of an answer.
type probeWriter struct {
	header http.Header
	status int
}

func (p *probeWriter) Header() http.Header         { return p.header }
func (p *probeWriter) Write(b []byte) (int, error) { return len(b), nil }
func (p *probeWriter) WriteHeader(status int)      { p.status = status }

// observe finds out where a request comes from, gives it an id, logs it, and
// answers if a handler panics.
func observe(next http.Handler, o httpOptions) http.Handler {
	logger := o.Log
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		start := time.Now()
		counting := &countingWriter{ResponseWriter: w}
		info := o.Proxies.info(q)
		info.writer = counting
		if info.id == "" {
			info.id = strings.ToLower(rand.Text()[:16])
		}
		counting.Header().Set("X-Request-Id", info.id)
		web.SecurityHeaders(counting.Header())
		path := q.URL.Path // inside of the base path it is another
		q = q.WithContext(context.WithValue(q.Context(), infoKey{}, info))
		q.Host = info.host
		defer func() {
			cause := recover()
			if cause != nil && cause != any(http.ErrAbortHandler) { //nolint:errorlint // a panic's own value
				info.log(slog.String("panic", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
				if !info.answered() {
					writeProblem(counting, q, errs.E(errs.Internal, "a handler failed"))
				}
			}
			logRequest(logger, q, path, info, time.Since(start))
			if cause != nil {
				panic(http.ErrAbortHandler) // the connection cannot be used further
			}
		}()
		next.ServeHTTP(counting, q)
	})
}

// logRequest writes a line of the access log. The query is left out: it may hold
// the token of a sign-in link.
func logRequest(logger *slog.Logger, q *http.Request, path string, info *requestInfo, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case q.Context().Err() != nil:
		level = slog.LevelDebug // the caller is gone, or the server stops
	case info.writer.status >= 500:
		level = slog.LevelError
	case info.writer.status < 400 && (info.actor.Kind == ActorRunner || info.actor.Kind == ActorAttempt || strings.HasSuffix(info.route, "z")):
		level = slog.LevelDebug // polls, /healthz, /readyz
	}
	attrs := append([]any{
		slog.String("method", q.Method), slog.String("path", path), slog.String("route", info.route), slog.Int("status", info.writer.status),
		slog.Int64("bytes", info.writer.bytes), slog.Duration("took", took), slog.String("client", info.client),
		slog.String("actor", info.actor.String()), slog.String("request", info.id),
	}, info.logged()...)
	logger.Log(context.WithoutCancel(q.Context()), level, "request", attrs...)
}

// withBase takes the base path of the public URL from the path. Requests without
// it come directly, or through a proxy that has taken it already.
func withBase(next http.Handler, public *url.URL) http.Handler {
	if public == nil || public.Path == "" {
		return next
	}
	prefix := public.Path
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		info := infoOf(q.Context())
		if rest, ok := strings.CutPrefix(q.URL.Path, prefix); ok && (rest == "" || rest[0] == '/') {
			info.base = prefix
			if rest == "" {
				http.Redirect(w, q, prefix+"/", http.StatusPermanentRedirect)
				return
			}
			http.StripPrefix(prefix, next).ServeHTTP(w, q)
			return
		}
		if info.viaProxy {
			info.base = prefix
		}
		next.ServeHTTP(w, q)
	})
}

// sameOrigin refuses changes that another site has a browser make. Programs send
// neither Origin nor Sec-Fetch-Site and are not concerned.
func sameOrigin(next http.Handler, public *url.URL) http.Handler {
	guard := http.NewCrossOriginProtection()
	if public != nil {
		// It cannot fail: the URL was checked.
		_ = guard.AddTrustedOrigin(public.Scheme + "://" + public.Host)
	}
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		writeProblem(w, q, withHint(errs.E(errs.Denied, "the request comes from a page of another site (origin %s)", q.Header.Get("Origin")),
			"open the server by its public URL; behind a proxy, set --public-url and --proxy"))
	}))
	return guard.Handler(next)
}

// newHTTPServer is a server with limits for headers and idle connections. Those of
// bodies and answers are set for each route.
func newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}
