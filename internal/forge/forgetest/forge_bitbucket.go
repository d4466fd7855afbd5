package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// serveCloud answers as https://developer.atlassian.com/cloud/bitbucket/rest/ says.
func (f *Forge) serveCloud(mux *http.ServeMux) {
	const repo = "/2.0/repositories/g/p"
	mux.HandleFunc("POST "+repo+"/commit/{sha}/statuses/build", func(w http.ResponseWriter, r *http.Request) {
		f.bucketStatus(w, r, []string{"INPROGRESS", "SUCCESSFUL", "FAILED", "STOPPED"}, 40, http.StatusCreated)
	})
	const comments = repo + "/pullrequests/{mr}/comments"
	mux.HandleFunc("GET "+comments, func(w http.ResponseWriter, r *http.Request) {
		mr, _ := strconv.ParseInt(r.PathValue("mr"), 10, 64)
		list := f.of(mr)
		page, size := number(r, "page", 1), min(number(r, "pagelen", 10), 100)
		from, to := window(len(list), page, size)
		out := map[string]any{"pagelen": size}
		values := []map[string]any{}
		for _, c := range list[from:to] {
			values = append(values, map[string]any{"id": c.ID, "content": map[string]string{"raw": c.Body}})
		}
		out["values"] = values
		if to < len(list) {
			out["next"] = fmt.Sprintf("%s%s?pagelen=%d&page=%d", f.URL, r.URL.Path, size, page+1)
		}
		answer(w, http.StatusOK, out)
	})
	type body struct{ Content struct{ Raw string } }
	mux.HandleFunc("POST "+comments, func(w http.ResponseWriter, r *http.Request) {
		if in, ok := decodeBody[body](w, r); ok {
			mr, _ := strconv.ParseInt(r.PathValue("mr"), 10, 64)
			answer(w, http.StatusCreated, map[string]any{"id": f.add(Comment{Request: mr, Body: in.Content.Raw}).ID})
		}
	})
	mux.HandleFunc("PUT "+comments+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if in, ok := decodeBody[body](w, r); ok {
			if c, ok := f.edit(w, pathID(r), in.Content.Raw, 32_768); ok {
				answer(w, http.StatusOK, map[string]any{"id": c.ID})
			}
		}
	})
	mux.HandleFunc("GET "+repo+"/hooks", func(w http.ResponseWriter, r *http.Request) {
		values := []map[string]any{}
		for _, h := range f.hooks {
			values = append(values, map[string]any{"uuid": fmt.Sprintf("{%d}", h.ID), "url": h.URL})
		}
		answer(w, http.StatusOK, map[string]any{"values": values})
	})
	write := func(w http.ResponseWriter, r *http.Request, status int) {
		in, ok := decodeBody[struct {
			URL, Secret string
			Active      bool
			Events      []string
		}](w, r)
		if !ok {
			return
		}
		if h, ok := f.putHook(w, uuid(r), Hook{URL: in.URL, Secret: in.Secret, JSON: true, Events: in.Events}); ok {
			answer(w, status, map[string]any{"uuid": fmt.Sprintf("{%d}", h.ID), "url": h.URL})
		}
	}
	mux.HandleFunc("POST "+repo+"/hooks", func(w http.ResponseWriter, r *http.Request) { write(w, r, http.StatusCreated) })
	mux.HandleFunc("PUT "+repo+"/hooks/{id}", func(w http.ResponseWriter, r *http.Request) { write(w, r, http.StatusOK) })
	mux.HandleFunc("DELETE "+repo+"/hooks/{id}", func(w http.ResponseWriter, r *http.Request) { f.removeHook(w, uuid(r)) })
}

func uuid(r *http.Request) int64 {
	n, _ := strconv.ParseInt(strings.Trim(r.PathValue("id"), "{}"), 10, 64)
	return n
}

func (f *Forge) bucketStatus(w http.ResponseWriter, r *http.Request, states []string, longestKey, status int) {
	in, ok := decodeBody[struct{ Key, State, Name, Description, URL, RefName, Ref string }](w, r)
	if !ok {
		return
	}
	if !slices.Contains(states, in.State) || in.Key == "" || len(in.Key) > longestKey || in.URL == "" {
		answer(w, http.StatusBadRequest, map[string]any{"error": map[string]string{"message": "key, url and state are required"}})
		return
	}
	f.statuses = append(f.statuses, Status{r.PathValue("sha"), in.Name, in.State, in.Description, in.URL, in.RefName + in.Ref})
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	answer(w, status, map[string]any{"key": in.Key})
}

// serveDC answers as https://developer.atlassian.com/server/bitbucket/rest/ says.
func (f *Forge) serveDC(mux *http.ServeMux) {
	const repo = "/rest/api/latest/projects/g/repos/p"
	mux.HandleFunc("POST "+repo+"/commits/{sha}/builds", func(w http.ResponseWriter, r *http.Request) {
		f.bucketStatus(w, r, []string{"INPROGRESS", "SUCCESSFUL", "FAILED", "CANCELLED", "UNKNOWN"}, 255, http.StatusNoContent)
	})
	const request = repo + "/pull-requests/{mr}"
	mux.HandleFunc("GET "+request+"/activities", func(w http.ResponseWriter, r *http.Request) {
		mr, _ := strconv.ParseInt(r.PathValue("mr"), 10, 64)
		list := f.of(mr)
		start, limit := number(r, "start", 0), number(r, "limit", 25)
		from, to := min(start, len(list)), min(start+limit, len(list))
		values := []map[string]any{{"action": "OPENED"}}
		for _, c := range list[from:to] {
			values = append(values, map[string]any{"action": "COMMENTED", "comment": map[string]any{"id": c.ID, "version": c.version, "text": c.Body}})
		}
		out := map[string]any{"values": values, "isLastPage": to == len(list)}
		if to < len(list) {
			out["nextPageStart"] = to
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+request+"/comments", func(w http.ResponseWriter, r *http.Request) {
		if in, ok := decodeBody[struct{ Text string }](w, r); ok {
			mr, _ := strconv.ParseInt(r.PathValue("mr"), 10, 64)
			c := f.add(Comment{Request: mr, Body: in.Text})
			answer(w, http.StatusCreated, map[string]any{"id": c.ID, "version": 0})
		}
	})
	mux.HandleFunc("GET "+request+"/comments/{id}", func(w http.ResponseWriter, r *http.Request) {
		i := slices.IndexFunc(f.comments, func(c Comment) bool { return c.ID == pathID(r) })
		if i < 0 {
			answer(w, http.StatusNotFound, map[string]any{"errors": []map[string]string{{"message": "No such comment."}}})
			return
		}
		answer(w, http.StatusOK, map[string]any{"id": f.comments[i].ID, "version": f.comments[i].version, "text": f.comments[i].Body})
	})
	mux.HandleFunc("PUT "+request+"/comments/{id}", func(w http.ResponseWriter, r *http.Request) {
		in, ok := decodeBody[struct {
			Text    string
			Version int64
		}](w, r)
		if !ok {
			return
		}
		i := slices.IndexFunc(f.comments, func(c Comment) bool { return c.ID == pathID(r) })
		if i >= 0 && f.comments[i].version != in.Version {
			answer(w, http.StatusConflict, map[string]any{"errors": []map[string]string{{"message": "You are attempting to modify a comment based on out-of-date information."}}})
			return
		}
		if c, ok := f.edit(w, pathID(r), in.Text, 32_768); ok {
			answer(w, http.StatusOK, map[string]any{"id": c.ID, "version": c.version})
		}
	})
	mux.HandleFunc("GET "+repo+"/webhooks", func(w http.ResponseWriter, r *http.Request) {
		values := []map[string]any{}
		for _, h := range f.hooks {
			values = append(values, map[string]any{"id": h.ID, "url": h.URL})
		}
		answer(w, http.StatusOK, map[string]any{"values": values, "isLastPage": true})
	})
	write := func(w http.ResponseWriter, r *http.Request, status int) {
		in, ok := decodeBody[struct {
			URL           string
			Configuration struct{ Secret string }
			Events        []string
		}](w, r)
		if !ok {
			return
		}
		if h, ok := f.putHook(w, pathID(r), Hook{URL: in.URL, Secret: in.Configuration.Secret, JSON: true, Events: in.Events}); ok {
			answer(w, status, map[string]any{"id": h.ID, "url": h.URL})
		}
	}
	mux.HandleFunc("POST "+repo+"/webhooks", func(w http.ResponseWriter, r *http.Request) { write(w, r, http.StatusCreated) })
	mux.HandleFunc("PUT "+repo+"/webhooks/{id}", func(w http.ResponseWriter, r *http.Request) { write(w, r, http.StatusOK) })
	mux.HandleFunc("DELETE "+repo+"/webhooks/{id}", func(w http.ResponseWriter, r *http.Request) { f.removeHook(w, pathID(r)) })
}
