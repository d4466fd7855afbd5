package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"refline/internal/api"
)

// Options say what a page is served from.
type Options struct {
	// API answers the requests of pages. It finds the caller as for any request.
	API http.Handler
	// Base is what comes before the paths of a request's page; nil for nothing.
	Base    func(*http.Request) string
	Version string
	Now     func() time.Time
}

// Site renders pages. Making one costs nothing: templates are parsed when the first
// page is shown.
type Site struct {
	options  Options
	projects *http.ServeMux // pages under /p/{project}/-/
}

// New returns the pages over an API.
func New(o Options) *Site {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Base == nil {
		o.Base = func(*http.Request) string { return "" }
	}
	return &Site{options: o}
}

// Route is an address of the site.
type Route struct {
	Pattern string // "METHOD /path"
	Need    string // action of the API that its caller needs; "public" for none
	Or      string // another action that will do; "" for none
	Handler http.HandlerFunc
}

// page is a row of the table of pages; exactly one of show, do and reply is set.
type page struct {
	pattern string
	need    string
	// show returns what a page shows.
	show func(*request) (*View, error)
	// do makes a change and returns the path of the page to go on with. After an
	// error, back shows the page where it was asked for.
	do func(*request) (path string, err error)
	// reply makes a change and shows what came of it, where the browser must not ask for
	// that again: what is shown only once.
	reply func(*request) (*View, error)
	back  func(*request) (*View, error)
}

const projectPrefix = "/p/{project}/"

// Routes are all addresses of the site. Those of projects come by one pattern for
// each method, because the names of projects have slashes.
func (s *Site) Routes() []Route {
	routes := []Route{{Pattern: "GET /assets/{name}", Need: "public", Handler: s.serveAsset}}
	s.projects = http.NewServeMux()
	methods := map[string]string{} // of pages of projects, with the least that any of them needs
	for _, p := range pages() {
		handler := s.handler(p)
		method, path, _ := strings.Cut(p.pattern, " ")
		if strings.HasPrefix(path, projectPrefix) || path == strings.TrimSuffix(projectPrefix, "/") {
			s.projects.HandleFunc(p.pattern, handler)
			methods[method] = "read"
			if method != http.MethodGet { // what a page then does is up to the API
				methods[method] = "run secret"
			}
			continue
		}
		routes = append(routes, Route{Pattern: p.pattern, Need: p.need, Handler: handler})
	}
	for method, needs := range methods {
		need, or, _ := strings.Cut(needs, " ")
		routes = append(routes, Route{Pattern: method + " /p/{path...}", Need: need, Or: or, Handler: s.serveProject})
	}
	return routes
}

// serveProject finds the page of a project. Its name ends where "/-" begins.
func (s *Site) serveProject(w http.ResponseWriter, r *http.Request) {
	name, rest, deeper := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/p/"), "/-/")
	name = strings.TrimSuffix(name, "/")
	plain, err := url.PathUnescape(name)
	if err != nil || plain == "" {
		s.notFound(w, r)
		return
	}
	path := "/p/" + url.PathEscape(plain)
	if deeper {
		path += "/-/" + rest
	}
	inner := r.Clone(r.Context())
	inner.URL.RawPath = path
	if inner.URL.Path, err = url.PathUnescape(path); err != nil {
		s.notFound(w, r)
		return
	}
	if _, pattern := s.projects.Handler(inner); pattern == "" {
		s.notFound(w, r)
		return
	}
	s.projects.ServeHTTP(w, inner)
}

func (s *Site) handler(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.newRequest(w, r)
		if p.show == nil {
			c.change(p)
			return
		}
		view, err := p.show(c)
		if err != nil {
			c.fail(err)
			return
		}
		c.render(http.StatusOK, view)
	}
}

// request is a browser's request for a page.
type request struct {
	*http.Request
	API  *api.Client
	Base string

	site   *Site
	w      http.ResponseWriter
	wishes preferences
	now    time.Time
	// problem is what went wrong with a change that was asked for on this page.
	problem error
	placed  bool        // the problem is beside a form
	who     *api.Caller // see [request.caller]
}

func (s *Site) newRequest(w http.ResponseWriter, r *http.Request) *request {
	c := &request{Request: r, w: w, site: s, Base: s.options.Base(r), wishes: readPreferences(r), now: s.options.Now()}
	// The address is only a name: the transport stays in this process.
	client, err := api.NewClient("http://refline.internal", "", &apiTransport{handler: s.options.API, caller: r})
	if err != nil {
		panic(err) // the address is a constant
	}
	c.API = client
	return c
}

// change does what a form asks for and sends the browser on.
func (c *request) change(p page) {
	path, err := "", c.readForm()
	if err == nil && p.reply != nil {
		var view *View
		if view, err = p.reply(c); err == nil {
			c.render(http.StatusOK, view)
			return
		}
	} else if err == nil {
		path, err = p.do(c)
	}
	if err == nil {
		c.w.Header().Set("Cache-Control", "no-store")
		http.Redirect(c.w, c.Request, c.Base+path, http.StatusSeeOther)
		return
	}
	if p.back == nil {
		c.fail(err)
		return
	}
	c.problem = err
	view, again := p.back(c)
	if again != nil {
		c.fail(err)
		return
	}
	c.render(statusOf(err), view)
}

// readForm reads what a form sent.
func (c *request) readForm() error {
	err := c.ParseForm()
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return invalid("the form is larger than %d KiB; send it by the command that the page names", large.Limit>>10)
	}
	if err != nil {
		return invalid("the form cannot be read: %v", err)
	}
	return nil
}

// ctx is the context of the request.
func (c *request) ctx() context.Context { return c.Context() }
