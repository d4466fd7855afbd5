// Package refltest has a server's core and runners in one process, for tests: the
// real store, scheduler, logs, runner protocol and runners, on a connection in memory
// or over TCP. What a test wants to go wrong is put between them.
package refltest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/api"
	"refline/internal/blob"
	"refline/internal/executor"
	"refline/internal/executor/process"
	"refline/internal/logfile"
	"refline/internal/pipeline"
	"refline/internal/runner"
	"refline/internal/scheduler"
	"refline/internal/server"
	"refline/internal/store"
)

// Options change a server.
type Options struct {
	Dir      string        // "" for a folder of the test
	Database string        // "" for SQLite in Dir
	Lease    time.Duration // of runner sessions; 0 is the default
	LogMax   int64
	TCP      bool       // runners of other processes can reach it
	URL      string     // with TCP: the address to listen at again
	Blobs    blob.Store // nil for a folder in Dir
	// Wrap stands between runners and the server; may be nil.
	Wrap func(http.Handler) http.Handler
	// Spec completes what an attempt is given; may be nil.
	Spec func(*api.JobSpec)
}

// T is what a test gives; a process of its own that a test starts has one too.
type T interface {
	Helper()
	Log(args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

var _ T = testing.TB(nil)

// Server is a server's core.
type Server struct {
	T         T
	Store     *store.Store
	Scheduler *scheduler.Scheduler
	Logs      *logfile.Dir
	API       *server.RunnerAPI
	URL       string
	Project   int64

	options Options
	memory  atomic.Pointer[api.PipeListener] // another one after each start
	stop    func()
}

// Start starts a server that ends with the test.
func Start(t T, o Options) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Database == "" {
		o.Database = filepath.Join(o.Dir, "refline.db")
	}
	s := &Server{T: t, options: o, URL: o.URL}
	s.open()
	t.Cleanup(func() { s.stop() })
	s.makeProject()
	return s
}

// Restart stops the server and starts it again on the same folder.
func (s *Server) Restart() {
	s.T.Helper()
	s.stop()
	s.open()
}

// Stop ends the server; runners do not reach it then.
func (s *Server) Stop() { s.stop() }

func (s *Server) open() {
	s.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if s.Store, err = store.Open(ctx, s.options.Database); err != nil {
		s.T.Fatal(err)
	}
	if s.Logs, err = logfile.Open(filepath.Join(s.options.Dir, "logs"), s.options.LogMax, time.Now); err != nil {
		s.T.Fatal(err)
	}
	s.Scheduler = scheduler.New(s.Store, time.Now)
	if s.options.Lease > 0 {
		s.Scheduler.Lease = s.options.Lease
	}
	blobs := s.options.Blobs
	folder, err := blob.OpenFolder(filepath.Join(s.options.Dir, "blobs"))
	if err != nil {
		s.T.Fatal(err)
	}
	if blobs == nil {
		blobs = folder
	}
	s.API = &server.RunnerAPI{
		Files:     &server.Files{Store: s.Store, Blobs: blobs, Now: time.Now},
		Scheduler: s.Scheduler, Store: s.Store, Logs: s.Logs, Dispatch: s,
		Authenticate: func(r *http.Request) (server.RunnerIdentity, error) {
			who := server.RunnerIdentity{Runner: 1, Name: "test", AnyTags: true}
			if text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "+attemptToken); ok {
				who.Attempt, _ = strconv.ParseInt(text, 10, 64)
			}
			return who, nil
		},
		AttemptToken: func(_ context.Context, _, fence int64) (string, error) {
			return attemptToken + strconv.FormatInt(fence, 10), nil
		},
	}
	calls := &calls{next: s.API.Handler()}
	handler := http.Handler(calls)
	if s.options.Wrap != nil {
		handler = s.options.Wrap(handler)
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	var group sync.WaitGroup
	group.Go(func() {
		if err := s.Scheduler.Run(ctx); err != nil {
			s.T.Error(err)
		}
	})
	s.listen(web, &group)
	s.stop = sync.OnceFunc(func() {
		cancel()
		_ = web.Close()
		calls.end()
		group.Wait()
		if err := folder.Close(); err != nil {
			s.T.Error(err)
		}
		if err := s.Logs.Close(); err != nil {
			s.T.Error(err)
		}
		if err := s.Store.Close(); err != nil {
			s.T.Error(err)
		}
	})
}

// calls waits for those that are at work when the server ends, which http.Server does
// not.
type calls struct {
	next  http.Handler
	mu    sync.Mutex
	ended bool
	open  sync.WaitGroup
}

func (c *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	c.open.Add(1)
	c.mu.Unlock()
	defer c.open.Done()
	c.next.ServeHTTP(w, r)
}

func (c *calls) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.open.Wait()
}

// listen serves in memory, or by TCP at the address that it had before.
func (s *Server) listen(web *http.Server, group *sync.WaitGroup) {
	var l net.Listener
	if s.options.TCP {
		address := "127.0.0.1:0"
		if s.URL != "" {
			address = strings.TrimPrefix(s.URL, "http://")
		}
		var err error
		for range 100 { // the port of a server that just ended
			if l, err = net.Listen("tcp", address); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			s.T.Fatal(err)
		}
		s.URL = "http://" + l.Addr().String()
	} else {
		pipe := api.ListenPipe()
		s.memory.Store(pipe)
		l, s.URL = pipe, "http://memory"
	}
	group.Go(func() { _ = web.Serve(l) })
}

func (s *Server) makeProject() {
	s.T.Helper()
	ctx := context.Background()
	ids, err := s.Store.NewIDs(ctx, "project", 1)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Project = ids[0]
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.AddProject(ctx, store.Project{ID: s.Project, Name: fmt.Sprint("p", s.Project), Created: time.Now()})
	})
	if err != nil {
		s.T.Fatal(err)
	}
}

// Secrets implements [server.Dispatcher].
func (s *Server) Secrets(ctx context.Context, fence int64) ([]api.JobSecret, error) {
	spec, err := s.Job(ctx, fence)
	return spec.MaskedValues(), err
}

// Job implements [server.Dispatcher]: the job as it is written, with what earlier jobs
// left and no sources.
func (s *Server) Job(ctx context.Context, fence int64) (api.JobSpec, error) {
	a, err := s.Store.Attempt(ctx, fence)
	if err != nil {
		return api.JobSpec{}, err
	}
	p, err := s.pipeline(ctx, a.Run)
	if err != nil {
		return api.JobSpec{}, err
	}
	spec := api.JobSpec{
		Fence: fence, Run: a.Run, Attempt: a.Attempt, Project: "p", Job: &p.Jobs[a.Pos], Keep: artifactKey(fence), KeepCaches: true,
		Variables: api.JobVariables{Below: []pipeline.Variable{{Name: "GIT_STRATEGY", Value: "none"}}},
	}
	if err := s.take(ctx, p, a, &spec); err != nil {
		return spec, err
	}
	if s.options.Spec != nil {
		s.options.Spec(&spec)
	}
	return spec, nil
}

// attemptToken begins the tokens of attempts that pods claimed.
const attemptToken = "attempt-"

// Launch implements [server.Dispatcher].
func (s *Server) Launch(ctx context.Context, fence int64) (api.LaunchSpec, error) {
	spec, err := s.Job(ctx, fence)
	return api.LaunchSpec{Fence: fence, Run: spec.Run, Project: spec.Project, Job: spec.Job.Name, Image: spec.Job.Image, Services: launchServices(spec.Job), Timeout: spec.Job.Timeout, Runtime: spec.Runtime}, err
}

func artifactKey(attempt int64) string { return "artifact/" + strconv.FormatInt(attempt, 10) }

// take adds what the jobs left that this one needs.
func (s *Server) take(ctx context.Context, p *pipeline.Pipeline, a store.Attempt, spec *api.JobSpec) error {
	graph, err := pipeline.NewGraph(p)
	if err != nil {
		return err
	}
	rows, err := s.Store.RunJobs(ctx, a.Run)
	if err != nil {
		return err
	}
	for _, pos := range graph.ArtifactSources(a.Pos).Jobs {
		for _, row := range rows {
			if row.Pos != pos {
				continue
			}
			list, err := s.Store.AttemptResults(ctx, []int64{row.AttemptID})
			if err != nil {
				return err
			}
			for _, r := range list {
				var result api.JobResult
				if err := json.Unmarshal([]byte(r.Body), &result); err != nil {
					return err
				}
				if result.Artifacts {
					spec.Take = append(spec.Take, artifactKey(row.AttemptID))
				}
				spec.Variables.Dotenv = append(spec.Variables.Dotenv, result.Dotenv...)
			}
		}
	}
	return nil
}

func (s *Server) pipeline(ctx context.Context, run int64) (*pipeline.Pipeline, error) {
	r, err := s.Store.Run(ctx, run)
	if err != nil {
		return nil, err
	}
	body, err := s.Store.PipelineBody(ctx, r.Pipeline)
	if err != nil {
		return nil, err
	}
	return scheduler.DecodePipeline(body)
}

// Create makes a run.
func (s *Server) Create(p *pipeline.Pipeline) store.Run {
	s.T.Helper()
	r, err := s.Scheduler.Create(context.Background(), scheduler.NewRun{Project: s.Project, Pipeline: p, Source: pipeline.TriggerPush, Ref: "main"})
	if err != nil {
		s.T.Fatal(err)
	}
	return r
}

// Jobs makes a pipeline of jobs in one stage; those without a script do nothing.
func Jobs(list ...pipeline.Job) *pipeline.Pipeline {
	p := &pipeline.Pipeline{Stages: []string{"test"}}
	for _, j := range list {
		if j.Stage == "" {
			j.Stage = "test"
		}
		if j.When == "" {
			j.When = pipeline.WhenOnSuccess
		}
		if len(j.Script) == 0 {
			j.Script = []string{":"}
		}
		p.Jobs = append(p.Jobs, j)
	}
	return p
}

// Script makes a pipeline of one job.
func Script(lines ...string) *pipeline.Pipeline {
	return Jobs(pipeline.Job{Name: "job", Script: lines})
}

// Wait waits until a run has ended, and returns it.
func (s *Server) Wait(run int64) store.Run {
	s.T.Helper()
	return s.WaitFor(run, func(r store.Run) bool { return r.Status.Done() })
}

// WaitFor waits until a run is as it should be.
func (s *Server) WaitFor(run int64, good func(store.Run) bool) store.Run {
	s.T.Helper()
	changes := s.Scheduler.Watch(run)
	defer changes.Close()
	deadline := time.After(time.Minute)
	for {
		r, err := s.Store.Run(context.Background(), run)
		if err != nil {
			s.T.Fatal(err)
		}
		if good(r) {
			return r
		}
		select {
		case <-changes.Ready:
			changes.Take()
		case <-time.After(50 * time.Millisecond): // the server may have been restarted
		case <-deadline:
			s.T.Fatalf("run %d is %s after a minute", run, r.Status)
		}
	}
}

// Until waits until something is so, at most a minute.
func (s *Server) Until(what string, good func() bool) {
	s.T.Helper()
	deadline := time.Now().Add(time.Minute)
	for !good() {
		if time.Now().After(deadline) {
			s.T.Fatalf("%s is not as it should be within a minute", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Attempts returns the attempts of a run in order.
func (s *Server) Attempts(run int64) []store.Attempt {
	s.T.Helper()
	list, err := s.Store.RunAttempts(context.Background(), run)
	if err != nil {
		s.T.Fatal(err)
	}
	return list
}

// Log returns the log of an attempt; "" if there is none.
func (s *Server) Log(run, fence int64) string {
	s.T.Helper()
	r, err := s.Logs.Reader(logfile.ID{Run: run, Attempt: fence}, 0)
	if err != nil {
		return ""
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		s.T.Fatal(err)
	}
	return string(text)
}

// Check fails the test if the database is not consistent.
func (s *Server) Check() {
	s.T.Helper()
	broken, err := s.Store.Check(context.Background())
	if err != nil {
		s.T.Fatal(err)
	}
	if len(broken) > 0 {
		s.T.Errorf("the database is not consistent:\n%s", strings.Join(broken, "\n"))
	}
}

// Process is the executor of this computer.
func Process() executor.Kind {
	return executor.Kind{Name: "process", Open: func(context.Context) (executor.Executor, error) { return process.New(), nil }}
}

// RunnerOptions are those of a runner of the server in this process.
func (s *Server) RunnerOptions() runner.Options {
	o := runner.Options{
		URL: s.URL, Name: "test", Slots: 1, Dir: s.T.TempDir(), Kinds: []executor.Kind{Process()},
		Notice: func(text string) { s.T.Log("runner: " + text) },
	}
	if !s.options.TCP {
		o.Embedded, o.Transport = true, &http.Transport{
			DialContext:         func(ctx context.Context, n, a string) (net.Conn, error) { return s.memory.Load().Dial(ctx, n, a) },
			MaxIdleConnsPerHost: 16, DisableCompression: true,
		}
	}
	return o
}

// Runner starts a runner in this process. stop ends it and returns its error; it
// ends with the test.
func (s *Server) Runner(o runner.Options) (stop func() error) {
	s.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx, o) }()
	stop = sync.OnceValue(func() error {
		cancel()
		err := <-done
		if t, ok := o.Transport.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
		return err
	})
	s.T.Cleanup(func() { _ = stop() })
	return stop
}

func launchServices(j *pipeline.Job) (out []api.LaunchService) {
	for _, s := range j.Services {
		out = append(out, api.LaunchService{Service: s})
	}
	return out
}
