package serve

import (
	"context"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/cli/host"
	"refline/internal/cli/remote"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/runner"
)

type runnerOptions struct {
	url, tokenFile, name, dir string
	tags, executors           []string
	pods                      podOptions
	jobs                      int
	allowHTTP                 bool
	grace                     time.Duration
}

func newRunnerCmd(e *cli.Env) *cobra.Command {
	o := &runnerOptions{}
	cmd := &cobra.Command{
		Use:   "runner",
		Short: cli.OfServer["runner"],
		Long: `Run the jobs of a server on this computer, until a signal ends it: jobs that run
then have --grace to finish. The token comes from a file or REFLINE_RUNNER_TOKEN.

Exit codes: 0 ended by a signal, 1 error, 2 usage.`,
		Example: `  refline runner --url https://refline.example.com --token-file /etc/refline/runner-token --tags docker,gpu -j 4
  refline runner --url https://refline.example.com --token-file token --executor kubernetes --agent-image registry.example.com/refline:1.4 -j 100`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runRunner(cmd.Context(), e, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", e.Setting("REFLINE_URL", ""), "address of the server (REFLINE_URL)")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the runner's token, - for standard input (default REFLINE_RUNNER_TOKEN)")
	f.StringVar(&o.name, "name", "", "name of the runner (default: that of the computer)")
	f.StringVar(&o.dir, "dir", "", "folder for mirrors, workspaces and what is not sent yet (default in the state folder)")
	f.StringSliceVar(&o.tags, "tags", nil, "tags whose jobs it takes (default: all of its token)")
	f.StringSliceVar(&o.executors, "executor", nil, "executors that it offers: process, docker, kubernetes (default: process and docker)")
	o.pods.Bind(e, f)
	f.IntVarP(&o.jobs, "jobs", "j", runtime.NumCPU(), "jobs at the same time")
	f.BoolVar(&o.allowHTTP, "allow-http", false, "reach repositories by http too")
	f.DurationVar(&o.grace, "grace", 30*time.Second, "how long jobs may go on when the runner is to end")
	remote.AddRunnerCmds(e, cmd)
	return cmd
}

func runRunner(ctx context.Context, e *cli.Env, o *runnerOptions) error {
	if o.url == "" {
		return cli.Usagef("which server? --url URL, or REFLINE_URL")
	}
	cli.HideMemory()
	token := e.Getenv("REFLINE_RUNNER_TOKEN")
	if o.tokenFile != "" || token == "" {
		if o.tokenFile == "" {
			return cli.Usagef("no token: --token-file FILE, or REFLINE_RUNNER_TOKEN; make one: refline runner token create")
		}
		var err error
		if token, err = remote.ReadToken(e, o.tokenFile); err != nil {
			return err
		}
	}
	dir := o.dir
	if dir == "" {
		state, err := e.StateDir()
		if err != nil {
			return err
		}
		dir = filepath.Join(state, "runner")
	}
	kinds, err := o.kinds(e, o.url)
	if err != nil {
		return err
	}
	options := jobRunner(e, e.Path(dir), kinds)
	options.URL, options.Token = o.url, func() string { return token }
	options.Name, options.Tags, options.Slots, options.AllowHTTP, options.Grace = o.name, o.tags, o.jobs, o.allowHTTP, o.grace
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.Stop, cancel)()
	return runner.Run(work, options)
}

// kinds are the executors that the runner offers.
func (o *runnerOptions) kinds(e *cli.Env, url string) ([]executor.Kind, error) {
	all := host.Kinds(e, host.Containers{})
	if len(o.executors) == 0 {
		return all, nil
	}
	var kinds []executor.Kind
	for _, name := range o.executors {
		found := false
		if name == "kubernetes" {
			kind, err := o.pods.Kind(e, o.name, url, o.allowHTTP)
			if err != nil {
				return nil, err
			}
			kinds = append(kinds, kind)
			continue
		}
		for _, k := range all {
			if k.Name == name {
				kinds, found = append(kinds, k), true
			}
		}
		if !found {
			return nil, cli.Usagef("--executor %q: want process, docker or kubernetes", name)
		}
	}
	return kinds, nil
}

// jobRunner is what every runner of this computer is started with.
func jobRunner(e *cli.Env, dir string, kinds []executor.Kind) runner.Options {
	return runner.Options{
		Version: cli.Version, Dir: dir, Kinds: kinds, Binary: cli.ClientProgram(), Environ: runner.HostEnviron(e.Environ()),
		PythonEnv: host.PythonEnv(e), PythonPackage: host.PythonPackage(e), Notice: func(text string) { e.Notef("runner: %s", text) },
	}
}

// startRunner starts the runner of this computer beside the server, which it
// reaches in memory.
func (s *openedServer) startRunner(ctx context.Context, e *cli.Env) (end func(), err error) {
	if s.o.noRunner {
		return func() {}, nil
	}
	token, err := s.LocalRunner(ctx)
	if err != nil {
		return nil, err
	}
	o := jobRunner(e, filepath.Join(s.data, "runner"), host.Kinds(e, host.Containers{}))
	o.URL, o.Token, o.Transport, o.Embedded = "http://server", func() string { return token }, s.Transport(), true
	o.Name, o.AllowFile, o.AllowHTTP, o.Grace = "local", true, true, 10*time.Second
	if o.Slots = s.o.jobs; o.Slots <= 0 {
		o.Slots = runtime.NumCPU()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := runner.Run(ctx, o); err != nil && !errs.Is(err, errs.Unavailable) && ctx.Err() == nil {
			e.Notef("refline: the runner of this server ended: %v", err)
		}
	}()
	return func() { <-done }, nil
}
