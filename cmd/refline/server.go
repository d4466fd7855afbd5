package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/server"
)

type serverOptions struct {
	data, listen, database string
	allowNet               []string
	insecure, noRunner     bool
	jobs                   int
}

func newServerCmd(e *env) *cobra.Command {
	o := &serverOptions{}
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the server: flows, schedules, runs, and a runner",
		Long: `Run the server in this terminal: the API, the scheduler and a runner for this
computer. It keeps all in one folder, which is made at the first start. Commands on
this computer find it; elsewhere refline login URL does.

Exit codes: 0 ended by a signal, 1 error, 2 usage.`,
		Example: `  refline server
  refline server --data /var/lib/refline --listen 127.0.0.1:7400
  REFLINE_DATABASE=postgres://refline@db/refline refline server`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runServer(cmd.Context(), e, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "folder of the server (default REFLINE_DATA, else the user's data folder)")
	f.StringVar(&o.listen, "listen", e.setting("REFLINE_LISTEN", "127.0.0.1:7400"), "address to listen on (REFLINE_LISTEN)")
	f.StringVar(&o.database, "database", "", "PostgreSQL by postgres://USER@HOST/DATABASE; a password comes from REFLINE_DATABASE or PGPASSWORD (default SQLite in the data folder)")
	f.StringArrayVar(&o.allowNet, "allow-net", nil, "network, as 10.0.0.0/8, that repositories and hooks may be in beside public ones and those of registered projects; repeatable")
	f.BoolVar(&o.insecure, "insecure", false, "listen without TLS on an address that others reach")
	f.BoolVar(&o.noRunner, "no-runner", false, "run no jobs here; runners are refline runner elsewhere")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "jobs of the runner here at the same time (default: the processors)")
	return cmd
}

// setting is a value of the environment, otherwise when that is empty.
func (e *env) setting(name, otherwise string) string {
	if v := e.getenv(name); v != "" {
		return v
	}
	return otherwise
}

func runServer(ctx context.Context, e *env, o *serverOptions) error {
	hideMemory()
	opened, err := openServer(ctx, e, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "refline %s on %s\n  data      %s\n", version, opened.url, opened.data)
	return opened.run(ctx, e)
}

// openedServer is a server with its listener.
type openedServer struct {
	*server.Server
	o        *serverOptions
	listener net.Listener
	url      string
	data     string
}

// openServer opens the data folder and the listener.
func openServer(ctx context.Context, e *env, o *serverOptions) (*openedServer, error) {
	s := &openedServer{o: o, data: o.data}
	var err error
	if s.data == "" {
		if s.data, err = e.dataDir(); err != nil {
			return nil, err
		}
	} else {
		s.data = e.path(s.data)
	}
	local, err := checkListen(o.listen, o.insecure)
	if err != nil {
		return nil, err
	}
	database := o.database
	if database == "" {
		database = e.getenv("REFLINE_DATABASE")
	}
	s.Server, err = server.Open(ctx, server.Options{
		Data: s.data, Database: database, Version: version, AllowNet: o.allowNet, AllowFile: local && !o.noRunner,
		Now: time.Now, Environ: e.environ(), Log: slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	if s.listener, err = config.Listen(ctx, "tcp", o.listen); err != nil {
		_ = s.Close()
		return nil, errs.E(errs.Unavailable, "listen on %s: %w; another address: --listen 127.0.0.1:0", o.listen, err)
	}
	s.url = "http://" + s.listener.Addr().String()
	return s, nil
}

// checkListen reports whether an address is reached from this computer alone.
func checkListen(listen string, insecure bool) (local bool, err error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false, usagef("--listen %q is not HOST:PORT: %v", listen, err)
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return true, nil
	}
	if insecure {
		return false, nil
	}
	return false, usagef("others reach %s, and tokens would travel in clear; listen on 127.0.0.1 behind a proxy with TLS, or allow it with --insecure", listen)
}

// run serves until the first interrupt or until ctx is done. The runner ends
// first, while there is a server to report to.
func (s *openedServer) run(ctx context.Context, e *env) error {
	defer s.Close()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	jobs, stopJobs := context.WithCancel(ctx)
	defer stopJobs()
	defer context.AfterFunc(e.stop, stopJobs)()
	if err := s.announce(); err != nil {
		return err
	}
	defer os.Remove(filepath.Join(s.data, serverFile))
	endRunner, err := s.startRunner(jobs, e)
	if err != nil {
		return err
	}
	defer context.AfterFunc(jobs, func() {
		endRunner()
		cancel()
	})()
	err = s.Run(work, s.listener)
	stopJobs()
	endRunner()
	return err
}

// announce writes where the server is, for commands on this computer.
func (s *openedServer) announce() error {
	text, err := json.Marshal(runningServer{URL: s.url, PID: os.Getpid(), Version: version})
	if err != nil {
		return err
	}
	path := filepath.Join(s.data, serverFile)
	if err := os.WriteFile(path+".part", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
