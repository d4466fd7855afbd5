package server

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/diag"
	"refline/internal/errs"
)

// statusOf is the HTTP status of a kind of error. It is the only place that maps them.
func statusOf(kind errs.Kind) int {
	switch kind {
	case errs.Invalid:
		return http.StatusBadRequest
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Denied:
		return http.StatusForbidden
	case errs.Conflict:
		return http.StatusConflict
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// kindOfStatus is the other direction, for answers that a library makes.
func kindOfStatus(status int) errs.Kind {
	switch {
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return errs.NotFound
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests:
		return errs.Denied
	case status == http.StatusConflict || status == http.StatusPreconditionFailed:
		return errs.Conflict
	case status == http.StatusServiceUnavailable:
		return errs.Unavailable
	case status >= 500:
		return errs.Internal
	}
	return errs.Invalid
}

// problem is an api.Problem that huma takes as its error.
type problem struct {
	api.Problem
	cause error       // for the log; the caller of an internal error does not see it
	retry int         // seconds, 0 for none
	extra http.Header // such as WWW-Authenticate
}

var (
	_ huma.StatusError       = (*problem)(nil)
	_ huma.ContentTypeFilter = (*problem)(nil)
	_ huma.HeadersError      = (*problem)(nil)
)

// GetStatus implements huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *problem) GetHeaders() http.Header {
	h := p.extra.Clone()
	if h == nil {
		h = http.Header{}
	}
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	h.Set("Cache-Control", "no-store")
	return h
}

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

// hinted is an error with a hint of its own.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// withHint says what to do about an error, where its text does not.
func withHint(err error, hint string) error { return &hinted{err, hint} }

// problemOf is the answer for an error. Internal errors are for the log alone: their
// text may name paths and addresses of the server.
func problemOf(err error) *problem {
	var done *problem
	if errors.As(err, &done) {
		return done
	}
	kind := errs.KindOf(err)
	var tooLarge *http.MaxBytesError
	status := statusOf(kind)
	text := err.Error()
	switch {
	case errors.As(err, &tooLarge):
		status, kind = http.StatusRequestEntityTooLarge, errs.Invalid
		text = "the request is too large: at most " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"
	case kind == errs.Internal:
		text = "internal error; the server's log has it under the request's id"
	}
	p := &problem{Problem: api.Problem{Title: http.StatusText(status), Status: status, Kind: kind, Detail: text}, cause: err}
	var h *hinted
	if errors.As(err, &h) {
		p.Hint = h.hint
	}
	var failure *diag.Failure
	if errors.As(err, &failure) {
		p.Findings = api.Findings(failure.Findings)
	}
	if kind == errs.Unavailable {
		p.retry = 5
	}
	return p
}

// writeProblem answers with an error.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	logProblem(r, p)
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Del("Content-Length")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller may be gone
}

// logProblem keeps the text of an internal error with the request.
func logProblem(r *http.Request, p *problem) {
	if p.Kind == errs.Internal && p.cause != nil {
		infoOf(r.Context()).log(slog.String("error", p.cause.Error()))
	}
}

// useProblems makes huma answer with problems. What it found wrong is named by its
// place; the values, which it adds too, may be secrets and are left out.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, text string, causes ...error) huma.StatusError {
		p := &problem{Problem: api.Problem{Title: http.StatusText(status), Status: status, Kind: kindOfStatus(status), Detail: text}}
		for i, cause := range causes {
			if cause == nil {
				continue
			}
			var detail huma.ErrorDetailer
			line := cause.Error()
			if errors.As(cause, &detail) {
				d := detail.ErrorDetail()
				line = d.Message
				if d.Location != "" {
					line = d.Location + ": " + line
				}
			}
			separator := "; "
			if i == 0 {
				separator = ": "
			}
			p.Detail += separator + line
		}
		if status >= 500 {
			p.Detail, p.cause = "internal error; the server's log has it under the request's id", errors.Join(causes...)
		}
		return p
	}
})
