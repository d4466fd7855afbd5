package forge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/secret"
)

// thread is the comments of a merge request, as GitLab and GitHub serve them.
type thread struct {
	comments []string // by id less one
	foreign  map[int]bool
	token    string
}

func (c *thread) serve(t *testing.T, list, one, edit string) string {
	mux := http.NewServeMux()
	read := func(r *http.Request) string {
		var in struct{ Body string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		return in.Body
	}
	mux.HandleFunc("GET "+list, func(w http.ResponseWriter, r *http.Request) {
		var page int
		fmt.Sscan(r.URL.Query().Get("page"), &page)
		out := []map[string]any{}
		for i := (page - 1) * 100; i < min(page*100, len(c.comments)); i++ {
			out = append(out, map[string]any{"id": i + 1, "body": c.comments[i]})
		}
		if page*100 < len(c.comments) {
			w.Header().Set("X-Next-Page", fmt.Sprint(page+1))
		}
		json.NewEncoder(w).Encode(out)
	})
	mux.HandleFunc("POST "+list, func(w http.ResponseWriter, r *http.Request) {
		c.comments = append(c.comments, read(r))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "{}")
	})
	mux.HandleFunc(edit+" "+one, func(w http.ResponseWriter, r *http.Request) {
		var id int
		fmt.Sscan(r.PathValue("id"), &id)
		if c.foreign[id-1] {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		c.comments[id-1] = read(r)
		fmt.Fprint(w, "{}")
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+c.token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestOneCommentIsKeptUpToDate(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(c *thread, token string) forge.Commenter{
		"GitLab": func(c *thread, token string) forge.Commenter {
			const notes = "/api/v4/projects/{project}/merge_requests/7/notes"
			g, err := forge.NewGitLab(forge.GitLabOptions{URL: c.serve(t, notes, notes+"/{id}", "PUT"), Project: "data/landing", Token: secret.NewString(token)})
			if err != nil {
				t.Fatal(err)
			}
			return g
		},
		"GitHub": func(c *thread, token string) forge.Commenter {
			g, err := forge.NewGitHub(forge.GitHubOptions{Repository: "data/landing", Token: secret.NewString(token),
				URL: c.serve(t, "/repos/data/landing/issues/7/comments", "/repos/data/landing/issues/comments/{id}", "PATCH")})
			if err != nil {
				t.Fatal(err)
			}
			return g
		},
	} {
		c := &thread{token: "right", foreign: map[int]bool{0: true}, comments: []string{"quotes <!-- m -->"}}
		for range 100 {
			c.comments = append(c.comments, "talk")
		}
		g := start(c, "right")
		for _, body := range []string{"<!-- m --> one", "<!-- m --> two", "<!-- m -->\n" + strings.Repeat("long\n", 20_000)} {
			if err := g.Comment(t.Context(), 7, "<!-- m -->", body); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if len(c.comments) != 102 || c.comments[0] != "quotes <!-- m -->" {
			t.Errorf("%s: %d comments, the first %q", name, len(c.comments), c.comments[0])
		}
		if last := c.comments[101]; len(last) > 65_536 || !strings.HasPrefix(last, "<!-- m -->") || !strings.Contains(last, "Cut here") {
			t.Errorf("%s: the comment has %d bytes", name, len(last))
		}
		if err := start(c, "wrong").Comment(t.Context(), 7, "m", "m"); !errs.Is(err, errs.Denied) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: with a wrong token: %v", name, err)
		}
	}
}

func TestTokensGoByHTTPSOnly(t *testing.T) {
	t.Parallel()
	for _, o := range []forge.GitHubOptions{{URL: "http://github.example.com", Repository: "a/b"}, {URL: "x", Repository: "a/b"}, {URL: "https://x", Repository: "a"}} {
		if _, err := forge.NewGitHub(o); err == nil {
			t.Errorf("%s %s: accepted", o.URL, o.Repository)
		}
	}
}
