package forgetest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// serveHub answers as GitHub's REST API and Gitea's, which are alike.
func (f *Forge) serveHub(mux *http.ServeMux, repo string) {
	gitea := f.kind == "gitea"
	mux.HandleFunc("POST "+repo+"/statuses/{sha}", f.hubStatus)
	comments := repo + "/issues/{mr}/comments"
	mux.HandleFunc("GET "+comments, func(w http.ResponseWriter, r *http.Request) {
		mr, _ := strconv.ParseInt(r.PathValue("mr"), 10, 64)
		list := f.of(mr)
		if !gitea { // Gitea gives all at once
			from, to := window(len(list), number(r, "page", 1), number(r, "per_page", 30))
			list = list[from:to]
		}
		out := []map[string]any{}
		for _, c := range list {
			out = append(out, map[string]any{"id": c.ID, "body": c.Body})
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+comments, func(w http.ResponseWriter, r *http.Request) {
		if in, ok := decodeBody[struct{ Body string }](w, r); ok {
			mr, _ := strconv.ParseInt(r.PathValue("mr"), 10, 64)
			if len([]rune(in.Body)) > 65_536 {
				answer(w, http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed", "errors": []map[string]string{{"message": "body is too long (maximum is 65536 characters)"}}})
				return
			}
			answer(w, http.StatusCreated, map[string]any{"id": f.add(Comment{Request: mr, Body: in.Body}).ID})
		}
	})
	mux.HandleFunc("PATCH "+repo+"/issues/comments/{id}", func(w http.ResponseWriter, r *http.Request) {
		if in, ok := decodeBody[struct{ Body string }](w, r); ok {
			if c, ok := f.edit(w, pathID(r), in.Body, 65_536); ok {
				answer(w, http.StatusOK, map[string]any{"id": c.ID})
			}
		}
	})
	mux.HandleFunc("GET "+repo+"/hooks", func(w http.ResponseWriter, r *http.Request) {
		size := number(r, "per_page", 30)
		if gitea {
			size = number(r, "limit", 30)
		}
		from, to := window(len(f.hooks), number(r, "page", 1), size)
		out := []map[string]any{}
		for _, h := range f.hooks[from:to] {
			out = append(out, map[string]any{"id": h.ID, "config": map[string]string{"url": h.URL}})
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+repo+"/hooks", func(w http.ResponseWriter, r *http.Request) { f.hubHook(w, r, http.StatusCreated) })
	mux.HandleFunc("PATCH "+repo+"/hooks/{id}", func(w http.ResponseWriter, r *http.Request) { f.hubHook(w, r, http.StatusOK) })
	mux.HandleFunc("DELETE "+repo+"/hooks/{id}", func(w http.ResponseWriter, r *http.Request) { f.removeHook(w, pathID(r)) })
}

func (f *Forge) hubStatus(w http.ResponseWriter, r *http.Request) {
	in, ok := decodeBody[struct {
		State, Context, Description string
		TargetURL                   string `json:"target_url"`
	}](w, r)
	if !ok {
		return
	}
	most := 255
	if f.kind == "github" {
		most = 140
	}
	if !slices.Contains([]string{"pending", "success", "failure", "error"}, in.State) || len([]rune(in.Description)) > most {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"message": "Validation Failed"})
		return
	}
	f.statuses = append(f.statuses, Status{r.PathValue("sha"), in.Context, in.State, in.Description, in.TargetURL, ""})
	answer(w, http.StatusCreated, map[string]any{"id": 1})
}

func (f *Forge) hubHook(w http.ResponseWriter, r *http.Request, status int) {
	in, ok := decodeBody[struct {
		Name, Type string
		Active     bool
		Events     []string
		Config     struct {
			URL         string `json:"url"`
			ContentType string `json:"content_type"`
			Secret      string `json:"secret"`
		}
	}](w, r)
	if !ok {
		return
	}
	if status == http.StatusCreated && (f.kind == "github" && in.Name != "web" || f.kind == "gitea" && in.Type != "gitea") || !in.Active {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"message": "Validation Failed"})
		return
	}
	h := Hook{URL: in.Config.URL, Secret: in.Config.Secret, JSON: in.Config.ContentType == "json", Events: in.Events}
	exists := slices.ContainsFunc(f.hooks, func(o Hook) bool { return o.URL == h.URL && o.ID != pathID(r) })
	if f.kind == "github" && exists && status == http.StatusCreated {
		answer(w, http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed", "errors": []map[string]string{
			{"resource": "Hook", "code": "custom", "message": "Hook already exists on this repository"}}})
		return
	}
	if h, ok := f.putHook(w, pathID(r), h); ok {
		answer(w, status, map[string]any{"id": h.ID, "config": map[string]string{"url": h.URL, "secret": strings.Repeat("*", 8)}})
	}
}
