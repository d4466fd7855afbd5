package forgetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Status is a commit status as a forge was given it, with the forge's word for
// the state.
type Status struct{ Commit, Context, State, Description, URL, Ref string }

// Comment is a comment on a merge request.
type Comment struct {
	ID      int64
	Request int64
	Body    string
	Foreign bool // of someone else: it cannot be edited
	version int64
}

// Hook is a webhook.
type Hook struct {
	ID          int64
	URL, Secret string
	Signed      bool // GitLab: the secret is a signing key
	JSON        bool
	Events      []string
}

// failure is an answer to the next request that writes.
type failure struct {
	status int
	header http.Header
	body   string
}

// Forge serves statuses, comments and webhooks of the repository g/p as one kind
// of forge does: gitlab, github, gitea, bitbucket or bitbucket-dc.
type Forge struct {
	URL string
	// Signing says that a GitLab knows signing keys.
	Signing bool

	kind, token string

	mu       sync.Mutex
	failures []failure
	statuses []Status
	comments []Comment
	hooks    []Hook
	last     int64
	requests int
}

// StartForge serves a forge to those who have the token, until the test ends.
func StartForge(t *testing.T, kind, token string) *Forge {
	t.Helper()
	f := &Forge{kind: kind, token: token, last: 100}
	mux := http.NewServeMux()
	switch kind {
	case "gitlab":
		f.serveGitLab(mux)
	case "github":
		f.serveHub(mux, "/api/v3/repos/g/p")
	case "gitea":
		f.serveHub(mux, "/api/v1/repos/g/p")
	case "bitbucket":
		f.serveCloud(mux)
	case "bitbucket-dc":
		f.serveDC(mux)
	default:
		t.Fatalf("no forge %q", kind)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.requests++
		if r.Header.Get("Authorization") != "Bearer "+f.token {
			answer(w, http.StatusUnauthorized, map[string]string{"message": "401 Unauthorized: " + r.Header.Get("Authorization")})
			return
		}
		if r.Method != http.MethodGet && len(f.failures) > 0 {
			next := f.failures[0]
			f.failures = f.failures[1:]
			for name, values := range next.header {
				w.Header()[name] = values
			}
			answer(w, next.status, json.RawMessage(next.body))
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// Fail makes the next request that writes get this answer; header is
// "Name: value" or "".
func (f *Forge) Fail(status int, body, header string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := failure{status: status, body: body, header: http.Header{}}
	if body == "" {
		next.body = fmt.Sprintf(`{"message":"%d %s"}`, status, http.StatusText(status))
	}
	if name, value, found := strings.Cut(header, ": "); found {
		next.header.Set(name, value)
	}
	f.failures = append(f.failures, next)
}

// Statuses are all that were set, in order.
func (f *Forge) Statuses() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.statuses)
}

// Comments are those that there are.
func (f *Forge) Comments() []Comment {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.comments)
}

// AddComment puts a comment there.
func (f *Forge) AddComment(c Comment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(c)
}

// Hooks are those that there are.
func (f *Forge) Hooks() []Hook {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.hooks)
}

// AddHook puts a webhook there.
func (f *Forge) AddHook(h Hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	h.ID = f.last
	f.hooks = append(f.hooks, h)
}

// Requests is how many requests came.
func (f *Forge) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

func (f *Forge) add(c Comment) Comment {
	f.last++
	c.ID, c.version = f.last, 0
	f.comments = append(f.comments, c)
	return c
}

func decodeBody[T any](w http.ResponseWriter, r *http.Request) (in T, ok bool) {
	if err := json.NewDecoder(io.LimitReader(r.Body, 4<<20)).Decode(&in); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"message": "body is not JSON"})
		return in, false
	}
	return in, true
}

func pathID(r *http.Request) int64 {
	n, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	return n
}

// edit changes a comment; the answer is written if it cannot.
func (f *Forge) edit(w http.ResponseWriter, id int64, body string, most int) (*Comment, bool) {
	i := slices.IndexFunc(f.comments, func(c Comment) bool { return c.ID == id })
	switch {
	case i < 0:
		answer(w, http.StatusNotFound, map[string]string{"message": "404 Not Found"})
	case f.comments[i].Foreign:
		answer(w, http.StatusForbidden, map[string]string{"message": "403 Forbidden"})
	case len([]rune(body)) > most:
		answer(w, http.StatusUnprocessableEntity, map[string]string{"message": "body is too long"})
	default:
		f.comments[i].Body = body
		f.comments[i].version++
		return &f.comments[i], true
	}
	return nil, false
}

// of lists the comments on a merge request.
func (f *Forge) of(request int64) []Comment {
	var list []Comment
	for _, c := range f.comments {
		if c.Request == request {
			list = append(list, c)
		}
	}
	return list
}

func window(total, page, size int) (from, to int) {
	from = min((page-1)*size, total)
	return from, min(from+size, total)
}

func (f *Forge) removeHook(w http.ResponseWriter, id int64) {
	n := len(f.hooks)
	f.hooks = slices.DeleteFunc(f.hooks, func(h Hook) bool { return h.ID == id })
	if len(f.hooks) == n {
		answer(w, http.StatusNotFound, map[string]string{"message": "404 Not Found"})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *Forge) putHook(w http.ResponseWriter, id int64, h Hook) (Hook, bool) {
	if u, err := url.Parse(h.URL); err != nil || u.Host == "" {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"message": "url is invalid; the secret is " + h.Secret})
		return h, false
	}
	if id == 0 {
		f.last++
		h.ID = f.last
		f.hooks = append(f.hooks, h)
		return h, true
	}
	i := slices.IndexFunc(f.hooks, func(h Hook) bool { return h.ID == id })
	if i < 0 {
		answer(w, http.StatusNotFound, map[string]string{"message": "404 Not Found"})
		return h, false
	}
	h.ID = id
	f.hooks[i] = h
	return h, true
}
