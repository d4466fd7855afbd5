package server

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// answer is the body of an answer.
type answer[T any] struct{ Body T }

// The embedded parameters are exported because huma finds them by reflection.

// ByProject names a project in the path.
type ByProject struct {
	Project string `path:"project" doc:"name of the project, its slashes as %2F"`
}

// ByFlow names a flow in the path.
type ByFlow struct {
	ByProject
	Flow string `path:"flow" doc:"name of the flow"`
}

// ByRun names a run in the path.
type ByRun struct {
	Run int64 `path:"run" doc:"id of the run"`
}

// Page says which part of a list is wanted.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" doc:"of the page before; bound to the filters"`
}

// ByJob names a job in the path.
type ByJob struct {
	ByRun
	Job string `path:"job" doc:"name of the job"`
}

// ByRuntime names a runtime in the path.
type ByRuntime struct {
	Runtime string `path:"runtime" doc:"name of the runtime"`
}

// routes registers every route of the API with the action that it needs.
func (s *Server) routes() http.Handler {
	s.router = newRouter(s.secrets.auth, s.projectFinders())
	a := s.router.newAPI(huma.DefaultConfig("Refline", s.options.Version))
	s.projectRoutes(a)
	s.retentionRoutes(a)
	s.lintRoutes(a)
	s.flowRoutes(a)
	s.runRoutes(a)
	s.runtimeRoutes(a)
	s.scheduleRoutes(a)
	s.backfillRoutes(a)
	s.slotRoutes(a)
	s.accessRoutes(a)
	s.hookRoutes()
	s.hookSetRoutes(a)
	s.notifyRoutes(a)
	s.statusRoutes(a)
	s.environmentRoutes(a)
	s.overviewRoutes(a)
	s.detailRoutes(a)
	s.taskRoutes(a)
	s.inputRoutes(a)
	s.logRoutes(a)
	s.artifactRoutes(a)
	s.runnerRoutes()
	s.router.plain("GET /api/v1/runs/{run}/jobs/{job}/log", need{action: actRead, stream: true}, s.serveLog)
	s.router.plain("GET /api/v1/runs/{run}/plans/{digest}", actRead, s.servePlan)
	s.router.plain("GET /api/v1/runs/{run}/events", need{action: actRead, stream: true}, s.serveRunEvents)
	s.router.plain("GET /api/v1/events", need{action: actRead, stream: true, filtered: true}, s.serveEvents)
	s.router.handle("GET /healthz", actPublic, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	s.pageRoutes()
	s.signInRoutes()
	s.readyRoutes()
	s.router.plain("GET /api/v1/openapi.json", actPublic, func(w http.ResponseWriter, _ *http.Request) error {
		text, err := a.OpenAPI().MarshalJSON()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json")
		_, _ = w.Write(text)
		return nil
	})
	return s.router.handler(httpOptions{PublicURL: s.options.PublicURL, Proxies: s.options.proxies, Log: s.options.Log})
}

func (s *Server) projectRoutes(a huma.API) {
	op(s, a, "GET /api/v1/projects", need{action: actRead, filtered: true}, "list projects", func(ctx context.Context, _ *struct{}) (*answer[[]api.Project], error) {
		list, err := s.store.Projects(ctx)
		out := []api.Project{}
		for _, p := range list {
			if Caller(ctx).Sees(p.ID) {
				out = append(out, wireProject(p))
			}
		}
		return &answer[[]api.Project]{out}, err
	})
	op(s, a, "POST /api/v1/projects", actWrite, "make a project", func(ctx context.Context, in *struct{ Body api.ProjectInput }) (*answer[api.Project], error) {
		p, err := s.addProject(ctx, in.Body)
		return &answer[api.Project]{wireProject(p)}, err
	})
	op(s, a, "GET /api/v1/projects/{project}", actRead, "show a project", func(ctx context.Context, in *ByProject) (*answer[api.Project], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		out := wireProject(p)
		if out.Retention, err = s.wireRetention(ctx, p.ID); err != nil {
			return nil, err
		}
		out.Look, err = s.wireLook(ctx, p)
		return &answer[api.Project]{out}, err
	})
	op(s, a, "PATCH /api/v1/projects/{project}", actWrite, "change a project", func(ctx context.Context, in *struct {
		ByProject
		Body api.ProjectInput
	}) (*answer[api.Project], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		before := p
		if err == nil {
			err = s.setProject(&p, in.Body)
		}
		if err == nil {
			err = checkProjectName(p.Name)
		}
		if err == nil {
			err = s.changeProject(ctx, before, p)
		}
		return &answer[api.Project]{wireProject(p)}, err
	})
	op(s, a, "DELETE /api/v1/projects/{project}", actWrite, "remove a project", func(ctx context.Context, in *ByProject) (*struct{}, error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err == nil {
			err = s.removeProject(ctx, p)
		}
		return nil, err
	})
	op(s, a, "POST /api/v1/projects/{project}/check", actRun, "look at a project's repository", func(ctx context.Context, in *ByProject) (*answer[api.ProjectCheck], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		k, err := s.checkProject(ctx, p)
		return &answer[api.ProjectCheck]{k}, err
	})
}

func (s *Server) flowRoutes(a huma.API) {
	op(s, a, "POST /api/v1/flows", need{action: actWrite, filtered: true}, "register a flow", func(ctx context.Context, in *struct{ Body api.FlowInput }) (*answer[api.Registered], error) {
		r, err := s.registerFlow(ctx, actorOf(ctx), in.Body)
		return &answer[api.Registered]{r}, err
	})
	op(s, a, "GET /api/v1/flows", need{action: actRead, filtered: true}, "list flows", func(ctx context.Context, in *struct {
		Project  string `query:"project"`
		Name     string `query:"name"`
		Archived bool   `query:"archived" doc:"those too"`
	}) (*answer[[]api.Flow], error) {
		list, err := s.listFlows(ctx, in.Project, in.Name, in.Archived)
		return &answer[[]api.Flow]{list}, err
	})
	op(s, a, "GET /api/v1/projects/{project}/flows/{flow}", actRead, "show a flow", func(ctx context.Context, in *ByFlow) (*answer[api.Flow], error) {
		p, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err != nil {
			return nil, err
		}
		out, err := s.showFlow(ctx, p, f)
		return &answer[api.Flow]{out}, err
	})
	op(s, a, "PATCH /api/v1/projects/{project}/flows/{flow}", actWrite, "change a flow", func(ctx context.Context, in *struct {
		ByFlow
		Body api.FlowChange
	}) (*answer[api.Flow], error) {
		p, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err == nil {
			f, err = s.changeFlow(ctx, actorOf(ctx), f, in.Body)
			s.scheduler.WakeSchedules()
		}
		return &answer[api.Flow]{wireFlow(p.Name, f)}, err
	})
	op(s, a, "DELETE /api/v1/projects/{project}/flows/{flow}", actWrite, "remove a flow", func(ctx context.Context, in *ByFlow) (*struct{}, error) {
		_, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err == nil {
			err = s.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveFlow(ctx, f.ID) })
		}
		return nil, err
	})
	op(s, a, "GET /api/v1/projects/{project}/flows/{flow}/history", actRead, "list the versions of a flow", func(ctx context.Context, in *ByFlow) (*answer[[]api.FlowVersion], error) {
		_, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err != nil {
			return nil, err
		}
		list, err := s.flowHistory(ctx, f)
		return &answer[[]api.FlowVersion]{list}, err
	})
}

func (s *Server) runRoutes(a huma.API) {
	op(s, a, "POST /api/v1/runs", need{action: actRun, filtered: true}, "start a run", func(ctx context.Context, in *struct{ Body api.RunInput }) (*answer[api.Run], error) {
		r, err := s.startRun(ctx, actorOf(ctx), in.Body)
		return &answer[api.Run]{r}, err
	})
	op(s, a, "GET /api/v1/runs", need{action: actRead, filtered: true}, "list runs, newest first", func(ctx context.Context, in *struct {
		Project string    `query:"project"`
		Flow    string    `query:"flow" doc:"needs project"`
		Ref     string    `query:"ref"`
		Status  string    `query:"status" doc:"one or more, with commas between"`
		Commit  string    `query:"commit" maxLength:"64" pattern:"^[0-9a-f]*$" doc:"its begin, in hexadecimal"`
		Actor   string    `query:"actor" maxLength:"200" doc:"who started it"`
		Event   string    `query:"event" maxLength:"60" doc:"what started it: push, schedule, api, …"`
		Since   time.Time `query:"since" doc:"created then or later"`
		Until   time.Time `query:"until" doc:"created then or before"`
		Page
	}) (*answer[api.Runs], error) {
		filters := []string{"runs", in.Project, in.Flow, in.Ref, in.Status}
		if in.Commit+in.Actor+in.Event != "" || !in.Since.IsZero() || !in.Until.IsZero() {
			filters = append(filters, in.Commit, in.Actor, in.Event, in.Since.UTC().String(), in.Until.UTC().String())
		}
		before, err := readCursor(in.Cursor, filters...)
		if err != nil {
			return nil, err
		}
		f := store.RunFilter{Ref: in.Ref, Commit: in.Commit, Actor: in.Actor, Source: pipeline.Trigger(in.Event), Since: in.Since, Until: in.Until, Limit: in.Limit, Before: before}
		for status := range strings.SplitSeq(in.Status, ",") {
			if status != "" {
				f.Statuses = append(f.Statuses, pipeline.Status(status))
			}
		}
		if f.Project, err = s.listedProject(ctx, in.Project); err != nil {
			return nil, err
		}
		if in.Flow != "" {
			_, flow, err := s.findFlow(ctx, in.Project, in.Flow)
			if err != nil {
				return nil, err
			}
			f.Flow = flow.ID
		}
		page, err := s.listRuns(ctx, f, filters)
		return &answer[api.Runs]{page}, err
	})
	op(s, a, "GET /api/v1/runs/{run}", actRead, "show a run", func(ctx context.Context, in *struct {
		ByRun
		Since int64 `query:"since" doc:"wait until the run's version is above, for 20 seconds at most"`
		End   bool  `query:"end" doc:"wait until the run has ended or waits for a person, for 20 seconds at most"`
	}) (*answer[api.Run], error) {
		var r api.Run
		var err error
		if in.Since > 0 || in.End {
			r, err = s.waitRun(ctx, in.Run, in.Since, in.End, 20*time.Second)
		} else {
			r, err = s.showRun(ctx, in.Run)
		}
		return &answer[api.Run]{r}, err
	})
	op(s, a, "POST /api/v1/runs/{run}/cancel", actRun, "cancel a run", func(ctx context.Context, in *ByRun) (*struct{}, error) {
		return nil, s.act(ctx, in.Run, "", pipeline.EventCancel)
	})
	op(s, a, "POST /api/v1/runs/{run}/jobs/{job}/cancel", actRun, "cancel a job", func(ctx context.Context, in *ByJob) (*struct{}, error) {
		return nil, s.act(ctx, in.Run, in.Job, pipeline.EventCancel)
	})
	s.retryRoutes(a)
	op(s, a, "POST /api/v1/runs/{run}/jobs/{job}/play", actRun, "start a job that waits for a person", func(ctx context.Context, in *struct {
		ByJob
		Body struct {
			Digests []string `json:"digests,omitempty" maxItems:"200" doc:"of the plans that were reviewed"`
		}
	}) (*struct{}, error) {
		return nil, s.play(ctx, in.Run, in.Job, in.Body.Digests)
	})
	op(s, a, "GET /api/v1/runs/{run}/plans", actRead, "list the plans of stacks that a run's jobs made", func(ctx context.Context, in *ByRun) (*answer[[]api.Plan], error) {
		list, err := s.wirePlans(ctx, in.Run)
		return &answer[[]api.Plan]{list}, err
	})
}

func (s *Server) runtimeRoutes(a huma.API) {
	op(s, a, "GET /api/v1/runtimes", actRead, "list runtimes", func(ctx context.Context, _ *struct{}) (*answer[[]api.Runtime], error) {
		list, err := s.store.Runtimes(ctx)
		out := []api.Runtime{}
		for _, r := range list {
			w, werr := s.wireRuntime(ctx, r)
			if werr != nil {
				return nil, werr
			}
			out = append(out, w)
		}
		return &answer[[]api.Runtime]{out}, err
	})
	op(s, a, "GET /api/v1/runtimes/{runtime}", actRead, "show a runtime", func(ctx context.Context, in *ByRuntime) (*answer[api.Runtime], error) {
		r, err := s.store.Runtime(ctx, in.Runtime)
		if err != nil {
			return nil, err
		}
		out, err := s.wireRuntime(ctx, r)
		return &answer[api.Runtime]{out}, err
	})
	op(s, a, "PUT /api/v1/runtimes/{runtime}", actWrite, "make or replace a runtime", func(ctx context.Context, in *struct {
		ByRuntime
		Body api.Runtime
	}) (*answer[api.Runtime], error) {
		in.Body.Name = in.Runtime
		out, err := s.setRuntime(ctx, actorOf(ctx), in.Body)
		return &answer[api.Runtime]{out}, err
	})
	op(s, a, "DELETE /api/v1/runtimes/{runtime}", actWrite, "remove a runtime that no flow uses", func(ctx context.Context, in *ByRuntime) (*struct{}, error) {
		return nil, s.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveRuntime(ctx, in.Runtime) })
	})
	op(s, a, "GET /api/v1/runtimes/{runtime}/history", actRead, "list the versions of a runtime", func(ctx context.Context, in *ByRuntime) (*answer[[]api.Runtime], error) {
		list, err := s.store.RuntimeVersions(ctx, in.Runtime, 100)
		out := []api.Runtime{}
		for _, r := range list {
			version, err := wireRuntimeVersion(r)
			if err != nil {
				return nil, err
			}
			out = append(out, version)
		}
		return &answer[[]api.Runtime]{out}, err
	})
}

// serveLog streams the log of a job's attempt.
func (s *Server) serveLog(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	id, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	if err != nil {
		return errs.E(errs.Invalid, "%q is not the id of a run", r.PathValue("run"))
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
		return max(n, 0)
	}
	follow := r.URL.Query().Get("follow") == "true"
	attempt, err := s.findAttempt(ctx, id, r.PathValue("job"), int(number("attempt")), follow)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Query().Get("download") == "true" {
		w.Header().Set("Content-Disposition", logDisposition(id, r.PathValue("job"), attempt.Attempt))
	}
	log := logfile.ID{Run: id, Attempt: attempt.ID}
	if !follow || !attempt.Finished.IsZero() {
		reader, err := s.logs.Reader(log, number("offset"))
		if errs.Is(err, errs.NotFound) {
			return nil // nothing was printed
		}
		if err != nil {
			return err
		}
		defer reader.Close()
		_, _ = io.Copy(w, reader)
		return nil
	}
	out := http.NewResponseController(w)
	_ = out.Flush() // the headers, before there is a line
	offset := number("offset")
	for {
		err := s.logs.Follow(ctx, log, offset, func(at int64, data []byte) error {
			offset = at + int64(len(data))
			if _, err := w.Write(data); err != nil {
				return err
			}
			return out.Flush()
		})
		if err != nil && !errs.Is(err, errs.NotFound) || ctx.Err() != nil {
			return err
		}
		// Nothing is printed yet, or the server was restarted under the attempt.
		ended := !attempt.Finished.IsZero()
		if ended {
			return nil // what was written before its end was read after it
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(logLook):
		}
		if attempt, err = s.store.Attempt(ctx, attempt.ID); err != nil {
			return err
		}
	}
}

// logLook is how often a log that is not written to is looked at.
const logLook = 20 * time.Millisecond

// findAttempt finds an attempt of a job, 0 for the last one. If there is none
// yet and wait is set, it waits until there is.
func (s *Server) findAttempt(ctx context.Context, run int64, job string, number int, wait bool) (store.Attempt, error) {
	for {
		r, err := s.store.Run(ctx, run)
		if err != nil {
			return store.Attempt{}, err
		}
		pos, j, err := s.findJob(ctx, r, job)
		if err != nil {
			return store.Attempt{}, err
		}
		list, err := s.store.RunAttempts(ctx, run)
		if err != nil {
			return store.Attempt{}, err
		}
		var last store.Attempt
		for _, a := range list {
			if a.Pos == pos && (number == 0 || a.Attempt == number) {
				last = a
			}
		}
		if last.ID != 0 {
			return last, nil
		}
		if !wait || r.Status.Done() {
			return store.Attempt{}, errs.E(errs.NotFound, "job %s of run %d has no such attempt: it has not started", j.Name, run)
		}
		select {
		case <-ctx.Done():
			return store.Attempt{}, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// findFlow finds a flow of a project by their names.
func (s *Server) findFlow(ctx context.Context, project, flow string) (store.Project, store.Flow, error) {
	p, err := s.store.ProjectNamed(ctx, project)
	if err != nil {
		return p, store.Flow{}, err
	}
	f, err := s.flowNamed(ctx, p, flow)
	return p, f, err
}

// listFlows lists flows with their last run.
func (s *Server) listFlows(ctx context.Context, project, name string, archived bool) ([]api.Flow, error) {
	filter := store.FlowFilter{Name: name, Archived: archived}
	var err error
	if filter.Project, err = s.listedProject(ctx, project); err != nil {
		return nil, err
	}
	list, err := s.store.Flows(ctx, filter)
	if err != nil {
		return nil, err
	}
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return nil, err
	}
	called := map[int64]string{}
	for _, p := range projects {
		called[p.ID] = p.Name
	}
	last, err := s.store.LastRuns(ctx, filter)
	if err != nil {
		return nil, err
	}
	names := s.newNames()
	for _, f := range list {
		names.flows[f.ID] = f.Name
	}
	out := []api.Flow{}
	for _, f := range list {
		w := wireFlow(called[f.Project], f)
		if r, ran := last[f.ID]; ran {
			run, err := names.run(ctx, r)
			if err != nil {
				return nil, err
			}
			w.LastRun = &run
		}
		out = append(out, w)
	}
	return out, nil
}

func (s *Server) lastRun(ctx context.Context, f store.Flow) (*store.Run, error) {
	runs, err := s.store.Runs(ctx, store.RunFilter{Flow: f.ID, Limit: 1})
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return &runs[0], nil
}

func (s *Server) showFlow(ctx context.Context, p store.Project, f store.Flow) (api.Flow, error) {
	out := wireFlow(p.Name, f)
	last, err := s.lastRun(ctx, f)
	if err != nil {
		return out, err
	}
	if last != nil {
		run, err := s.wireRun(ctx, *last)
		if err != nil {
			return out, err
		}
		out.LastRun = &run
	}
	out.Storage = s.storage(p, f, last)
	out.Schedules, err = s.listSchedules(ctx, p.Name, f, 3)
	return out, err
}
