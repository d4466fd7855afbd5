package main

import (
	"context"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/cli/host"
	"refline/internal/definition"
	"refline/internal/engine"
	"refline/internal/executor/docker"
	"refline/internal/localrun"
	"refline/internal/terminal"
)

type runOptions struct {
	pipelineOptions
	executor     string
	strict       bool
	defaultImage string
	privileged   []string
	passEnv      []string
	network      string
	inPlace      bool
	parallel     int
	manual       []string
	now          bool
	only         bool
	noCache      bool
	secrets      []string
	deployKey    deployKeyOptions
	gitTokens    []string
	log          bool
	logLimit     int64 // MiB
	json         bool
	submodules   bool
	lfs          bool
	sparse       []string

	shell         string // when a shell is opened in a job, see bindShell
	keep          bool
	artifactsFrom string
	page          bool // show the run in a browser
	dry           bool // list the jobs instead

	// Not flags: what refline runs retry sets.
	earlier *localrun.EarlierRun
	request localrun.Request // what can be asked again
}

func newRunCmd(e *cli.Env) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run [FILE] [JOB…]",
		Short: "Run the pipeline, or some jobs and what they need",
		Long: `Run the pipeline of the working tree (uncommitted changes included, ignored files
not), or with --repo that of a branch, tag or commit of any repository. Each job
gets a fresh workspace. With JOB only those jobs run, and what they need.

FILE is a pipeline or a script (flow.py, anything that starts with #!), as with -f;
a job of this name comes first. A script is a pipeline of one job; --input K=V
reaches it as the argument --K=V and as REFLINE_INPUT_K.

A job that is named and is not in the pipeline is an error that names the rule.

Ctrl-C ends the run in order: scripts are stopped, after_script runs. A second
Ctrl-C does not wait.

Exit codes: 0 good, 1 error, 2 usage, 3 the run is red, 130 canceled.`,
		Example: `  refline run
  refline run test --log
  refline run flows/daily.py --input day=2026-11-22
  refline run --manual deploy --var REGION=eu
  refline run test --shell
  refline run test --only --artifacts-from 7
  refline run --repo https://git.example.com/data/flows.git --tag v1.4.0 -f flows/daily.yml --input day=2026-11-22`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("jobs") && o.parallel < 1 {
				return cli.Usagef("-j %d: how many jobs run at once is a number from 1", o.parallel)
			}
			if slices.Contains(args, "") {
				return cli.Usagef("JOB is empty; without JOB the whole pipeline runs")
			}
			if o.dry {
				p, jobs := o.dryRun(e, args)
				return runList(cmd.Context(), e, &listOptions{pipelineOptions: p, json: o.json, jobs: jobs, only: o.only})
			}
			o.request = requestOf(cmd, e.Dir, args)
			return runRun(cmd.Context(), e, o, args)
		},
	}
	o.bindRun(cmd, e)
	cmd.ValidArgsFunction = completeJobs(e, &o.pipelineOptions)
	return cmd
}

// bindRun binds all flags of refline run.
func (o *runOptions) bindRun(cmd *cobra.Command, e *cli.Env) {
	o.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.executor, "executor", "", executorHelp(host.Kinds(e, o.containers())))
	f.BoolVar(&o.strict, "strict", false, "refuse to run a job with an image on the host")
	f.StringVar(&o.defaultImage, "default-image", "", "image of jobs without one, with --executor docker")
	f.StringArrayVar(&o.privileged, "docker-privileged", nil, "images whose containers get all rights over this computer, as docker:dind needs; a pattern: 'docker:*dind', '**' for all")
	f.StringArrayVar(&o.passEnv, "pass-env", nil, "a variable of this environment that jobs in containers get too, below the pipeline's own; a pattern: 'AWS_*'")
	f.StringVar(&o.network, "docker-network", "", "a network of the container engine that jobs and their services join too; jobs reach each other's services there")
	f.BoolVar(&o.inPlace, "in-place", false, "run in the working tree itself instead of fresh workspaces")
	f.IntVarP(&o.parallel, "jobs", "j", 0, "how many jobs run at once (default: twice the processors)")
	f.StringArrayVar(&o.manual, "manual", nil, "play this manual job when its turn comes; \"all\" for every one")
	f.BoolVar(&o.now, "now", false, "start delayed jobs at once")
	f.BoolVar(&o.only, "only", false, "run only the named jobs, not what they need")
	f.BoolVar(&o.noCache, "no-cache", false, "neither restore nor keep caches")
	f.StringArrayVar(&o.secrets, "secret", nil, "a masked variable: NAME (from the environment) or NAME=@FILE")
	f.BoolVar(&o.page, "open", false, "show the run in a browser while it goes on; on a terminal until Ctrl-C")
	f.BoolVar(&o.dry, "dry-run", false, "list the jobs instead, as refline list does")
	_ = f.MarkHidden("dry-run")
	o.deployKey.bind(cmd)
	f.StringArrayVar(&o.gitTokens, "git-token", nil, "a token that the git of jobs and --repo uses for https: [USER@]HOST=NAME (a variable) or HOST=@FILE")
	f.BoolVar(&o.log, "log", false, "show the jobs' logs on a terminal too, line by line")
	f.Int64Var(&o.logLimit, "log-limit", engine.DefaultLogLimit>>20, "how much of a job's log is kept, in `MiB`; the job goes on")
	f.BoolVar(&o.json, "json", false, "print events as JSON lines")
	f.BoolVar(&o.submodules, "submodules", false, "take submodules along; GIT_SUBMODULE_STRATEGY does the same")
	f.BoolVar(&o.lfs, "lfs", false, "with --repo: fetch LFS files too")
	f.StringArrayVar(&o.sparse, "sparse", nil, "with --repo: check out only this path")
	f.IntVar(&o.Depth, "depth", 0, "with --repo: commits of history to fetch at least, where the cache has none yet (default all)")
	bindShell(f, &o.shell)
	f.BoolVar(&o.keep, "keep", false, keepHelp)
	f.StringVar(&o.artifactsFrom, "artifacts-from", "", "do not run needed jobs that passed in this earlier `RUN` (its number, or ~1 for the one before the last): take their artifacts")
}

// dryRun are the options of refline list for the same pipeline and jobs.
func (o *runOptions) dryRun(e *cli.Env, words []string) (p pipelineOptions, jobs []string) {
	p = o.pipelineOptions
	if p.File == "" && len(words) > 0 {
		file, _ := definition.SplitFlow(words[0])
		if info, err := os.Stat(e.Path(file)); err == nil && info.Mode().IsRegular() {
			p.File, words = words[0], words[1:]
		}
	}
	return p, words
}

func runRun(ctx context.Context, e *cli.Env, o *runOptions, jobs []string) error {
	if err := o.chooseExecutor(e); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	if err := o.checkShell(e); err != nil {
		return err
	}
	s := &session{e: e, o: o, Session: localrun.Session{Earlier: o.earlier}, terminal: terminal.Shared{In: e.Stdin}}
	defer s.close()
	if err := s.open(ctx, jobs); err != nil {
		return err
	}
	if s.p == nil {
		e.Notef("%v", s.c.NoPipeline(ctx))
		return nil
	}
	err := s.run(ctx)
	s.page.wait(e)
	return err
}

func (o *runOptions) check() error {
	if o.defaultImage != "" && o.executor != "docker" {
		return cli.Usagef("--default-image is for --executor docker")
	}
	if o.Repo+o.Commit == "" && (o.lfs || len(o.sparse) > 0 || o.Depth != 0) {
		return cli.Usagef("--lfs, --sparse and --depth are for --repo; the working tree is taken as it is")
	}
	if o.logLimit < 1 || o.logLimit > 1<<20 {
		return cli.Usagef("--log-limit wants MiB, a number from 1 to %d", 1<<20)
	}
	if o.Depth < 0 {
		return cli.Usagef("--depth wants a number from 1, or 0 for all")
	}
	for _, pattern := range o.privileged {
		if err := docker.CheckPrivileged(pattern); err != nil {
			return cli.Usagef("--docker-privileged: %v", err)
		}
	}
	return nil
}
