package localserver

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
)

// routes are those of the API that pages ask for.
func (s *Server) routes() {
	get := func(path string, answer func(*http.Request) (any, error)) {
		s.api.HandleFunc("GET /api/v1"+path, func(w http.ResponseWriter, r *http.Request) {
			out, err := answer(r)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			_ = json.NewEncoder(w).Encode(out) // the reader may be gone
		})
	}
	get("/caller", func(*http.Request) (any, error) {
		return api.Caller{Kind: "local", Name: "this computer", Scopes: []string{"read"}}, nil
	})
	get("/waiting", func(*http.Request) (any, error) { return api.Waiting{Runs: []api.WaitingRun{}}, nil })
	get("/overview", func(*http.Request) (any, error) { return s.overview() })
	get("/runs", s.listRuns)
	get("/runs/{run}", s.withRun(func(_ *http.Request, r *run) (any, error) { return r.wire(true), nil }))
	get("/runs/{run}/detail", s.withRun(func(_ *http.Request, r *run) (any, error) { return s.detail(r) }))
	get("/runs/{run}/jobs/{job}/tasks", s.withJob(s.jobTasks))
	get("/runs/{run}/jobs/{job}/log/lines", s.withJob(s.logLines))
	get("/runs/{run}/jobs/{job}/log/search", s.withJob(s.logSearch))
	get("/runs/{run}/jobs/{job}/log/marks", s.withJob(s.logMarks))
	s.api.HandleFunc("GET /api/v1/runs/{run}/jobs/{job}/log", s.serveLog)
	s.api.HandleFunc("GET /api/v1/events", s.serveEvents)
	for _, list := range []string{"projects", "flows", "environments", "runners", "runtimes", "slots", "schedules", "tokens", "notifications", "approvals", "runs/{run}/plans"} {
		get("/"+list, func(*http.Request) (any, error) { return []any{}, nil }) // local runs have none
	}
	s.api.HandleFunc("/api/v1/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.fail(w, r, errs.E(errs.Denied, "this page only shows local runs; change them by commands: refline runs --help"))
			return
		}
		s.fail(w, r, errs.E(errs.NotFound, "local runs have nothing of this kind; a server has: refline server --help"))
	})
}

// fail answers with an error of its kind.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	kind := errs.KindOf(err)
	status := map[errs.Kind]int{
		errs.Invalid: http.StatusBadRequest, errs.NotFound: http.StatusNotFound, errs.Denied: http.StatusForbidden,
		errs.Conflict: http.StatusConflict, errs.Unavailable: http.StatusServiceUnavailable,
	}[kind]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	s.problem(w, r, status, kind, err.Error())
}

// withRun finds the run that a request names.
func (s *Server) withRun(answer func(*http.Request, *run) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		found, err := s.find(r.PathValue("run"))
		if err != nil {
			return nil, err
		}
		return answer(r, found)
	}
}

// withJob finds the job that a request names.
func (s *Server) withJob(answer func(*http.Request, *run, *job) (any, error)) func(*http.Request) (any, error) {
	return s.withRun(func(r *http.Request, found *run) (any, error) {
		j, err := found.job(r.PathValue("job"))
		if err != nil {
			return nil, err
		}
		return answer(r, found, j)
	})
}

// listRuns is a page of runs, newest first. Its cursor is the number of its last one.
func (s *Server) listRuns(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit := 50
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n > 0 {
		limit = min(n, 200)
	}
	before := int64(1) << 62
	if n, err := strconv.ParseInt(q.Get("cursor"), 10, 64); err == nil {
		before = n
	}
	page := api.Runs{Runs: []api.Run{}}
	list, err := s.all()
	if err != nil {
		return nil, err
	}
	for _, found := range list {
		w := found.wire(false)
		fits := func(name, value string) bool { return q.Get(name) == "" || q.Get(name) == value }
		if found.Number >= before || !fits("project", w.Project) || !fits("flow", w.Flow) || !fits("ref", w.Ref) {
			continue
		}
		if want := q.Get("status"); want != "" && !strings.Contains(","+want+",", ","+string(w.Status)+",") {
			continue
		}
		if len(page.Runs) == limit {
			page.Next = strconv.FormatInt(page.Runs[limit-1].ID, 10)
			break
		}
		page.Runs = append(page.Runs, w)
	}
	return page, nil
}
