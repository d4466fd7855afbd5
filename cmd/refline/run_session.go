package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"

	"refline/internal/artifact"
	"refline/internal/cache"
	"refline/internal/checkout"
	"refline/internal/credential"
	"refline/internal/definition"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/executor/choice"
	"refline/internal/history"
	"refline/internal/localrun"
	"refline/internal/lock"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/termview"
	"refline/internal/workspace"
)

// session is one refline run from its options to its record.
type session struct {
	e       *env
	o       *runOptions
	options pipelineOptions // of o, with the file that the command line names without -f
	c       *compiled
	keys    *runKeys // nil: none
	tokens  credential.Tokens
	secrets mask.Set // what logs do not show
	store   history.Store
	state   string // folder of the store and of the workspaces
	record  history.Run
	unlock  func()
	builds  string   // where the workspaces are
	release func()   // gives builds back
	jobs    []string // named on the command line
	runsOn  *choice.Executors
	view    *termview.View
	events  *jsonEvents // with --json; else nil
	names   localrun.Names
	created bool
	kept    bool     // the run's folder is worth keeping
	toPlay  []string // manual jobs that the last answer named
	journal *history.Journal

	earlier   *localrun.EarlierRun // results of jobs that are not run; nil: none
	screen    sync.RWMutex
	keyReader *keyReader // nil before the first shell
	cutLogs   []string   // jobs whose log has reached the limit
}

// open makes the run's folders, compiles the pipeline and chooses the jobs.
func (s *session) open(ctx context.Context, jobs []string) error {
	hideMemory() // before there is a secret in it
	err := s.openEarlier()
	if err != nil {
		return err
	}
	if s.store, err = openHistory(s.e); err != nil {
		return err
	}
	if s.state, err = s.e.stateDir(); err != nil {
		return err
	}
	if s.record.Number, err = s.store.Create(); err != nil {
		return err
	}
	s.created = true
	if s.unlock, err = lock.Folder(s.store.WorkFolder(s.record.Number)); err != nil {
		return err
	}
	sweepKilled(ctx, s.e, s.record.Number)
	if s.builds, s.release, err = localrun.TakeBuilds(s.state); err != nil {
		return err
	}
	if s.keys, err = openRunKeys(ctx, s.e, s.o); err != nil {
		return err
	}
	if s.tokens, err = openGitTokens(s.e, s.o.gitTokens); err != nil {
		return err
	}
	if err := s.compile(ctx, jobs); err != nil {
		return err
	}
	if err := s.earlier.Check(s.c.project.Name()); err != nil {
		return err
	}
	if s.c.pipeline == nil {
		if len(s.c.named) > 0 {
			return s.noJob(ctx, s.c.named[0])
		}
		return nil
	}
	return s.choose(ctx, s.c.named)
}

// compile makes the pipeline, with the run's secrets and credentials.
func (s *session) compile(ctx context.Context, words []string) error {
	run := &forRun{number: s.record.Number, words: words}
	var err error
	if run.secrets, err = openSecrets(s.e, s.o.secrets, &s.secrets); err != nil {
		return err
	}
	if err := s.tokens.AddTo(&s.secrets); err != nil {
		return err
	}
	for _, t := range s.tokens {
		run.withheld = append(run.withheld, t.Name)
	}
	if err := maskEnvironment(s.e, &s.secrets); err != nil {
		return err
	}
	s.options = s.o.pipelineOptions
	s.options.includes.tokens, s.options.includes.keys = s.tokens, s.keys
	withheld, err := s.keys.addTo(&s.secrets)
	if err != nil {
		return err
	}
	run.withheld = append(run.withheld, withheld...)
	if s.c, err = compileRun(ctx, s.e, &s.options, run); err != nil {
		return err
	}
	if len(s.c.named) < len(words) {
		s.options.file = words[0]
	}
	if name := s.keys.protected(); name != "" && !s.c.Facts.Protected {
		return errs.E(errs.Denied, "--deploy-key %s is a protected variable, and %s is not protected", name, s.c.where())
	}
	return maskVariables(&s.secrets, s.c.variables)
}

// choose keeps the named jobs and what they need.
func (s *session) choose(ctx context.Context, jobs []string) error {
	if len(jobs) == 0 {
		return s.checkManual()
	}
	for _, want := range jobs {
		found := false
		for i := range s.c.pipeline.Jobs {
			if j := &s.c.pipeline.Jobs[i]; j.Name == want || j.Base == want {
				s.jobs, found = append(s.jobs, j.Name), true
			}
		}
		if !found {
			return s.noJob(ctx, want)
		}
	}
	s.c.pipeline = pipeline.Select(s.c.pipeline, s.jobs, !s.o.only || s.earlier != nil)
	if s.earlier != nil {
		s.c.pipeline = s.earlier.Choose(s.c.pipeline, s.jobs, s.o.only)
	}
	return s.checkManual()
}

// noJob is the error for a word of the command line that is no job.
func (s *session) noJob(ctx context.Context, word string) error {
	if s.c.result.Explain(word) == nil && (strings.ContainsRune(word, '/') || slices.Contains([]string{".py", ".sh", ".yml", ".yaml", ".jsonnet"}, filepath.Ext(word))) {
		return errs.E(errs.NotFound, "%q is neither a file of %s nor a job of %s", word, s.c.project.Name(), s.c.file)
	}
	return s.c.notInPipeline(ctx, &s.options, word)
}

func (s *session) run(ctx context.Context) error {
	p := definition.WithDefaultImage(s.c.pipeline, s.o.defaultImage)
	if s.o.shell != "" {
		p = s.withoutRetries(p)
	}
	s.c.pipeline = p
	s.begin()
	var err error
	if s.runsOn, err = choice.Open(ctx, s.o.executorChoice(s.e, s.c.project.Name(), s.state), p, s.plays, s.confirmer()); err != nil {
		return err
	}
	trees, err := s.makeTrees(ctx)
	if err != nil {
		return err
	}
	s.record.Changed = s.c.checkout.ChangedFiles()
	fmt.Fprint(s.headerTo(), s.header()+"\n")
	s.c.notePretence(s.e, s.options)
	if ready := s.c.checkout.Ready(); ready > 0 {
		fmt.Fprintf(s.headerTo(), "  ready in %s\n", termview.Seconds(ready.Seconds()))
	}
	if err := s.store.Write(&s.record); err != nil {
		return err
	}
	if err := s.request().Write(s.store, s.record.Number); err != nil {
		return err
	}
	if s.journal, err = s.store.Journal(s.record.Number); err != nil {
		return err
	}
	defer s.journal.Close()
	s.kept = true
	s.openView(p)
	disorder := s.e.keepOrder()
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
	s.view = termview.New(s.e.stdout, s.mode(), s.e.color(), terminalSize, jobNames(p))
	if s.o.json {
		s.events = newJSONEvents(s.e.stdout)
		s.events.started(&s.record)
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
	r := &s.record
	r.Project, r.File, r.Commit = s.c.project.Name(), s.c.file, s.c.Facts.SHA
	r.Ref, r.Event, r.Inputs, r.Title = s.c.Ref(), s.c.Trigger, s.c.inputs, s.secrets.String(s.c.pipeline.Name)
	if p := s.c.pretence; p != nil {
		r.CodeOf = p.Code
	}
	r.Started, r.Status = s.e.now(), pipeline.StatusRunning
	if s.earlier != nil && s.earlier.Retry {
		r.RetryOf = s.earlier.Run.Number
	}
}

// header is the run's first line: what runs, at which commit.
func (s *session) header() string {
	p := s.c.pipeline
	again := ""
	if s.record.RetryOf != 0 {
		again = fmt.Sprintf(" · run %d again", s.record.RetryOf)
	}
	return fmt.Sprintf("%s · %s · %s in %s%s", s.c.file, s.c.what(), plural(len(p.Jobs), "job"), plural(len(p.Stages), "stage"), again)
}

func (s *session) headerTo() io.Writer {
	if s.o.json || s.e.quiet {
		return s.e.notes()
	}
	return s.e.stdout
}

func (s *session) mode() termview.Mode {
	switch {
	case s.e.quiet, s.o.json:
		return termview.ModeQuiet
	case s.e.terminal && !s.o.log && s.e.getenv("TERM") != "dumb" && !s.alone():
		return termview.ModeLive
	default:
		return termview.ModeLines
	}
}

// alone reports whether one job runs by itself, so that its output is the run's.
func (s *session) alone() bool {
	jobs := s.c.pipeline.Jobs
	return len(jobs) == 1 && jobs[0].Downstream == nil
}

// input is what the engine needs to run the pipeline.
func (s *session) input(ctx context.Context, trees *checkout.Trees) localrun.Input {
	in := localrun.Input{
		Number: s.record.Number, Dir: s.store.Folder(s.record.Number), Work: filepath.Join(s.builds, localrun.BuildsJobs),
		Artifacts: artifact.NewFolder(s.store.Folder(s.record.Number)),
		Pipeline:  s.c.pipeline, Variables: s.c.JobVariables,
		Job:   s.jobInput(ctx, trees, s.c.Definition),
		Play:  func(run, job string) bool { return s.plays(s.names.Of(run, job)) },
		Now:   s.o.now,
		Slots: make(chan struct{}, s.slots()),
		Lock:  s.lockGroup,
		Emit:  s.emit,
		Stop:  s.e.stop,
	}
	in.Child = s.child(trees)
	s.earlier.Use(&in, &s.names, in.Dir)
	if s.o.shell == "" && s.e.interactive && !s.o.json && !s.e.quiet && len(s.jobs) == 0 && len(s.o.manual) == 0 {
		in.Ask = s.askManual
	}
	return in
}

// emit shows an event and notes what a run that is killed would take with it:
// which job has which log.
func (s *session) emit(ev pipeline.Report) {
	s.screen.RLock() // while a shell has the terminal, reports wait
	defer s.screen.RUnlock()
	ev.Message, ev.Text = s.secrets.String(ev.Message), s.secrets.String(ev.Text)
	s.names.Observe(ev)
	if s.events != nil {
		s.events.emit(ev)
	}
	if ev.Job != "" {
		ev.Job = s.names.Of(ev.Run, ev.Job) // for people
	}
	switch {
	case ev.Kind == pipeline.ReportJobStarted, ev.Kind == pipeline.ReportJobStatus && ev.Status.Done():
		s.journal.Job(history.Job{
			Run: s.childRun(ev.Run), Name: ev.Job, Stage: ev.Stage, Status: ev.Status, Attempt: ev.Attempt, Seconds: ev.Seconds,
			ExitCode: ev.ExitCode, Reason: ev.Reason, AllowFailure: ev.AllowFailure, Log: s.relative(ev.Log),
			Message: ev.Message, Coverage: ev.Coverage,
		})
	case ev.Kind == pipeline.ReportStep:
		s.journal.Step(ev.Job, ev.Step)
	}
	if s.events == nil {
		s.view.Emit(ev)
	}
}

// childRun is the id of a run unless it is the one that was asked for.
func (s *session) childRun(id string) string {
	if id == strconv.FormatInt(s.record.Number, 10) {
		return ""
	}
	return id
}

func (s *session) slots() int {
	if s.o.parallel > 0 {
		return s.o.parallel
	}
	return 2 * runtime.NumCPU()
}

// jobInput gives the engine where each job runs and what it starts from.
func (s *session) jobInput(ctx context.Context, trees *checkout.Trees, d *definition.Definition) func(*pipeline.Job) (engine.JobInput, error) {
	var caches cache.Store
	if folder, err := openCaches(s.e); err == nil && !s.o.noCache {
		caches = folder
	}
	return func(j *pipeline.Job) (engine.JobInput, error) {
		ex, err := s.runsOn.ForJob(ctx, j)
		if err != nil {
			return engine.JobInput{}, err
		}
		tree, err := trees.Of(ctx, d, j, ex.Isolated())
		if err != nil {
			return engine.JobInput{}, err
		}
		in := engine.JobInput{
			Runner: engine.Runner{ID: "1", Description: "refline", Version: version}, Binary: s.binary(), Environ: s.tokens.WithoutNames(s.keys.jobEnviron(s.e.environ())), Tree: tree, Caches: caches, Project: s.c.project.Name(),
			LastCommit: s.lastCommit(ctx),
			LogLimit:   s.o.logLimit << 20,
			Executor:   ex, Secrets: &s.secrets, ReadOnly: s.c.checkout.Borrowed(), PythonEnv: pythonEnv(s.e),
			Agent: agentFor(ex, s.keys, s.tokens),
			Shell: s.jobShell(j), KeepWorkspace: s.keepWorkspace(j),
		}
		if s.o.inPlace {
			in.InPlace = s.c.root
		}
		return in, nil
	}
}

// lastCommit finds the commit that last changed a path; a failure is a notice.
func (s *session) lastCommit(ctx context.Context) func(string) string {
	return func(path string) string {
		commit, err := s.c.project.LastCommit(ctx, path)
		if err != nil {
			s.e.notef("%v", err)
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

func (s *session) lockGroup(ctx context.Context, group string) (func(), error) {
	return lock.WaitName(ctx, filepath.Join(s.state, "groups"), s.c.project.Name()+"\x00"+group)
}

// finish shows what never ran and keeps the record.
func (s *session) finish(res localrun.Result) {
	r := &s.record
	r.Finished, r.Status, r.Result = s.e.now(), res.Status, res.Result
	if s.e.stop.Err() != nil {
		r.Status, r.Result = pipeline.StatusCanceled, pipeline.ResultCanceled
	}
	r.Jobs = s.jobRecords("", "", s.c.pipeline, s.c.JobVariables, res)
	if len(res.State.Jobs) == len(s.c.pipeline.Jobs) {
		s.view.Rest(s.c.pipeline, res.State, s.why(res))
	}
	if s.events != nil {
		s.events.finished(r)
	}
	if err := s.store.Write(r); err != nil {
		s.e.notef("the run's record could not be written: %v", err)
	}
}

func (s *session) jobRecords(run, prefix string, p *pipeline.Pipeline, variables jobVariables, res localrun.Result) []history.Job {
	var out []history.Job
	for i := range p.Jobs {
		if i >= len(res.State.Jobs) {
			break
		}
		st, rec := res.State.Jobs[i], res.Jobs[i]
		j := history.Job{
			Run: run, Name: prefix + p.Jobs[i].Name, Stage: p.Jobs[i].Stage, Status: st.Status, Attempt: st.Attempt,
			Seconds: rec.Seconds, ExitCode: st.ExitCode, Reason: st.Reason, AllowFailure: st.AllowFailure,
			Log: s.relative(rec.Log), Artifacts: rec.Artifacts, Coverage: rec.Result.Coverage,
			Workspace: rec.Result.Workspace, EarlierRun: rec.Earlier,
			Environment: s.environment(&p.Jobs[i], variables, st.Status, rec.Result.Dotenv),
		}
		if p.Jobs[i].Base != p.Jobs[i].Name {
			j.Base = prefix + p.Jobs[i].Base
		}
		if rec.Result.Err != nil {
			j.Message = s.secrets.String(rec.Result.Err.Error())
		}
		out = append(out, j)
		if rec.Result.Log.Truncated {
			s.cutLogs = append(s.cutLogs, j.Name)
		}
		if rec.Earlier != 0 {
			out = append(out, s.earlier.Below(j.Name)...)
		}
		for _, c := range res.Children {
			if c.Trigger == p.Jobs[i].Name {
				out = append(out, s.jobRecords(c.Input.ID, j.Name+" / ", c.Input.Pipeline, c.Input.Variables, c.Result)...)
			}
		}
	}
	return out
}

// jobVariables gives a job's variables below and above those written for it.
type jobVariables func(*pipeline.Job) (below, above []pipeline.Variable)

// environment is what a job that ran deployed to; nil for nothing.
func (s *session) environment(j *pipeline.Job, variables jobVariables, status pipeline.Status, dotenv []pipeline.Variable) *history.Environment {
	if j.Environment == nil || status != pipeline.StatusSuccess && status != pipeline.StatusFailed {
		return nil
	}
	below, above := variables(j)
	name, url, err := pipeline.Deployment(j, pipeline.JobVariables(j, below, dotenv, above))
	if err != nil {
		return nil // the job has reported it
	}
	return &history.Environment{Name: s.secrets.String(name), URL: s.secrets.String(url)}
}

func (s *session) relative(path string) string {
	if path == "" {
		return ""
	}
	rel, err := filepath.Rel(s.store.Folder(s.record.Number), path)
	if err != nil {
		return path
	}
	return rel
}

// close removes what lives only as long as the run.
func (s *session) close() {
	if s.c != nil {
		s.c.close()
	}
	s.keys.close()
	if s.runsOn != nil {
		s.runsOn.Close()
	}
	if s.release != nil {
		s.release()
	}
	if s.unlock != nil {
		_ = workspace.Remove(s.store.WorkFolder(s.record.Number))
		s.unlock()
	}
	if s.created && !s.kept {
		_ = s.store.Discard(s.record.Number)
	}
}

func shellWord(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,", r)
	}) < 0 && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
