// Package server is the program that keeps flows and runs: its HTTP interface and
// what happens between a request and the scheduler.
//
// It promises that what it answers with success is kept. It decides no states
// (scheduler), runs no jobs (runner), and writes no SQL (store).
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/blob"
	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/logfile"
	"refline/internal/netguard"
	"refline/internal/notify"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/secret"
	"refline/internal/source"
	"refline/internal/store"
	"refline/internal/telemetry"
	"refline/internal/web"
)

// Options are the configuration of a server.
type Options struct {
	Data     string     // folder of the database, logs, mirrors; made if it is not there
	Database string     // postgres:// URL; "" for SQLite in Data
	Blobs    blob.Store // of artifacts, caches and finished logs; nil for a folder in Data
	Version  string     // of the program
	MinFree  int64      // bytes of free space in Data below which no job starts; 0: any is enough
	// AllowFile admits repositories that are folders of this computer: for the
	// owner of a server on loopback.
	AllowFile bool
	AllowNet  []string // networks that outgoing connections may reach beside public ones
	// PublicURL is where others reach the server, nil for its own address. Its path
	// is the base path.
	PublicURL *url.URL
	Proxies   []string           // addresses and networks of proxies whose X-Forwarded headers count
	KeyFile   string             // of encrypted values; "" for secret-keys in Data
	Mail      *notify.MailServer // that notifications go by; nil: none
	Log       *slog.Logger
	Now       func() time.Time
	Environ   []string

	proxies proxies
}

// Server is an open server. Make it with [Open], let it work with [Server.Run].
type Server struct {
	options   Options
	store     *store.Store
	scheduler *scheduler.Scheduler
	launcher  *scheduler.Launcher
	logs      *logfile.Dir
	guard     *netguard.Guard
	hosts     hosts
	secrets   *Access
	router    *router
	handler   http.Handler
	memory    *api.PipeListener
	compiled  compiledRuns
	images    imageConfigs
	tasks     taskViews
	inputs    inputViews
	blobs     blob.Store
	files     *Files
	looker    *scheduler.Looker
	looks     *scheduler.LookQueue
	polls     chan struct{} // wakes lookAround
	wanted    chan struct{} // wakes launchRuns
	lints     chan struct{} // places for checks of pipelines
	notices   *notices
	tails     keptLogs[[]api.LogLine]
	marks     keptLogs[api.LogMarks]
	site      *web.Site
	unlock    func()
	room      *room
	metrics   *telemetry.Metrics
	started   time.Time

	// artifactReads has a place for each archive that is read for a page.
	artifactReads chan struct{}
}

// Open opens the data folder and the database. Conflict if another server uses
// the folder.
func Open(ctx context.Context, o Options) (s *Server, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.PublicURL != nil {
		if o.PublicURL, err = parsePublicURL(o.PublicURL.String()); err != nil {
			return nil, err
		}
	}
	if o.proxies, err = parseProxies(o.Proxies); err != nil {
		return nil, err
	}
	s = &Server{options: o, memory: api.ListenPipe(), started: o.Now(), artifactReads: make(chan struct{}, artifactReads)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return s, errs.E(errs.Unavailable, "the data folder: %w", err)
	}
	if s.unlock, err = Lock(o.Data); err != nil {
		return s, err
	}
	if s.store, err = store.Open(ctx, Database(o)); err != nil {
		return s, err
	}
	if s.secrets, err = OpenAccess(ctx, s.store, AccessOptions{Data: o.Data, KeyFile: o.KeyFile, Now: o.Now, Log: o.Log}); err != nil {
		return s, err
	}
	if _, err := s.secrets.OwnerToken(ctx); err != nil {
		return s, err
	}
	// A runner keeps MaxBytes, and then says what it left out.
	if s.logs, err = logfile.Open(LogFolder(o.Data), logfile.MaxBytes+1<<20, o.Now); err != nil {
		return s, err
	}
	if s.blobs = o.Blobs; s.blobs == nil {
		if s.blobs, err = blob.OpenFolder(BlobFolder(o.Data)); err != nil {
			return s, err
		}
	}
	if o.Blobs != nil {
		s.logs.UseBlobs(o.Blobs)
	}
	s.files = &Files{Store: s.store, Blobs: s.blobs, Logs: s.logs, Now: o.Now}
	networks, err := netguard.ParseNetworks(o.AllowNet)
	if err != nil {
		return s, err
	}
	s.guard = netguard.New(netguard.Options{Allow: networks, Trusted: s.hosts.has})
	if err := s.loadHosts(ctx); err != nil {
		return s, err
	}
	s.scheduler = scheduler.New(s.store, o.Now)
	s.launcher = &scheduler.Launcher{
		Scheduler: s.scheduler, Store: s.store, Now: o.Now,
		Remote: s.remote, Image: s.flowImage, Variables: s.compileVariables, Includes: s.includes, Artifact: s.openArtifact, Dotenv: dispatcher{s}.dotenv,
	}
	s.scheduler.Starter, s.scheduler.Log = s.launcher, o.Log
	s.openLooks()
	s.openNotices()
	s.openRoom()
	s.handler = s.routes()
	return s, nil
}

// LogFolder and BlobFolder are where a data folder has logs and blobs.
func LogFolder(data string) string { return filepath.Join(data, "logs") }

// BlobFolder is where blobs are that are not in S3.
func BlobFolder(data string) string { return filepath.Join(data, "blobs") }

// KeyFile is the file with the keys of encrypted values.
func KeyFile(o Options) string { return keyFile(o.Data, o.KeyFile) }

// Database is the address of the database.
func Database(o Options) string {
	if o.Database == "" {
		return filepath.Join(o.Data, "refline.db")
	}
	return o.Database
}

// Handler answers all requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Run works until ctx is done: it takes turns and serves the listeners, and a
// connection of this process (see [Server.Transport]).
func (s *Server) Run(ctx context.Context, listeners ...net.Listener) error {
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h := newHTTPServer(s.handler)
	h.BaseContext = func(net.Listener) context.Context { return work }
	var group sync.WaitGroup
	fail := func(err error) {
		if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			cancel(err)
		}
	}
	for _, l := range append(listeners, s.memory) {
		group.Go(func() { fail(h.Serve(l)) })
	}
	group.Go(func() { fail(s.scheduler.Run(work)) })
	group.Go(func() { s.secrets.Maintain(work) })
	group.Go(func() { s.sweepBlobs(work) })
	if s.options.Blobs != nil {
		group.Go(func() { s.archiveLogs(work) })
	}
	for _, loop := range []func(context.Context){s.looks.Run, s.lookAround, s.launchRuns, s.watchRuns, s.deliverNotices, s.pruneNotices, s.room.watch} {
		group.Go(func() { loop(work) })
	}
	<-work.Done()
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if err := h.Shutdown(end); err != nil {
		_ = h.Close()
	}
	group.Wait()
	if err := context.Cause(work); ctx.Err() == nil {
		return err
	}
	return nil
}

// Transport carries requests to the server inside of this process.
func (s *Server) Transport() http.RoundTripper {
	return &http.Transport{
		DialContext:         s.memory.Dial,
		MaxIdleConnsPerHost: 64, DisableCompression: true,
	}
}

// Close gives everything back.
func (s *Server) Close() error {
	var all []error
	if s.memory != nil {
		all = append(all, s.memory.Close())
	}
	if s.logs != nil {
		all = append(all, s.logs.Close())
	}
	if f, ok := s.blobs.(*blob.Folder); ok && f != nil && s.options.Blobs == nil {
		all = append(all, f.Close())
	}
	if s.store != nil {
		all = append(all, s.store.Close())
	}
	if s.unlock != nil {
		s.unlock()
	}
	return errors.Join(all...)
}

// remote opens the repository of a project with its credentials. end gives back
// what serves them.
func (s *Server) remote(ctx context.Context, p store.Project) (_ *git.Remote, end func(), err error) {
	set, err := s.credentials(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	at, err := s.address(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	set.Tokens = append(set.Tokens, at.tokens...)
	base := s.access()
	base.Shown = at.shown
	access, end, err := set.Reach(at.url, base)
	if err != nil {
		return nil, nil, err
	}
	remote, err := git.NewRemote(at.url, s.mirrors(), access)
	if err != nil {
		end()
	}
	return remote, end, err
}

func (s *Server) mirrors() string { return filepath.Join(s.options.Data, "mirrors") }

func (s *Server) access() git.Access {
	return git.Access{Trust: git.Server, AllowFile: s.options.AllowFile, Guard: s.guard, Environ: s.options.Environ}
}

// compileVariables are what a pipeline is compiled with: no values of masked ones.
func (s *Server) compileVariables(ctx context.Context, p store.Project) (definition.Variables, error) {
	// The definition withholds protected ones by its ref.
	r := secret.Request{Event: string(pipeline.TriggerPush), Level: secret.LevelProtected, ProtectedRef: true}
	list, err := s.secrets.ForCompile(ctx, p.ID, r)
	return definition.Variables{Project: list, Pipeline: []pipeline.Variable{}}, err
}

// includes says where files of other projects come from: repositories of this
// server's projects, templates and URLs through the guard.
func (s *Server) includes(_ context.Context, p store.Project) source.Includes {
	return source.Includes{
		Guard: s.guard, Now: s.options.Now, Copies: filepath.Join(s.options.Data, "includes"),
		Remote: func(url string) (*git.Remote, error) { return git.NewRemote(url, s.mirrors(), s.access()) },
	}
}
