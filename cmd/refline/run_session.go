package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/term"

	"refline/internal/artifact"
	"refline/internal/cache"
	"refline/internal/checkout"
	"refline/internal/cli"
	"refline/internal/cli/host"
	"refline/internal/credential"
	"refline/internal/definition"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/choice"
	"refline/internal/localpipeline"
	"refline/internal/localrun"
	"refline/internal/pipeline"
	"refline/internal/runview"
	"refline/internal/secretsource"
	"refline/internal/terminal"
	"refline/internal/termview"
)

// session is one refline run from its options to its record.
type session struct {
	localrun.Session
	e       *cli.Env
	o       *runOptions
	options pipelineOptions // of o, with the file that the command line names without -f
	c       *localpipeline.Compiled
	p       *pipeline.Pipeline  // of c, as far as it runs
	keys    *credential.RunKeys // nil: none
	tokens  credential.Tokens
	jobs    []string // named on the command line
	runsOn  *choice.Executors
	view    *termview.View
	page    *runPage            // nil: none
	events  *runview.JSONEvents // with --json; else nil
	toPlay  []string            // manual jobs that the last answer named

	screen   sync.RWMutex
	terminal terminal.Shared
}

// open makes the run's folders, compiles the pipeline and chooses the jobs.
func (s *session) open(ctx context.Context, jobs []string) error {
	cli.HideMemory() // before there is a secret in it
	err := s.openEarlier()
	if err != nil {
		return err
	}
	store, err := openHistory(s.e)
	if err != nil {
		return err
	}
	state, err := s.e.StateDir()
	if err != nil {
		return err
	}
	if err = s.Open(store, state, func() { sweepKilled(ctx, s.e, s.Record.Number) }); err != nil {
		return err
	}
	if s.keys, err = s.e.Secrets().OpenRunKeys(ctx, secretsource.RunKeys{
		Specs: s.o.deployKey.specs, Hosts: s.o.deployKey.source(), Repo: s.o.Repo, Variables: s.o.Variables,
	}); err != nil {
		return err
	}
	if s.tokens, err = s.e.Secrets().GitTokens(s.o.gitTokens); err != nil {
		return err
	}
	if err := s.compile(ctx, jobs); err != nil {
		return err
	}
	if err := s.Earlier.Check(s.c.Project.Name()); err != nil {
		return err
	}
	if s.p = s.c.Pipeline; s.p == nil {
		if len(s.c.Named) > 0 {
			return s.c.NoJob(ctx, s.e.Local(), &s.options.Options, s.c.Named[0])
		}
		return nil
	}
	return s.choose(ctx, s.c.Named)
}

// compile makes the pipeline, with the run's secrets and credentials.
func (s *session) compile(ctx context.Context, words []string) error {
	run := &localpipeline.Run{Number: s.Record.Number, Words: words}
	var err error
	if run.Secrets, err = s.e.Secrets().JobSecrets(s.o.secrets, &s.Secrets); err != nil {
		return err
	}
	if err := s.tokens.AddTo(&s.Secrets); err != nil {
		return err
	}
	for _, t := range s.tokens {
		run.Withheld = append(run.Withheld, t.Name)
	}
	if err := credential.MaskEnvironment(s.e.Getenv, s.e.Environ(), &s.Secrets); err != nil {
		return err
	}
	s.options = s.o.pipelineOptions
	s.options.Includes.Tokens, s.options.Includes.Keys = s.tokens, s.keys
	withheld, err := s.keys.AddTo(&s.Secrets)
	if err != nil {
		return err
	}
	run.Withheld = append(run.Withheld, withheld...)
	if s.c, err = localpipeline.CompileRun(ctx, s.e.Local(), &s.options.Options, run); err != nil {
		return err
	}
	if len(s.c.Named) < len(words) {
		s.options.File = words[0]
	}
	if name := s.keys.Protected(); name != "" && !s.c.Facts.Protected {
		return errs.E(errs.Denied, "--deploy-key %s is a protected variable, and %s is not protected", name, s.c.Where())
	}
	return secretsource.MaskVariables(&s.Secrets, s.c.ProjectVariables)
}

// choose keeps the named jobs and what they need.
func (s *session) choose(ctx context.Context, jobs []string) error {
	if len(jobs) == 0 {
		return s.checkManual()
	}
	p, named, known := localrun.Choose(s.p, jobs, s.o.only, s.Earlier)
	if known < len(jobs) {
		return s.c.NoJob(ctx, s.e.Local(), &s.options.Options, jobs[known])
	}
	s.p, s.jobs = p, named
	return s.checkManual()
}

func (s *session) run(ctx context.Context) error {
	p := definition.WithDefaultImage(s.p, s.o.defaultImage)
	if s.o.shell != "" {
		p = s.withoutRetries(p)
	}
	s.p = p
	s.begin()
	var err error
	if s.runsOn, err = choice.Open(ctx, s.o.executorChoice(s.e, s.c.Project.Name(), s.State), p, s.plays, s.confirmer()); err != nil {
		return err
	}
	trees, err := s.makeTrees(ctx)
	if err != nil {
		return err
	}
	s.Record.Changed = s.c.Checkout.ChangedFiles()
	fmt.Fprint(s.headerTo(), s.header()+"\n")
	if note := s.c.PretenceNote(s.options.Options); note != "" {
		s.e.Notef("%s", note)
	}
	if ready := s.c.Checkout.Ready(); ready > 0 {
		fmt.Fprintf(s.headerTo(), "  ready in %s\n", termview.Seconds(ready.Seconds()))
	}
	if err := s.Start(s.request()); err != nil {
		return err
	}
	defer s.EndJournal()
	if s.o.page {
		s.page = openPage(ctx, s.e, s.Record.Number)
	}
	s.openView(p)
	disorder := s.e.KeepOrder()
	res, err := localrun.Run(ctx, s.input(ctx, trees))
	disorder()
	s.view.Close()
	s.finish(res)
	if err != nil {
		return err
	}
	return s.verdict(res)
}

// openView starts what shows the run.
func (s *session) openView(p *pipeline.Pipeline) {
	s.view = termview.New(s.e.Stdout, s.mode(), s.e.Color(), terminalSize, jobNames(p))
	if s.o.json {
		s.events = runview.NewJSONEvents(s.e.Stdout)
		s.events.Started(&s.Record)
	}
}

func terminalSize() (columns, rows int) {
	columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || columns < 20 {
		return 80, 24
	}
	return columns, rows
}

func jobNames(p *pipeline.Pipeline) []string {
	names := make([]string, len(p.Jobs))
	for i := range p.Jobs {
		names[i] = p.Jobs[i].Name
	}
	return names
}

func (s *session) begin() {
	r := &s.Record
	r.Project, r.File, r.Commit = s.c.Project.Name(), s.c.File, s.c.Facts.SHA
	r.Ref, r.Event, r.Inputs, r.Title = s.c.Ref(), s.c.Trigger, s.c.Inputs, s.Secrets.String(s.p.Name)
	if p := s.c.Pretence; p != nil {
		r.CodeOf = p.Code
	}
	r.Started, r.Status = s.e.Now(), pipeline.StatusRunning
	if s.Earlier != nil && s.Earlier.Retry {
		r.RetryOf = s.Earlier.Run.Number
	}
}

// header is the run's first line: what runs, at which commit.
func (s *session) header() string {
	p := s.p
	again := ""
	if s.Record.RetryOf != 0 {
		again = fmt.Sprintf(" · run %d again", s.Record.RetryOf)
	}
	return fmt.Sprintf("%s · %s · %s in %s%s", s.c.File, s.c.What(), termview.Count(len(p.Jobs), "job"), termview.Count(len(p.Stages), "stage"), again)
}

func (s *session) headerTo() io.Writer {
	if s.o.json || s.e.Quiet {
		return s.e.Notes()
	}
	return s.e.Stdout
}

func (s *session) mode() termview.Mode {
	switch {
	case s.e.Quiet, s.o.json:
		return termview.ModeQuiet
	case s.e.Terminal && !s.o.log && s.e.Getenv("TERM") != "dumb" && !s.alone():
		return termview.ModeLive
	default:
		return termview.ModeLines
	}
}

// alone reports whether one job runs by itself, so that its output is the run's.
func (s *session) alone() bool {
	jobs := s.p.Jobs
	return len(jobs) == 1 && jobs[0].Downstream == nil
}

// input is what the engine needs to run the pipeline.
func (s *session) input(ctx context.Context, trees *checkout.Trees) localrun.Input {
	jobs := s.jobsInput(trees)
	in := localrun.Input{
		Number: s.Record.Number, Dir: s.Store.Folder(s.Record.Number), Work: s.Workspaces(),
		Artifacts: artifact.NewFolder(s.Store.Folder(s.Record.Number)),
		Pipeline:  s.p, Variables: s.c.JobVariables,
		Job:   jobs.Input(ctx, s.c.Definition),
		Child: jobs.Child(s.c.Definition),
		Play:  func(run, job string) bool { return s.plays(s.Names.Of(run, job)) },
		Now:   s.o.now,
		Slots: make(chan struct{}, s.slots()),
		Lock:  s.LockGroup,
		Emit:  s.emit,
		Stop:  s.e.Stop,
	}
	s.Earlier.Use(&in, &s.Names, in.Dir)
	if s.o.shell == "" && s.e.Interactive && !s.o.json && !s.e.Quiet && len(s.jobs) == 0 && len(s.o.manual) == 0 {
		in.Ask = s.askManual
	}
	return in
}

// emit shows an event and notes what a run that is killed would take with it:
// which job has which log.
func (s *session) emit(ev pipeline.Report) {
	s.screen.RLock() // while a shell has the terminal, reports wait
	defer s.screen.RUnlock()
	ev = s.Observe(ev)
	if s.events != nil {
		s.events.Emit(ev)
	}
	ev = s.Note(ev)
	if s.events == nil {
		s.view.Emit(ev)
	}
}

func (s *session) slots() int {
	if s.o.parallel > 0 {
		return s.o.parallel
	}
	return 2 * runtime.NumCPU()
}

// jobsInput says where each job runs and what it starts from.
func (s *session) jobsInput(trees *checkout.Trees) localrun.Jobs {
	var caches cache.Store
	if folder, err := openCaches(s.e); err == nil && !s.o.noCache {
		caches = folder
	}
	return localrun.Jobs{
		Base: func(ctx context.Context) engine.JobInput {
			in := engine.JobInput{
				Runner: engine.Runner{ID: "1", Description: "refline", Version: cli.Version}, Binary: s.binary(), Environ: s.tokens.WithoutNames(s.keys.JobEnviron(s.e.Environ())), Caches: caches, Project: s.c.Project.Name(),
				LastCommit: s.lastCommit(ctx),
				LogLimit:   s.o.logLimit << 20,
				Secrets:    &s.Secrets, ReadOnly: s.c.Checkout.Borrowed(), PythonEnv: host.PythonEnv(s.e), PythonPackage: host.PythonPackage(s.e),
			}
			if s.o.inPlace {
				in.InPlace = s.c.Root
			}
			return in
		},
		Executor:     s.runsOn.ForJob,
		Tree:         trees.Of,
		Agent:        func(ex executor.Executor) engine.AgentStarter { return localrun.Agent(s.keys.Set(s.tokens), ex) },
		Shell:        s.jobShell,
		Keep:         s.keepWorkspace,
		DefaultImage: s.o.defaultImage,
		Decide: func(ctx context.Context, p *pipeline.Pipeline, trigger string) error {
			plays := func(job string) bool { return s.plays(trigger + " / " + job) }
			return s.runsOn.Decide(ctx, p, plays, s.pausing(s.confirmer()))
		},
	}
}

// lastCommit finds the commit that last changed a path; a failure is a notice.
func (s *session) lastCommit(ctx context.Context) func(string) string {
	return func(path string) string {
		commit, err := s.c.Project.LastCommit(ctx, path)
		if err != nil {
			s.e.Notef("%v", err)
		}
		return commit
	}
}

// binary is this program, for jobs on the host that call it.
func (s *session) binary() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

// finish shows what never ran and keeps the record.
func (s *session) finish(res localrun.Result) {
	r := &s.Record
	s.Finish(res, s.p, s.c.JobVariables, s.e.Now(), s.e.Stop.Err() != nil)
	if len(res.State.Jobs) == len(s.p.Jobs) {
		s.view.Rest(s.p, res.State, s.end(res).Why())
	}
	if s.events != nil {
		s.events.Finished(r)
	}
	if err := s.Store.Write(r); err != nil {
		s.e.Notef("the run's record could not be written: %v", err)
	}
}

// close removes what lives only as long as the run.
func (s *session) close() {
	if s.c != nil {
		s.c.Close()
	}
	s.keys.Close()
	if s.runsOn != nil {
		s.runsOn.Close()
	}
	s.Close()
}
