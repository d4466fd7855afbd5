package server

import (
	"context"
	"net/http"
	"strings"

	"refline/internal/web"
)

// pageRoutes registers the web page. What it shows it asks the API for, as its caller:
// the routes of the API decide what that is.
func (s *Server) pageRoutes() {
	s.site = web.New(web.Options{
		API: http.HandlerFunc(s.serveInside), Version: s.options.Version, Now: s.options.Now,
		Base: func(r *http.Request) string { return infoOf(r.Context()).base },
	})
	for _, r := range s.site.Routes() {
		s.router.handle(r.Pattern, need{action: action(r.Need), or: action(r.Or), filtered: true}, r.Handler)
	}
	s.router.errorPage = func(w http.ResponseWriter, r *http.Request, p *problem) {
		for name, values := range p.GetHeaders() {
			w.Header()[name] = values
		}
		shown := p.Problem
		s.site.WriteError(w, r, &shown)
	}
}

// serveInside answers a request that a page makes of the API. It is admitted like any
// other, by the cookie of the browser; only the access log has the page alone.
func (s *Server) serveInside(w http.ResponseWriter, r *http.Request) {
	outer := infoOf(r.Context())
	info := &requestInfo{id: outer.id, client: outer.client, host: outer.host, base: outer.base, secure: outer.secure, viaProxy: outer.viaProxy}
	info.writer = &countingWriter{ResponseWriter: w}
	defer func() { outer.log(info.logged()...) }()
	s.router.serve(info.writer, r.WithContext(context.WithValue(r.Context(), infoKey{}, info)))
}

// forBrowser reports whether an answer is read by a person in a browser: not one of
// the API's.
func forBrowser(r *http.Request) bool {
	if r.Header.Get("Authorization") != "" || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return false
	}
	for _, programs := range []string{"/api/", "/runner/", "/hooks/", "/assets/"} {
		if strings.HasPrefix(r.URL.Path, programs) {
			return false
		}
	}
	return true
}
