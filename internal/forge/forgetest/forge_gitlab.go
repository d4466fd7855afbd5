package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// serveGitLab answers as https://docs.gitlab.com/api/commits/, /notes/ and
// /project_webhooks/ say.
func (f *Forge) serveGitLab(mux *http.ServeMux) {
	const project = "/api/v4/projects/{project}"
	mux.HandleFunc("POST "+project+"/statuses/{sha}", f.gitlabStatus)
	const notes = project + "/merge_requests/{mr}/notes"
	mux.HandleFunc("GET "+notes, func(w http.ResponseWriter, r *http.Request) {
		mr, _ := strconv.ParseInt(r.PathValue("mr"), 10, 64)
		list := f.of(mr)
		from, to := window(len(list), number(r, "page", 1), number(r, "per_page", 20))
		out := []map[string]any{}
		for _, c := range list[from:to] {
			out = append(out, map[string]any{"id": c.ID, "body": c.Body, "system": false})
		}
		if to < len(list) {
			w.Header().Set("X-Next-Page", strconv.Itoa(number(r, "page", 1)+1))
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+notes, func(w http.ResponseWriter, r *http.Request) {
		if in, ok := decodeBody[struct{ Body string }](w, r); ok {
			mr, _ := strconv.ParseInt(r.PathValue("mr"), 10, 64)
			answer(w, http.StatusCreated, map[string]any{"id": f.add(Comment{Request: mr, Body: in.Body}).ID})
		}
	})
	mux.HandleFunc("PUT "+notes+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if in, ok := decodeBody[struct{ Body string }](w, r); ok {
			if c, ok := f.edit(w, pathID(r), in.Body, 1_000_000); ok {
				answer(w, http.StatusOK, map[string]any{"id": c.ID})
			}
		}
	})
	mux.HandleFunc("GET "+project+"/hooks", func(w http.ResponseWriter, r *http.Request) {
		from, to := window(len(f.hooks), number(r, "page", 1), number(r, "per_page", 20))
		out := []map[string]any{}
		for _, h := range f.hooks[from:to] {
			out = append(out, map[string]any{"id": h.ID, "url": h.URL})
		}
		if to < len(f.hooks) {
			w.Header().Set("X-Next-Page", strconv.Itoa(number(r, "page", 1)+1))
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+project+"/hooks", func(w http.ResponseWriter, r *http.Request) { f.gitlabHook(w, r, http.StatusCreated) })
	mux.HandleFunc("PUT "+project+"/hooks/{id}", func(w http.ResponseWriter, r *http.Request) { f.gitlabHook(w, r, http.StatusOK) })
	mux.HandleFunc("DELETE "+project+"/hooks/{id}", func(w http.ResponseWriter, r *http.Request) { f.removeHook(w, pathID(r)) })
}

// gitlabStatus refuses a state that is there already, as GitLab does.
func (f *Forge) gitlabStatus(w http.ResponseWriter, r *http.Request) {
	in, ok := decodeBody[struct {
		State, Name, Description, Ref string
		TargetURL                     string `json:"target_url"`
	}](w, r)
	if !ok {
		return
	}
	if !slices.Contains([]string{"pending", "running", "success", "failed", "canceled", "skipped"}, in.State) || len([]rune(in.Description)) > 255 {
		answer(w, http.StatusBadRequest, map[string]string{"error": "state does not have a valid value"})
		return
	}
	s := Status{r.PathValue("sha"), in.Name, in.State, in.Description, in.TargetURL, in.Ref}
	for _, old := range slices.Backward(f.statuses) {
		if old.Commit == s.Commit && old.Context == s.Context {
			if old.State == s.State {
				answer(w, http.StatusBadRequest, map[string]string{
					"message": fmt.Sprintf("Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via \"%s\")", s.State, s.State, s.State)})
				return
			}
			break
		}
	}
	f.statuses = append(f.statuses, s)
	answer(w, http.StatusCreated, map[string]any{"id": 1, "status": s.State})
}

func (f *Forge) gitlabHook(w http.ResponseWriter, r *http.Request, status int) {
	in, ok := decodeBody[struct {
		URL          string `json:"url"`
		Token        string `json:"token"`
		SigningToken string `json:"signing_token"`
		Push         bool   `json:"push_events"`
		TagPush      bool   `json:"tag_push_events"`
		MR           bool   `json:"merge_requests_events"`
		Note         bool   `json:"note_events"`
		Issues       bool   `json:"issues_events"`
	}](w, r)
	if !ok {
		return
	}
	h := Hook{URL: in.URL, Secret: in.Token, JSON: true}
	if in.SigningToken != "" && f.Signing {
		h.Secret, h.Signed = in.SigningToken, true
	}
	for _, e := range []struct {
		name string
		on   bool
	}{{"push", in.Push}, {"tag_push", in.TagPush}, {"merge_requests", in.MR}, {"note", in.Note}, {"issues", in.Issues}} {
		if e.on {
			h.Events = append(h.Events, e.name)
		}
	}
	if h, ok := f.putHook(w, pathID(r), h); ok {
		out := map[string]any{"id": h.ID, "url": h.URL}
		if f.Signing {
			out["signing_token_present"] = h.Signed
		}
		answer(w, status, out)
	}
}
