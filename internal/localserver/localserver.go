// Package localserver shows the runs of this computer in a browser: the API of a server
// over the records that refline run keeps, with the same pages above it.
//
// It promises to change nothing: it only reads the history, and answers whatever would
// change something with the command that does it. It answers on the loopback interface
// alone, to browsers that came by a link which works once. It does not know how runs are
// made.
package localserver

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/web"
)

// Options are what a server shows.
type Options struct {
	Store   history.Store
	Version string
	Now     func() time.Time // nil for the clock
}

// Server shows local runs. Make it with [New].
type Server struct {
	store   history.Store
	now     func() time.Time
	site    *web.Site
	api     *http.ServeMux
	handler http.Handler

	mu      sync.Mutex
	link    string // token of the link that was not used yet
	session string // value of the cookie
}

// New returns a server over a history.
func New(o Options) *Server {
	s := &Server{store: o.Store, now: o.Now, session: rand.Text()}
	if s.now == nil {
		s.now = time.Now
	}
	s.api = http.NewServeMux()
	s.routes()
	s.site = web.New(web.Options{API: s.api, Version: o.Version, Now: s.now})
	pages := http.NewServeMux()
	for _, r := range s.site.Routes() {
		pages.HandleFunc(r.Pattern, r.Handler)
	}
	pages.HandleFunc("POST /sign-out", s.signOut)
	pages.Handle("/api/v1/", s.api)
	pages.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.site.WriteError(w, r, &api.Problem{Kind: errs.NotFound, Status: http.StatusNotFound, Detail: "there is nothing at this address"})
	})
	s.handler = s.guard(http.NewCrossOriginProtection().Handler(pages))
	return s
}

// Link returns the path that signs a browser in, once, and shows a page. The link before
// it works no more.
func (s *Server) Link(next string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = rand.Text()
	return "/open?" + url.Values{"token": {s.link}, "next": {next}}.Encode()
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers until ctx is done.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, // streams end with it
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// guard lets in who came by a link, from this computer and by its address.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.SecurityHeaders(w.Header())
		switch {
		case !loopback(r.Host): // a name of somebody else that leads here
			http.Error(w, "this server answers at its own address only: http://127.0.0.1", http.StatusMisdirectedRequest)
		case r.URL.Path == "/open" && r.Method == http.MethodGet:
			s.open(w, r)
		case strings.HasPrefix(r.URL.Path, "/assets/"), s.signedIn(r):
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
			next.ServeHTTP(w, r)
		default:
			s.problem(w, r, http.StatusUnauthorized, errs.Denied, "this browser is not signed in: open the address that refline server --local or refline run --open printed; another: start it again")
		}
	})
}

// loopback reports whether a request names this computer.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// open signs a browser in by a link.
func (s *Server) open(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	s.mu.Lock()
	good := s.link != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.link)) == 1
	if good {
		s.link = ""
	}
	s.mu.Unlock()
	if !good && !s.signedIn(r) { // who is in may go back to the link
		s.problem(w, r, http.StatusUnauthorized, errs.Denied, "the link was used already, or is not one; start refline server --local again for another")
		return
	}
	if good {
		http.SetCookie(w, &http.Cookie{Name: cookieName(r), Value: s.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, web.LocalPath(r.URL.Query().Get("next")), http.StatusSeeOther)
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.session = rand.Text()
	s.mu.Unlock()
	s.problem(w, r, http.StatusOK, errs.Denied, "Signed out.")
}

// signedIn reports whether a request has the cookie.
func (s *Server) signedIn(r *http.Request) bool {
	c, err := r.Cookie(cookieName(r))
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(s.session)) == 1
}

// cookieName has the port: browsers keep one set of cookies for all ports of a host.
func cookieName(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host)
	return "refline-local-" + port
}

// problem answers with an error: as JSON to programs, else as a page.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, status int, kind errs.Kind, text string) {
	p := api.Problem{Title: http.StatusText(status), Status: status, Kind: kind, Detail: text}
	w.Header().Set("Cache-Control", "no-store")
	if strings.HasPrefix(r.URL.Path, "/api/") {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(p) // the reader may be gone
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
