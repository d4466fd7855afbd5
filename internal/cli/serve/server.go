package serve

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/blob/s3"
	"refline/internal/cli"
	"refline/internal/cli/remote"
	"refline/internal/errs"
	"refline/internal/server"
	"refline/internal/termview"
)

type serverOptions struct {
	config                          string
	data, listen, database, blobs   string
	minFree                         string
	publicURL, tlsCert, tlsKey, key string
	allowNet, proxies               []string
	insecure, noRunner              bool
	jobs                            int
	local                           localOptions
	mail                            mailOptions
}

// defaultMinFree is that of --min-free.
const defaultMinFree = "256MiB"

func newServerCmd(e *cli.Env) *cobra.Command {
	o := &serverOptions{}
	cmd := &cobra.Command{
		Use:   "server",
		Short: cli.OfServer["server"],
		Long: `Run the server in this terminal: the API, the scheduler and a runner for this
computer. It keeps all in one folder, which is made at the first start. Commands on
this computer find it; elsewhere refline login URL does.

At its first start it prints an address that signs a browser in once.

With --local it shows the runs of refline run on this computer in the same pages, and
nothing else: no data folder is made, nothing is run or changed.

Exit codes: 0 ended by a signal, 1 error, 2 usage.`,
		Example: `  refline server
  refline server --local --open
  refline server --data /var/lib/refline --listen 127.0.0.1:7400
  REFLINE_DATABASE=postgres://refline@db/refline refline server`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.local.on || o.local.open || o.local.run != 0 {
				return runLocal(cmd, e, o)
			}
			if err := cli.Settings(e, cmd, o.config); err != nil {
				return err
			}
			return runServer(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", e.Getenv("REFLINE_CONFIG"), "YAML file with these settings by the names of the flags (REFLINE_CONFIG)")
	f.StringVar(&o.data, "data", "", "folder of the server (default REFLINE_DATA, else the user's data folder)")
	f.StringVar(&o.listen, "listen", "127.0.0.1:7400", "address to listen on")
	f.StringVar(&o.database, "database", "", "PostgreSQL, as postgres://USER@HOST/DATABASE; a password belongs into REFLINE_DATABASE or PGPASSWORD (default SQLite in the data folder)")
	f.StringVar(&o.blobs, "blobs", "", "where artifacts, caches and finished logs are kept, as s3://BUCKET/PREFIX?endpoint=…&region=… (default in the data folder)")
	f.StringVar(&o.publicURL, "public-url", "", "address by which others reach the server, as https://host/prefix behind a proxy")
	f.StringSliceVar(&o.proxies, "proxy", nil, "address or network of a proxy whose X-Forwarded headers count; repeatable")
	f.StringVar(&o.tlsCert, "tls-cert", "", "file with the TLS certificate and its chain; read again when it changes")
	f.StringVar(&o.tlsKey, "tls-key", "", "file with the key of the TLS certificate")
	f.StringVar(&o.key, "key-file", "", "file with the keys of encrypted values (default secret-keys in the data folder)")
	f.StringSliceVar(&o.allowNet, "allow-net", nil, "network, as 10.0.0.0/8, that repositories and hooks may be in beside public ones and those of registered projects; repeatable")
	f.BoolVar(&o.insecure, "insecure", false, "listen without TLS on an address that others reach")
	f.BoolVar(&o.noRunner, "no-runner", false, "run no jobs here; runners are refline runner elsewhere")
	f.StringVar(&o.minFree, "min-free", defaultMinFree, "free space of the data folder's disk below which no job starts and the server is not ready; 0 turns it off")
	o.mail.bind(cmd)
	o.local.bind(cmd)
	f.IntVarP(&o.jobs, "jobs", "j", 0, "jobs of the runner here at the same time (default: the processors)")
	cmd.AddCommand(newServerLinkCmd(e), remote.NewServerStatusCmd(e), remote.NewServerCheckCmd(e), newServerKeyCmd(e), newServerBackupCmd(e), newServerRestoreCmd(e))
	return cmd
}

func runServer(ctx context.Context, e *cli.Env, o *serverOptions) error {
	cli.HideMemory()
	if e.Getenv("GOGC") == "" {
		debug.SetGCPercent(200) // its memory is small, and it makes much that is gone at once
	}
	opened, err := openServer(ctx, e, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stderr, "refline %s on %s\n  data      %s\n", cli.Version, opened.url, opened.data)
	if opened.first {
		link, err := opened.OwnerLink(ctx, opened.url)
		if err != nil {
			return errors.Join(err, opened.Close())
		}
		fmt.Fprintf(e.Stderr, "  sign in   %s\n            once, within ten minutes; another: refline server link\n", link)
	}
	return opened.run(ctx, e)
}

// openedServer is a server with its listener.
type openedServer struct {
	*server.Server
	o        *serverOptions
	listener net.Listener
	url      string
	data     string
	first    bool // the data folder is new
}

// openServer opens the data folder and the listener.
func openServer(ctx context.Context, e *cli.Env, o *serverOptions) (*openedServer, error) {
	s := &openedServer{o: o, data: o.data}
	var err error
	if s.data == "" {
		if s.data, err = e.DataDir(); err != nil {
			return nil, err
		}
	} else {
		s.data = e.Path(s.data)
	}
	local, err := checkListen(o)
	if err != nil {
		return nil, err
	}
	options := server.Options{
		Data: s.data, Database: o.database, Version: cli.Version, AllowNet: o.allowNet, AllowFile: local && !o.noRunner, KeyFile: o.key, Proxies: o.proxies,
		Now: time.Now, Environ: e.Environ(), Log: slog.New(slog.NewTextHandler(e.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if options.Mail, err = o.mail.server(e); err != nil {
		return nil, err
	}
	if options.MinFree, err = termview.ParseBytes(o.minFree); err != nil {
		return nil, cli.Usagef("--min-free: %v", err)
	}
	var secure *tls.Config
	if o.tlsCert != "" || o.tlsKey != "" {
		if secure, err = server.TLS(e.Path(o.tlsCert), e.Path(o.tlsKey)); err != nil {
			return nil, err
		}
	}
	if o.blobs != "" {
		if options.Blobs, err = s3.Open(ctx, o.blobs); err != nil {
			return nil, err
		}
	}
	if o.publicURL != "" {
		if options.PublicURL, err = url.Parse(o.publicURL); err != nil || options.PublicURL.Host == "" {
			return nil, cli.Usagef("--public-url %q is not an address such as https://refline.example.com", o.publicURL)
		}
	}
	_, statErr := os.Stat(filepath.Join(s.data, server.OwnerTokenFile))
	s.first = errors.Is(statErr, fs.ErrNotExist)
	if s.Server, err = server.Open(ctx, options); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	if s.listener, err = config.Listen(ctx, "tcp", o.listen); err != nil {
		_ = s.Close()
		return nil, errs.E(errs.Unavailable, "listen on %s: %w; another address: --listen 127.0.0.1:0", o.listen, err)
	}
	s.url = "http://" + hereAddress(s.listener.Addr())
	if secure != nil {
		s.listener = tls.NewListener(s.listener, secure)
		s.url = "https://" + hereAddress(s.listener.Addr())
	}
	return s, nil
}

// hereAddress is how this computer reaches a listener: one on all addresses by the
// loopback interface.
func hereAddress(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	switch {
	case err != nil:
		return a.String()
	case at.Addr().IsUnspecified(): // :: takes IPv4 too
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	}
	return a.String()
}

// checkListen reports whether the server is reached from this computer alone.
func checkListen(o *serverOptions) (local bool, err error) {
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return false, cli.Usagef("--listen %q is not HOST:PORT: %v", o.listen, err)
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "localhost" || err == nil && ip.IsLoopback():
		return len(o.proxies) == 0 && o.publicURL == "", nil
	case o.insecure || o.tlsCert != "" || len(o.proxies) > 0:
		return false, nil
	}
	return false, cli.Usagef("others reach %s, and tokens would travel in clear: give --tls-cert and --tls-key, name the proxy that has TLS with --proxy, or allow it with --insecure", o.listen)
}

// run serves until the first interrupt or until ctx is done. The runner ends
// first, while there is a server to report to.
func (s *openedServer) run(ctx context.Context, e *cli.Env) error {
	defer s.Close()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	jobs, stopJobs := context.WithCancel(ctx)
	defer stopJobs()
	defer context.AfterFunc(e.Stop, stopJobs)()
	if err := s.announce(); err != nil {
		return err
	}
	defer os.Remove(filepath.Join(s.data, cli.ServerFile))
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
	text, err := json.Marshal(cli.RunningServer{URL: s.url, PID: os.Getpid(), Version: cli.Version})
	if err != nil {
		return err
	}
	path := filepath.Join(s.data, cli.ServerFile)
	if err := os.WriteFile(path+".part", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
