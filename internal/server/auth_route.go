package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"refline/internal/errs"
)

// need is what a route asks of its caller, and how it reads. Handlers check no
// roles themselves.
type need struct {
	action action

	// or is another action that will do, for a handler that asks the API to do one of
	// several things; "" for none.
	or action

	// filtered says that the handler limits itself to what the actor sees (see
	// [Actor.Sees]). Without it, and without a parameter in the path that names a
	// project (see [router.projects]), actors of one project are refused.
	filtered bool

	// body is the largest body in bytes; 0 is 1 MiB, unbounded for handlers that
	// have a limit of their own.
	body int64

	// stream is for requests and answers that take long: instead of the whole,
	// each read has a limit of time, and writes have none.
	stream bool
}

const (
	unbounded   = -1
	defaultBody = 1 << 20
	bodyTime    = 30 * time.Second
	writeTime   = 2 * time.Minute // for an answer that is not a stream
)

// requirement is a need, or an action alone.
type requirement interface{ need() need }

func (a action) need() need { return need{action: a} }
func (n need) need() need   { return n }

// router registers routes. There is no other way to add one, and none without an
// action.
type router struct {
	mux  *http.ServeMux
	auth *authenticator

	projects projectFinders
	readTime time.Duration // for a body; of a stream for each read

	needs map[string]need // by pattern

	// answered is called after each request that is not a stream; may be nil.
	answered func(route string, status int, took time.Duration)
	pending  *need // of the operation that huma registers now

	// errorPage answers a browser with a problem; nil for problem+json in any case.
	errorPage func(w http.ResponseWriter, q *http.Request, p *problem)
}

// projectFinders find the project of a path's parameter, by the parameter's name.
type projectFinders map[string]func(ctx context.Context, value string) (int64, error)

func newRouter(auth *authenticator, projects projectFinders) *router {
	return &router{mux: http.NewServeMux(), auth: auth, projects: projects, readTime: bodyTime, needs: map[string]need{}}
}

// newAPI makes an API whose operations are registered with [op].
func (r *router) newAPI(config huma.Config) huma.API {
	useProblems()
	// The description is served by a route of ours: it needs an action too.
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil // no $schema in answers
	return humago.New(humaMux{r}, config)
}

// humaMux is the router as huma sees it.
type humaMux struct{ *router }

// HandleFunc registers an operation with the need that [op] has left.
func (m humaMux) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	if m.pending == nil {
		panic("route " + pattern + " has no action: register it with op")
	}
	m.handle(pattern, *m.pending, m.once(pattern, h))
}

// ServeHTTP implements humago.Mux.
func (m humaMux) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// handle registers a plain handler for "METHOD /path".
func (r *router) handle(pattern string, needs requirement, h http.HandlerFunc) {
	n := needs.need()
	if !n.action.known() || n.or != "" && !n.or.known() {
		panic(fmt.Sprintf("route %s: unknown action %q or %q", pattern, n.action, n.or))
	}
	r.needs[pattern] = n
	r.mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
		infoOf(q.Context()).route = pattern
		end := r.limit(w, q, n)
		defer end()
		if r.answered != nil && !n.stream {
			begin := time.Now()
			defer func() { r.answered(pattern, infoOf(q.Context()).status(), time.Since(begin)) }()
		}
		if q, err := r.admit(q, n); err != nil {
			r.refuse(w, q, err)
		} else {
			h(w, q)
		}
	})
}

// plain is [router.handle] for handlers that return their error. After they have
// begun to answer it is only logged.
func (r *router) plain(pattern string, needs requirement, h func(http.ResponseWriter, *http.Request) error) {
	r.handle(pattern, needs, func(w http.ResponseWriter, q *http.Request) {
		if err := h(w, q); err != nil {
			if infoOf(q.Context()).answered() {
				logProblem(q, problemOf(err))
				return
			}
			r.writeProblem(w, q, err)
		}
	})
}

// writeProblem answers with an error: a page for a browser.
func (r *router) writeProblem(w http.ResponseWriter, q *http.Request, err error) {
	if r.errorPage == nil || !forBrowser(q) {
		writeProblem(w, q, err)
		return
	}
	p := problemOf(err)
	logProblem(q, p)
	r.errorPage(w, q, p)
}

// op registers an operation "METHOD /path" of the API.
func op[I, O any](s *Server, a huma.API, route string, needs requirement, summary string, h func(context.Context, *I) (*O, error)) {
	method, path, _ := strings.Cut(route, " ")
	r, n := s.router, needs.need()
	r.pending = &n
	defer func() { r.pending = nil }()
	body := n.body
	if body == 0 {
		body = defaultBody
	}
	huma.Register(a, huma.Operation{
		Method: method, Path: path, Summary: summary, OperationID: operationID(method, path),
		MaxBodyBytes: body, BodyReadTimeout: -1, // the limits of [router.handle] hold
		Errors: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound},
	}, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			p := problemOf(err)
			if p.Kind == errs.Internal && p.cause != nil {
				infoOf(ctx).fail(p.cause)
			}
			return nil, p
		}
		return out, nil
	})
}

// operationID is a stable name: get-projects-project-flows.
func operationID(method, path string) string {
	path = strings.NewReplacer("/api/v1/", "", "/", "-", "{", "", "}", "").Replace(path)
	return strings.ToLower(method) + "-" + path
}

// admit finds out who asks and whether it may. The request that it returns has
// the actor in its context.
func (r *router) admit(q *http.Request, n need) (*http.Request, error) {
	actor, err := r.auth.actor(q)
	infoOf(q.Context()).actor = actor
	if err != nil && n.action.open() {
		err = nil // an old cookie must not hide the page to sign in
	}
	if err != nil {
		return q, err
	}
	q = q.WithContext(WithActor(q.Context(), actor))
	if n.action.open() {
		return q, nil
	}
	return q, r.authorize(q, actor, n)
}

func (r *router) authorize(q *http.Request, actor Actor, n need) error {
	if actor.Kind == "" {
		return unauthenticated("this needs a sign-in")
	}
	if !actor.may(n.action) && (n.or == "" || !actor.may(n.or)) {
		have := joinActions(actor.Scopes)
		return withHint(errs.E(errs.Denied, "%s may not do this: it needs %q, and the token has %s", actor, n.action, have),
			"use a token with this scope: refline token create NAME --scope "+string(n.action))
	}
	if actor.Kind == ActorAttempt {
		if q.PathValue("fence") != strconv.FormatInt(actor.Attempt, 10) {
			return errs.E(errs.Denied, "the token is for attempt %d only", actor.Attempt)
		}
		return nil
	}
	if actor.Project != 0 {
		return r.checkProject(q, actor, n)
	}
	return nil
}

// checkProject holds an actor to its project. What is in another one is not there
// for it.
func (r *router) checkProject(q *http.Request, actor Actor, n need) error {
	found := false
	for parameter, find := range r.projects {
		value := q.PathValue(parameter)
		if value == "" {
			continue
		}
		found = true
		project, err := find(q.Context(), value)
		if err != nil && !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Invalid) {
			return err
		}
		if err != nil || project != actor.Project {
			return unseen(parameter, value)
		}
	}
	if !found && !n.filtered {
		return errs.E(errs.Denied, "%s is for one project only, and this concerns the whole server", actor)
	}
	return nil
}

// refuse answers a caller that is not admitted; a browser that asks for a page is
// sent to sign in.
func (r *router) refuse(w http.ResponseWriter, q *http.Request, err error) {
	if problemOf(err).Status == http.StatusUnauthorized && wantsPage(q) {
		info := infoOf(q.Context())
		http.Redirect(w, q, info.base+"/sign-in?next="+url.QueryEscape(q.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	r.writeProblem(w, q, err)
}

// wantsPage reports whether a browser asks for a page.
func wantsPage(q *http.Request) bool {
	return q.Method == http.MethodGet && q.Header.Get("Authorization") == "" && strings.Contains(q.Header.Get("Accept"), "text/html")
}

// limit bounds what is read of a request and how long that and the answer take.
// What it returns is called at the end.
func (r *router) limit(w http.ResponseWriter, q *http.Request, n need) func() {
	control := http.NewResponseController(w)
	// The errors are those of tests, whose writers have no deadlines.
	if n.stream {
		_ = control.SetWriteDeadline(time.Time{})
	} else {
		_ = control.SetWriteDeadline(time.Now().Add(writeTime))
	}
	if q.Body == nil || q.Body == http.NoBody {
		return func() {}
	}
	switch {
	case n.body == 0:
		q.Body = http.MaxBytesReader(w, q.Body, defaultBody)
	case n.body > 0:
		q.Body = http.MaxBytesReader(w, q.Body, n.body)
	}
	b := &timedBody{ReadCloser: q.Body, control: control, time: r.readTime, each: n.stream}
	q.Body = b
	return b.finish
}

// timedBody is a body that must arrive in time.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	time    time.Duration
	each    bool
	begun   bool
	done    bool
}

func (b *timedBody) Read(p []byte) (int, error) {
	// At its end net/http drops the deadline. Another one would pass while the
	// caller waits for its answer, and cancel the request.
	if !b.done && (b.each || !b.begun) {
		_ = b.control.SetReadDeadline(time.Now().Add(b.time))
		b.begun = true
	}
	n, err := b.ReadCloser.Read(p)
	b.done = b.done || errors.Is(err, io.EOF)
	return n, err
}

// finish bounds how long the server waits for the rest of a body that the handler
// did not read.
func (b *timedBody) finish() {
	if !b.done {
		_ = b.control.SetReadDeadline(time.Now().Add(time.Second))
	}
}
