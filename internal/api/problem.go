package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"refline/internal/diag"
	"refline/internal/errs"
)

// Problem is an error on the wire, application/problem+json (RFC 9457).
type Problem struct {
	Title    string    `json:"title"`              // of the HTTP status
	Status   int       `json:"status"`             // the HTTP status
	Kind     errs.Kind `json:"kind"`               // invalid, not found, …
	Detail   string    `json:"detail"`             // what was wrong, and the way out
	Hint     string    `json:"hint,omitempty"`     // what to do, if Detail does not say it
	Findings []Finding `json:"findings,omitempty"` // in files of the repository
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// Err is the problem as an error of its kind: a [diag.Failure] if it has findings.
func (p *Problem) Err() error {
	if len(p.Findings) > 0 {
		return &diag.Failure{Findings: findings(p.Findings)}
	}
	text := p.Detail
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return errs.E(p.Kind, "%s", text)
}

// Finding is a [diag.Finding] on the wire.
type Finding struct {
	diag.Finding
	Level string `json:"level" enum:"error,warning,info"`
}

// Findings puts findings on the wire.
func Findings(list diag.List) []Finding {
	out := make([]Finding, len(list))
	for i, f := range list {
		out[i] = Finding{f, f.Level.String()}
	}
	return out
}

func findings(list []Finding) diag.List {
	out := make(diag.List, len(list))
	for i, f := range list {
		out[i] = f.Finding
		switch f.Level {
		case diag.Error.String():
			out[i].Level = diag.Error
		case diag.Warning.String():
			out[i].Level = diag.Warning
		}
	}
	return out
}

// readProblem makes an error of an answer that is not good.
func readProblem(resp *http.Response, body []byte) error {
	var p Problem
	if err := json.Unmarshal(body, &p); err == nil && p.Detail != "" {
		return p.Err()
	}
	kind := errs.Internal
	switch {
	case resp.StatusCode == http.StatusNotFound:
		kind = errs.NotFound
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		kind = errs.Denied
	case resp.StatusCode == http.StatusConflict:
		kind = errs.Conflict
	case resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout, resp.StatusCode == http.StatusTooManyRequests:
		kind = errs.Unavailable
	case resp.StatusCode < 500:
		kind = errs.Invalid
	}
	return errs.E(kind, "%s %s: the server answered %s", resp.Request.Method, resp.Request.URL.Redacted(), fmt.Sprint(resp.Status))
}
