// Package forgetest is a stand-in for the APIs of forges, for tests: it answers as
// their published documentation says, and keeps what it is given in memory. It
// knows statuses, comments, webhooks, and the variables of a GitLab project.
package forgetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Variable is a variable in the shape of GitLab's API. Value is null in answers
// when it is hidden.
type Variable struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	Type        string  `json:"variable_type"`
	Protected   bool    `json:"protected"`
	Masked      bool    `json:"masked"`
	Hidden      bool    `json:"hidden"`
	Raw         bool    `json:"raw"`
	Scope       string  `json:"environment_scope"`
	Description string  `json:"description"`
}

// GitLab serves the variables of one project.
type GitLab struct {
	URL string

	project, token string

	mu     sync.Mutex
	vars   []Variable
	writes int
}

// StartGitLab serves a project to those who have the token, until the test ends.
func StartGitLab(t *testing.T, project, token string, vars ...Variable) *GitLab {
	t.Helper()
	g := &GitLab{project: project, token: token, vars: vars}
	mux := http.NewServeMux()
	const path = "/api/v4/projects/{project}/variables"
	mux.HandleFunc("GET "+path, g.list)
	mux.HandleFunc("POST "+path, g.create)
	mux.HandleFunc("PUT "+path+"/{key}", g.update)
	server := httptest.NewServer(g.guard(mux))
	t.Cleanup(server.Close)
	g.URL = server.URL
	return g
}

// Variables are those that the project has now, hidden values too.
func (g *GitLab) Variables() []Variable {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.vars)
}

// Writes is how many requests changed something.
func (g *GitLab) Writes() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.writes
}

// guard answers what the documentation says to those who may not.
func (g *GitLab) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if t := r.Header.Get("PRIVATE-TOKEN"); t != "" {
			given = t
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v4/projects/"), "/")
		name, _ = url.PathUnescape(name)
		switch {
		case r.Header.Get("JOB-TOKEN") != "", name != g.project:
			answer(w, http.StatusNotFound, map[string]string{"message": "404 Project Not Found"})
		case given == "developer":
			answer(w, http.StatusForbidden, map[string]string{"message": "403 Forbidden"})
		case given != g.token:
			answer(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// list gives a page: https://docs.gitlab.com/api/rest/#offset-based-pagination.
func (g *GitLab) list(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	page, size := number(r, "page", 1), min(number(r, "per_page", 20), 100)
	from := min((page-1)*size, len(g.vars))
	to := min(from+size, len(g.vars))
	shown := []Variable{}
	for _, v := range g.vars[from:to] {
		shown = append(shown, v.shown())
	}
	next := ""
	if to < len(g.vars) {
		next = strconv.Itoa(page + 1)
	}
	w.Header().Set("X-Next-Page", next)
	w.Header().Set("X-Page", strconv.Itoa(page))
	answer(w, http.StatusOK, shown)
}

func number(r *http.Request, name string, otherwise int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func (v Variable) shown() Variable {
	if v.Hidden {
		v.Value = nil
	}
	return v
}

// written is the body of a request that writes.
type written struct {
	Variable
	MaskedAndHidden bool `json:"masked_and_hidden"`
	Filter          struct {
		Scope string `json:"environment_scope"`
	} `json:"filter"`
}

func (g *GitLab) create(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := written{Variable: Variable{Type: "env_var", Scope: "*"}}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"message": "body is not JSON"})
		return
	}
	v := in.Variable
	v.Hidden = in.MaskedAndHidden
	v.Masked = v.Masked || v.Hidden
	if g.find(v.Key, v.Scope) >= 0 {
		refuse(w, "key", fmt.Sprintf("(%s) has already been taken", v.Key))
		return
	}
	if !valid(w, v) {
		return
	}
	g.vars, g.writes = append(g.vars, v), g.writes+1
	answer(w, http.StatusCreated, v.shown())
}

func (g *GitLab) update(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := written{}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"message": "body is not JSON"})
		return
	}
	i := g.find(r.PathValue("key"), in.Filter.Scope)
	if i < 0 {
		answer(w, http.StatusNotFound, map[string]string{"message": "404 Variable Not Found"})
		return
	}
	v := in.Variable
	v.Key, v.Hidden = g.vars[i].Key, g.vars[i].Hidden
	if v.Scope == "" {
		v.Scope = g.vars[i].Scope
	}
	if !valid(w, v) {
		return
	}
	g.vars[i] = v
	g.writes++
	answer(w, http.StatusOK, v.shown())
}

func (g *GitLab) find(key, scope string) int {
	return slices.IndexFunc(g.vars, func(v Variable) bool { return v.Key == key && v.Scope == scope })
}

// valid is GitLab's rule for masked values, app/models/concerns/ci/maskable.rb.
func valid(w http.ResponseWriter, v Variable) bool {
	rule := `\A[a-zA-Z0-9_+=/@:.~-]{8,}\z`
	if v.Raw {
		rule = `\A\S{8,}\z`
	}
	if v.Masked && (v.Value == nil || !regexp.MustCompile(rule).MatchString(*v.Value)) {
		refuse(w, "value", "is invalid")
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, field, reason string) {
	answer(w, http.StatusBadRequest, map[string]any{"message": map[string][]string{field: {reason}}})
}
