package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/executor/process"
	"refline/internal/pipeline"
)

type runOptions struct {
	pipelineOptions
	executor     string
	strict       bool
	defaultImage string
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
	json         bool
	submodules   bool
	lfs          bool
	sparse       []string
}

func newRunCmd(e *env) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run [JOB…]",
		Short: "Run the pipeline, or some jobs and what they need",
		Long: `Run the pipeline of the working tree (uncommitted changes included, ignored files
not), or with --repo that of a branch, tag or commit of any repository. Each job
gets a fresh workspace. With JOB only those jobs run, and what they need.

A script as the file (-f flow.py, anything that starts with #!) is a pipeline of
one job; --input K=V reaches it as the argument --K=V and as REFLINE_INPUT_K.

Ctrl-C ends the run in order: scripts are stopped, after_script runs. A second
Ctrl-C does not wait.

Exit codes: 0 good, 1 error, 2 usage, 3 the run is red, 130 canceled.`,
		Example: `  refline run
  refline run test --log
  refline run --manual deploy --var REGION=eu
  refline run --repo https://git.example.com/data/flows.git --tag v1.4.0 -f flows/daily.yml --input day=2026-11-22`,
		RunE: func(cmd *cobra.Command, args []string) error { return runRun(cmd.Context(), e, o, args) },
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.executor, "executor", "auto", "where jobs run: auto (a container for a job with an image, when an engine answers), process, docker")
	f.BoolVar(&o.strict, "strict", false, "refuse to run a job with an image on the host")
	f.StringVar(&o.defaultImage, "default-image", "", "image of jobs without one, with --executor docker")
	f.BoolVar(&o.inPlace, "in-place", false, "run in the working tree itself instead of fresh workspaces")
	f.IntVarP(&o.parallel, "jobs", "j", 0, "how many jobs run at once (default: twice the processors)")
	f.StringArrayVar(&o.manual, "manual", nil, "play this manual job when its turn comes; \"all\" for every one")
	f.BoolVar(&o.now, "now", false, "start delayed jobs at once")
	f.BoolVar(&o.only, "only", false, "run only the named jobs, not what they need")
	f.BoolVar(&o.noCache, "no-cache", false, "neither restore nor keep caches")
	f.StringArrayVar(&o.secrets, "secret", nil, "a masked variable: NAME (from the environment) or NAME=@FILE")
	o.deployKey.bind(cmd)
	f.StringArrayVar(&o.gitTokens, "git-token", nil, "a token that the git of jobs and --repo uses for https: [USER@]HOST=NAME (a variable) or HOST=@FILE")
	f.BoolVar(&o.log, "log", false, "show the jobs' logs on a terminal too, line by line")
	f.BoolVar(&o.json, "json", false, "print events as JSON lines")
	f.BoolVar(&o.submodules, "submodules", false, "with --repo: check submodules out too")
	f.BoolVar(&o.lfs, "lfs", false, "with --repo: fetch LFS files too")
	f.StringArrayVar(&o.sparse, "sparse", nil, "with --repo: check out only this path")
	return cmd
}

func runRun(ctx context.Context, e *env, o *runOptions, jobs []string) error {
	if err := o.check(); err != nil {
		return err
	}
	s := &session{e: e, o: o}
	defer s.close()
	if err := s.open(ctx, jobs); err != nil {
		return err
	}
	if s.c.pipeline == nil {
		e.notef("no pipeline for %s: %s", s.c.where(), s.c.notCreated)
		return nil
	}
	return s.run(ctx)
}

// session is one refline run from its options to its record.
type session struct {
	e       *env
	o       *runOptions
	c       *compiled
	key     *runKey // nil: none
	tokens  gitTokens
	store   runStore
	record  runRecord
	unlock  func()
	jobs    []string // named on the command line
	places  *places
	view    *runView
	created bool
	kept    bool // the run's folder is worth keeping
	answers *bufio.Reader
}

// open makes the run's folders, compiles the pipeline and chooses the jobs.
func (s *session) open(ctx context.Context, jobs []string) error {
	var err error
	if s.store, err = openRunStore(s.e); err != nil {
		return err
	}
	if s.record.Number, err = s.store.create(); err != nil {
		return err
	}
	s.created = true
	s.o.runNumber = s.record.Number
	if s.unlock, err = engine.LockFolder(s.store.workFolder(s.record.Number)); err != nil {
		return err
	}
	s.sweep(ctx)
	if s.key, err = openRunKey(ctx, s.e, s.o); err != nil {
		return err
	}
	if s.tokens, err = openGitTokens(s.e, s.o.gitTokens); err != nil {
		return err
	}
	s.o.includes.key, s.o.includes.tokens, s.o.reveal = s.key, s.tokens, true
	if s.c, err = compile(ctx, s.e, &s.o.pipelineOptions); err != nil {
		return err
	}
	if s.c.pipeline == nil {
		return nil
	}
	if err := s.c.addSecrets(s.e, s.o.secrets); err != nil {
		return err
	}
	if err := s.tokens.addTo(s.c.secrets); err != nil {
		return err
	}
	for _, t := range s.tokens {
		s.c.kept.withoutName(t.name)
	}
	if s.key != nil {
		if s.key.protected && !s.c.facts.Protected {
			return errs.E(errs.Denied, "--deploy-key %s is a protected variable, and %s is not protected", s.key.name, s.c.where())
		}
		s.c.kept.withoutName(s.key.name)
		if err := s.c.secrets.Add(s.key.name, s.key.text); err != nil {
			return errs.E(errs.Invalid, "--deploy-key %s: %w", s.key.name, err)
		}
	}
	return s.choose(jobs)
}

// sweep removes what runs that were killed left behind: folders, mounts and
// processes. Where nothing is left but what this run made, it costs a look.
func (s *session) sweep(ctx context.Context) {
	if !s.store.othersAtWork(s.record.Number) {
		return
	}
	if err := engine.Sweep(s.store.work); err != nil {
		s.e.notef("left over from an earlier run: %v", err)
	}
	if err := process.New().Sweep(ctx); err != nil {
		s.e.notef("left over from an earlier run: %v", err)
	}
}

// choose keeps the named jobs and what they need.
func (s *session) choose(jobs []string) error {
	if len(jobs) == 0 {
		return s.checkManual()
	}
	var names, known []string
	for i := range s.c.pipeline.Jobs {
		known = append(known, s.c.pipeline.Jobs[i].Name)
	}
	for _, want := range jobs {
		found := false
		for i := range s.c.pipeline.Jobs {
			if j := &s.c.pipeline.Jobs[i]; j.Name == want || j.Base == want {
				names, found = append(names, j.Name), true
			}
		}
		if !found {
			return errs.E(errs.NotFound, "no job %q in the pipeline of %s%s; why: refline explain %s", want, s.c.where(), didYouMean(want, known), want)
		}
	}
	s.jobs = names
	s.c.pipeline = pipeline.Select(s.c.pipeline, names, !s.o.only)
	return s.checkManual()
}

// checkManual refuses --manual for what is no manual job.
func (s *session) checkManual() error {
	for _, m := range s.o.manual {
		if m == "all" {
			continue
		}
		found := slices.ContainsFunc(s.c.pipeline.Jobs, func(j pipeline.Job) bool {
			return (j.Name == m || j.Base == m) && j.When == pipeline.Manual
		})
		// The job may be one of a child pipeline, which nobody knows yet.
		child := slices.ContainsFunc(s.c.pipeline.Jobs, func(j pipeline.Job) bool { return j.Trigger != nil })
		if !found && !child {
			return errs.E(errs.NotFound, "--manual %s: no manual job of that name in the pipeline of %s", m, s.c.where())
		}
	}
	return nil
}

// plays tells whether a manual job is played when its turn comes.
// In a child pipeline a job's name follows its trigger's: "trigger / job".
func (s *session) plays(name string) bool {
	root := s.c.pipeline.Job(name)
	base := name[strings.LastIndex(name, " / ")+1:]
	base = strings.TrimPrefix(base, "/ ")
	if root != nil {
		base = root.Base
	}
	for _, m := range s.o.manual {
		if m == "all" || m == name || m == base {
			return true
		}
	}
	return root != nil && slices.Contains(s.jobs, name)
}

func (s *session) run(ctx context.Context) error {
	p := s.c.pipeline
	s.begin()
	var err error
	if s.places, err = choosePlaces(ctx, s.e, s.o, p); err != nil {
		return err
	}
	tree, err := s.c.tree(ctx, filepath.Join(s.store.workFolder(s.record.Number), "tree"), s.o)
	if err != nil {
		return err
	}
	fmt.Fprint(s.headerTo(), s.header()+"\n")
	if ready := s.c.code.ready(); ready > 0 {
		fmt.Fprintf(s.headerTo(), "  ready in %s\n", seconds(ready.Seconds()))
	}
	if err := s.store.write(&s.record); err != nil {
		return err
	}
	s.kept = true
	s.view = newRunView(s.e, s.mode(), s.record.Number, jobNames(p))
	s.view.started(&s.record)
	res, err := engine.Run(ctx, s.input(ctx, tree))
	s.view.close()
	s.finish(res)
	if err != nil {
		return err
	}
	return s.verdict(res)
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
	r.Project, r.File, r.Commit = s.c.project(), s.c.file, s.c.commit()
	r.Ref, r.Event, r.Changed = s.c.ref(), string(s.c.event), s.c.changedFiles()
	r.Started, r.Status = s.e.now(), pipeline.Running
}

// header is the run's first line: what runs, at which commit.
func (s *session) header() string {
	p := s.c.pipeline
	return fmt.Sprintf("%s · %s · %s in %s", s.c.file, s.c.what(), plural(len(p.Jobs), "job"), plural(len(p.Stages), "stage"))
}

func (s *session) headerTo() io.Writer {
	if s.o.json || s.e.quiet {
		return s.e.notes()
	}
	return s.e.stdout
}

func (s *session) mode() viewMode {
	switch {
	case s.o.json:
		return viewJSON
	case s.e.quiet:
		return viewQuiet
	case s.e.terminal && !s.o.log && s.e.getenv("TERM") != "dumb":
		return viewLive
	default:
		return viewLines
	}
}

// input is what the engine needs to run the pipeline.
func (s *session) input(ctx context.Context, tree *engine.Tree) engine.RunInput {
	work := s.store.workFolder(s.record.Number)
	in := engine.RunInput{
		Number: s.record.Number, Dir: s.store.folder(s.record.Number), Work: filepath.Join(work, "jobs"),
		Pipeline: s.c.pipeline, Variables: s.c.variables,
		Job:   s.jobInput(ctx, tree),
		Play:  s.plays,
		Now:   s.o.now,
		Slots: make(chan struct{}, s.slots()),
		Lock:  s.lockGroup,
		Emit:  s.view.emit,
		Stop:  s.e.stop,
	}
	in.Child = s.child(tree)
	if s.e.interactive && !s.o.json && !s.e.quiet && len(s.jobs) == 0 && len(s.o.manual) == 0 {
		in.Ask = s.askManual
	}
	return in
}

func (o *runOptions) check() error {
	if o.parallel < 0 {
		return usagef("-j wants a number from 1")
	}
	if o.repo == "" && (o.submodules || o.lfs || len(o.sparse) > 0) {
		return usagef("--submodules, --lfs and --sparse are for --repo; the working tree is taken as it is")
	}
	return nil
}

func (s *session) slots() int {
	if s.o.parallel > 0 {
		return s.o.parallel
	}
	return 2 * runtime.NumCPU()
}

// jobInput gives the engine where each job runs and what it starts from.
func (s *session) jobInput(ctx context.Context, tree *engine.Tree) func(*pipeline.Job) (engine.JobInput, error) {
	var caches *engine.Caches
	if !s.o.noCache {
		caches, _ = openCaches(s.e)
	}
	return func(j *pipeline.Job) (engine.JobInput, error) {
		ex, err := s.places.forJob(ctx, j)
		if err != nil {
			return engine.JobInput{}, err
		}
		in := engine.JobInput{
			Version: version, Binary: s.binary(), Environ: s.tokens.withoutNames(s.key.jobEnviron(s.e.environ())), Tree: tree, Caches: caches, Project: s.c.project(),
			LastCommit: func(path string) string { return s.c.code.lastCommit(ctx, path) },
			Executor:   ex, Secrets: s.c.secrets, ReadOnly: s.c.borrowed(), Setup: s.c.setup(s.e),
			Agent: agentFor(ex, s.key, s.tokens),
		}
		if s.o.inPlace {
			in.InPlace = s.c.root
		}
		return in, nil
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
	return engine.WaitLock(ctx, filepath.Join(s.store.dir, "..", "groups"), s.c.project()+"\x00"+group)
}

// askManual asks on the terminal which manual job to play.
func (s *session) askManual(ctx context.Context, jobs []string) string {
	s.view.close()
	defer s.view.reopen()
	if s.answers == nil {
		s.answers = bufio.NewReader(s.e.stdin)
	}
	for {
		name, ok := s.question(fmt.Sprintf("  ◌ waiting: %s\n  play which? (a name, or Enter for none) ", strings.Join(jobs, ", ")))
		if !ok || name == "" {
			return ""
		}
		if !slices.Contains(jobs, name) {
			fmt.Fprintf(s.e.stdout, "  no waiting job %q%s\n", name, didYouMean(name, jobs))
			continue
		}
		if j := s.c.pipeline.Job(name); j != nil && j.ManualConfirmation != "" {
			if yes, ok := s.question("  " + j.ManualConfirmation + " (yes or no) "); !ok || yes != "yes" && yes != "y" {
				continue
			}
		}
		return name
	}
}

// question reads a line from the terminal; false when the run is stopped.
func (s *session) question(text string) (string, bool) {
	fmt.Fprint(s.e.stdout, text)
	answer := make(chan string, 1)
	go func() {
		line, err := s.answers.ReadString('\n')
		if err != nil {
			fmt.Fprintln(s.e.stdout)
		}
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-s.e.stop.Done():
		fmt.Fprintln(s.e.stdout)
		return "", false
	case a := <-answer:
		return a, true
	}
}

// finish shows what never ran and keeps the record.
func (s *session) finish(res engine.RunResult) {
	r := &s.record
	r.Finished, r.Status = s.e.now(), res.Status
	if s.e.stop.Err() != nil {
		r.Status = pipeline.Canceled
	}
	r.Jobs = s.jobRecords("", s.c.pipeline, res)
	if len(res.State.Jobs) == len(s.c.pipeline.Jobs) {
		s.view.rest(s.c.pipeline, res.State, s.why(res))
	}
	s.view.finished(r)
	if err := s.store.write(r); err != nil {
		s.e.notef("the run's record could not be written: %v", err)
	}
}

func (s *session) jobRecords(prefix string, p *pipeline.Pipeline, res engine.RunResult) []runJob {
	var out []runJob
	for i := range p.Jobs {
		if i >= len(res.State.Jobs) {
			break
		}
		st, rec := res.State.Jobs[i], res.Jobs[i]
		j := runJob{
			Name: prefix + p.Jobs[i].Name, Stage: p.Jobs[i].Stage, Status: st.Status, Attempt: st.Attempt,
			Seconds: rec.Seconds, ExitCode: st.ExitCode, Reason: st.Reason, AllowFailure: st.AllowFailure,
			Log: s.relative(rec.Log), Artifacts: s.relative(rec.Artifacts),
		}
		out = append(out, j)
		for _, c := range res.Children {
			if c.Trigger == p.Jobs[i].Name {
				out = append(out, s.jobRecords(j.Name+" / ", c.Input.Pipeline, c.Result)...)
			}
		}
	}
	return out
}

func (s *session) relative(path string) string {
	if path == "" {
		return ""
	}
	rel, err := filepath.Rel(s.store.folder(s.record.Number), path)
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
	s.key.close()
	if s.places != nil {
		s.places.close()
	}
	if s.unlock != nil {
		_ = engine.RemoveFolder(s.store.workFolder(s.record.Number))
		s.unlock()
	}
	if s.created && !s.kept {
		_ = s.store.remove(s.record.Number)
	}
}

// why says behind a job that never ran what it waits for or why it was skipped.
func (s *session) why(res engine.RunResult) func(int) string {
	p := s.c.pipeline
	return func(i int) string {
		switch st := res.State.Jobs[i]; st.Status {
		case pipeline.ManualStatus:
			return "manual; to run it: refline run --manual " + shellWord(p.Jobs[i].Base)
		case pipeline.Scheduled:
			return fmt.Sprintf("delayed by %s; not to wait: refline run --now", p.Jobs[i].StartIn)
		case pipeline.Skipped:
			if cause := skipCause(p, res.State, i); cause != "" {
				return "skipped: " + cause
			}
			return "skipped"
		case pipeline.Created, pipeline.Pending, pipeline.WaitingForResource:
			return "not started"
		default:
			return string(st.Status)
		}
	}
}

// skipCause names the nearest job before job i that did not succeed.
func skipCause(p *pipeline.Pipeline, state pipeline.State, i int) string {
	describe := func(k int) string {
		switch st := state.Jobs[k]; {
		case st.Status == pipeline.Failed && !st.AllowFailure:
			return p.Jobs[k].Name + " failed"
		case st.Status == pipeline.Canceled:
			return p.Jobs[k].Name + " was canceled"
		case st.Status == pipeline.ManualStatus:
			return p.Jobs[k].Name + " waits to be played"
		default:
			return ""
		}
	}
	job := p.Jobs[i]
	for k := range p.Jobs {
		before := p.Jobs[k].Stage != job.Stage && k < i
		if job.DAG {
			before = slices.ContainsFunc(job.Needs, func(n pipeline.Need) bool { return n.Job == p.Jobs[k].Name })
		}
		if !before {
			continue
		}
		if d := describe(k); d != "" {
			return d
		}
	}
	if job.DAG {
		for _, n := range job.Needs {
			for k := range p.Jobs {
				if p.Jobs[k].Name == n.Job && state.Jobs[k].Status == pipeline.Skipped {
					return n.Job + " was skipped"
				}
			}
		}
	}
	if job.When == pipeline.OnFailure {
		return "nothing failed before it"
	}
	return ""
}

func shellWord(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,", r)
	}) < 0 && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// verdict prints the last lines of what failed and the sums, and says how the
// run ended.
func (s *session) verdict(res engine.RunResult) error {
	counts := map[string]int{}
	for _, j := range s.record.Jobs {
		counts[verdictWord(j)]++
	}
	s.showFailures()
	var parts []string
	for _, w := range []string{"failed", "failed but allowed", "passed", "canceled", "waits", "skipped"} {
		if n := counts[w]; n > 0 {
			if w == "waits" && n > 1 {
				w = "wait"
			}
			parts = append(parts, fmt.Sprintf("%d %s", n, w))
		}
	}
	took := s.record.Finished.Sub(s.record.Started)
	if !s.o.json {
		fmt.Fprintf(s.e.stdout, "\n%s in %s\n", strings.Join(parts, ", "), seconds(took.Seconds()))
	}
	switch {
	case s.e.stop.Err() != nil:
		return context.Canceled
	case res.Status == pipeline.Failed, res.Status == pipeline.Canceled:
		return errRed
	}
	return s.ranAll(res)
}

// ranAll makes an error of a job that was asked for by name and did not run.
func (s *session) ranAll(res engine.RunResult) error {
	why := s.why(res)
	for i := range s.c.pipeline.Jobs {
		name := s.c.pipeline.Jobs[i].Name
		if st := res.State.Jobs[i].Status; slices.Contains(s.jobs, name) && st != pipeline.Success && st != pipeline.Failed {
			return errs.E(errs.Conflict, "job %q did not run: %s", name, why(i))
		}
	}
	return nil
}

func verdictWord(j runJob) string {
	switch {
	case j.Status == pipeline.Success:
		return "passed"
	case j.Status == pipeline.Failed && j.AllowFailure:
		return "failed but allowed"
	case j.Status == pipeline.Failed:
		return "failed"
	case j.Status == pipeline.Canceled, j.Status == pipeline.Canceling:
		return "canceled"
	case j.Status == pipeline.ManualStatus, j.Status == pipeline.Scheduled:
		return "waits"
	default:
		return "skipped"
	}
}

// showFailures prints where the logs of failed jobs are, and their last lines
// where those were not shown already.
func (s *session) showFailures() {
	if s.o.json {
		return
	}
	var rows [][]string
	for _, j := range s.record.Jobs {
		if j.Status != pipeline.Failed || j.AllowFailure || j.Log == "" {
			continue
		}
		all := fmt.Sprintf("refline runs log %d %s", s.record.Number, shellWord(j.Name))
		v := s.view.jobs[j.Name]
		if s.view.mode != viewLive || v == nil {
			rows = append(rows, []string{"  " + j.Name, all})
			continue
		}
		fmt.Fprintf(s.e.stdout, "\n%s, last lines; all of it: %s\n", j.Name, all)
		for _, line := range v.tail[max(0, len(v.tail)-tailLines):] {
			fmt.Fprintf(s.e.stdout, "  | %s\n", line)
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(s.e.stdout, "\nlogs of what failed")
	if more := len(rows) - mostFailures; more > 0 {
		rows = append(rows[:mostFailures], []string{fmt.Sprintf("  and %d more", more), fmt.Sprintf("refline runs show %d", s.record.Number)})
	}
	for _, line := range alignColumns(rows) {
		fmt.Fprintln(s.e.stdout, line)
	}
}

const mostFailures = 10
