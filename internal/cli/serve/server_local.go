package serve

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/history"
	"refline/internal/localserver"
)

// localOptions show local runs instead of a server's.
type localOptions struct {
	on, open bool
	run      int64
}

func (o *localOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.on, "local", false, "show the runs of refline run on this computer, and nothing else")
	f.BoolVar(&o.open, "open", false, "with --local: open a browser")
	f.Int64Var(&o.run, "run", 0, "with --local: begin with the page of this run")
}

// runLocal shows local runs until Ctrl-C.
func runLocal(cmd *cobra.Command, e *cli.Env, o *serverOptions) error {
	if !o.local.on {
		return cli.Usagef("--open and --run are for --local")
	}
	var other string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "local", "open", "run", "listen":
		default:
			other = f.Name
		}
	})
	if other != "" {
		return cli.Usagef("--%s is for a server; --local takes --listen, --open and --run", other)
	}
	if !cmd.Flags().Changed("listen") {
		o.listen = "127.0.0.1:0"
	}
	o.insecure = false
	if _, err := checkListen(o); err != nil {
		return err
	}
	state, err := e.StateDir()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	defer context.AfterFunc(e.Stop, cancel)()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return errs.E(errs.Unavailable, "listen on %s: %w; another address: --listen 127.0.0.1:0", o.listen, err)
	}
	s := localserver.New(localserver.Options{Store: history.Open(state, nil), Version: cli.Version})
	page := "/"
	if o.local.run > 0 {
		page = "/runs/" + strconv.FormatInt(o.local.run, 10)
	}
	url := "http://" + listener.Addr().String() + s.Link(page)
	what := "the runs of this computer"
	if o.local.run > 0 {
		what = "run " + strconv.FormatInt(o.local.run, 10)
	}
	fmt.Fprintf(e.Stderr, "%s in a browser, by this address once:\n  %s\n", what, url)
	if o.local.open {
		if err := openBrowser(ctx, url); err != nil {
			e.Notef("no browser was opened (%v); open the address yourself", err)
		}
	}
	return s.Serve(ctx, listener)
}

// openBrowser asks the desktop to show an address.
func openBrowser(ctx context.Context, url string) error {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s is not installed", name)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, args...) //nolint:gosec // the address is our own
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // the desktop has it
	return nil
}
