package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/diag"
	"refline/internal/errs"
)

type action string

const (
	actRead  action = "read"
	actRun   action = "run"
	actAdmin action = "admin"
)

func actorOf(context.Context) string { return "owner" }

// op registers an operation "METHOD /path" of the API with the action that it needs.
func op[I, O any](s *Server, a huma.API, route string, needs action, summary string, h func(context.Context, *I) (*O, error)) {
	method, path, _ := strings.Cut(route, " ")
	huma.Register(a, huma.Operation{
		Method: method, Path: path, Summary: summary, OperationID: operationID(method, path),
	}, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, problemOf(err)
		}
		return out, nil
	})
}

// operationID is a stable name: get-projects-project-flows.
func operationID(method, path string) string {
	path = strings.NewReplacer("/api/v1/", "", "/", "-", "{", "", "}", "").Replace(path)
	return strings.ToLower(method) + "-" + path
}

func (s *Server) plain(mux *http.ServeMux, route string, needs action, h func(http.ResponseWriter, *http.Request) error) {
	mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			p := problemOf(err)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(p.Status)
			_ = json.NewEncoder(w).Encode(p)
		}
	})
}

// problem is an api.Problem that huma takes as its error.
type problem struct{ api.Problem }

func (p *problem) GetStatus() int { return p.Status }

func (p *problem) ContentType(string) string { return "application/problem+json" }

func problemOf(err error) *problem {
	kind := errs.KindOf(err)
	status := map[errs.Kind]int{errs.Invalid: 400, errs.NotFound: 404, errs.Denied: 403, errs.Conflict: 409, errs.Unavailable: 503}[kind]
	if status == 0 {
		status = 500
	}
	p := &problem{api.Problem{Title: http.StatusText(status), Status: status, Kind: kind, Detail: err.Error()}}
	var failure *diag.Failure
	if errors.As(err, &failure) {
		p.Findings = api.Findings(failure.Findings)
	}
	return p
}
