package web

import (
	"bytes"
	"errors"
	"net/http"

	"refline/internal/api"
	"refline/internal/diag"
	"refline/internal/errs"
)

func invalid(format string, args ...any) error { return errs.E(errs.Invalid, format, args...) }

// statusOf is the status of the page for an error.
func statusOf(err error) int { return problemOf(err).Status }

// problemOf describes an error of the API's client.
func problemOf(err error) *api.Problem {
	kind := errs.KindOf(err)
	p := &api.Problem{Kind: kind, Detail: err.Error()}
	switch kind {
	case errs.Invalid:
		p.Status = http.StatusBadRequest
	case errs.NotFound:
		p.Status = http.StatusNotFound
	case errs.Denied:
		p.Status = http.StatusForbidden
	case errs.Conflict:
		p.Status = http.StatusConflict
	case errs.Unavailable:
		p.Status = http.StatusServiceUnavailable
	default:
		p.Status = http.StatusInternalServerError
	}
	p.Findings = api.Findings(findingsOf(err))
	return p
}

// findingsOf are the findings in files that an error has.
func findingsOf(err error) diag.List {
	var failure *diag.Failure
	if errors.As(err, &failure) {
		return failure.Findings
	}
	return nil
}

// fail shows the page for an error.
func (c *request) fail(err error) { c.site.WriteError(c.w, c.Request, problemOf(err)) }

func (s *Site) notFound(w http.ResponseWriter, r *http.Request) {
	s.WriteError(w, r, &api.Problem{Kind: errs.NotFound, Status: http.StatusNotFound, Detail: "there is nothing at this address"})
}

// WriteError shows the page for a problem: what was wrong and what to do.
func (s *Site) WriteError(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	c := s.newRequest(w, r)
	v := &View{Template: "error", Title: errorTitle(p.Status), Look: "failed", Data: errorData{Problem: p, Heading: errorTitle(p.Status), Way: wayOut(p)}}
	v.Caller.Kind = "unknown" // asking the API again may be what fails
	v.complete(c)
	var out bytes.Buffer
	w.Header().Set("Cache-Control", "no-store")
	if err := templateOf("error").ExecuteTemplate(&out, "layout", v); err != nil {
		http.Error(w, p.Detail, p.Status)
		return
	}
	s.write(w, r, p.Status, out.Bytes())
}

type errorData struct {
	*api.Problem
	Heading string
	Way     string
}

func errorTitle(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Sign in first"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusNotFound:
		return "Not found"
	case http.StatusConflict:
		return "Not possible now"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return "Not available now"
	}
	if status < http.StatusInternalServerError {
		return "This cannot be done"
	}
	return "The server failed"
}

// wayOut says what to do where the problem itself does not.
func wayOut(p *api.Problem) string {
	switch {
	case p.Hint != "":
		return p.Hint
	case p.Status == http.StatusNotFound:
		return "It may have been removed, or belong to a project that you do not see."
	case p.Status == http.StatusForbidden:
		return "Ask who manages this server for a token with this right, and sign in with it."
	case p.Status == http.StatusServiceUnavailable, p.Status == http.StatusTooManyRequests:
		return "Wait a few seconds and load the page again."
	case p.Status >= http.StatusInternalServerError:
		return "Load the page again. If it stays, the server's log has the error."
	}
	return ""
}
