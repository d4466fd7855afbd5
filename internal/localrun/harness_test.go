package localrun

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"refline/internal/artifact"
	"refline/internal/engine"
	"refline/internal/engine/enginetest"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

type (
	fakeExecutor = enginetest.Executor
	fakeCommand  = enginetest.Command
)

var untilStopped = enginetest.UntilStopped

// script is what a job of a test does; its number is the exit code.
type script func(ctx context.Context, c fakeCommand) (int, error)

func exit(code int) script {
	return func(context.Context, fakeCommand) (int, error) { return code, nil }
}

// runTest is a run with everything around it.
type runTest struct {
	t       testing.TB
	in      Input
	fake    *fakeExecutor
	secrets *mask.Set
	cancel  context.CancelFunc // of in.Stop
	// scripts by "job", or by "job after" for its after_script. A job without
	// one succeeds.
	scripts map[string]script
	// change, when set, gets the input of each job before it is run.
	change func(*engine.JobInput)

	mu        sync.Mutex
	names     Names
	events    []pipeline.Report
	running   int
	most      int                      // jobs that ran at the same time
	canceling map[string]chan struct{} // closed when the run tells that it stops a job
}

// newRun makes a run of jobs written as "stage/name".
func newRun(t testing.TB, jobs ...pipeline.Job) *runTest {
	t.Helper()
	stop, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	h := &runTest{t: t, fake: &fakeExecutor{}, secrets: &mask.Set{}, scripts: map[string]script{}, cancel: cancel}
	h.fake.OnExec = h.exec
	dir, tree := t.TempDir(), workspace.NewTree(plant(t, files{"README": "of the repository"}))
	for _, d := range []string{"run/logs", "run/artifacts", "work"} {
		must(t, os.MkdirAll(filepath.Join(dir, filepath.FromSlash(d)), 0o755))
	}
	h.in = Input{
		Number: 7, Dir: filepath.Join(dir, "run"), Artifacts: artifact.NewFolder(filepath.Join(dir, "run")), Work: filepath.Join(dir, "work"), Pipeline: buildPipeline(jobs),
		Variables: func(j *pipeline.Job) (below, above []pipeline.Variable) {
			return []pipeline.Variable{{Name: "CI_JOB_NAME", Value: j.Name, Raw: true}}, nil
		},
		Job: func(j *pipeline.Job) (engine.JobInput, error) {
			in := engine.JobInput{Tree: tree, Executor: h.fake, Secrets: h.secrets}
			if h.change != nil {
				in.Job = j
				h.change(&in)
			}
			return in, nil
		},
		Slots: make(chan struct{}, 4), Emit: h.emit, Stop: stop,
	}
	return h
}

// buildPipeline splits "stage/name"; stages come in the order of the jobs.
func buildPipeline(jobs []pipeline.Job) *pipeline.Pipeline {
	p := &pipeline.Pipeline{Jobs: slices.Clone(jobs)}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		j.Stage, j.Name, _ = strings.Cut(j.Name, "/")
		if j.Base == "" {
			j.Base = j.Name
		}
		if j.When == "" {
			j.When = pipeline.WhenOnSuccess
		}
		j.DAG = j.DAG || len(j.Needs) > 0
		if !slices.Contains(p.Stages, j.Stage) {
			p.Stages = append(p.Stages, j.Stage)
		}
	}
	return p
}

func needing(names ...string) []pipeline.Need {
	var list []pipeline.Need
	for _, n := range names {
		list = append(list, pipeline.Need{Job: n, Artifacts: true})
	}
	return list
}

func (h *runTest) exec(ctx context.Context, c fakeCommand) (int, error) {
	key := c.Var("CI_JOB_NAME")
	if c.Script() == "after_script.sh" {
		key += " after"
	}
	h.mu.Lock()
	h.running++
	h.most = max(h.most, h.running)
	do := h.scripts[key]
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.running--
	}()
	if do == nil {
		return 0, nil
	}
	return do(ctx, c)
}

func (h *runTest) emit(ev pipeline.Report) {
	ev.Data = bytes.Clone(ev.Data) // the bytes are the sender's
	h.names.Observe(ev)
	if ev.Job != "" {
		ev.Job = h.names.Of(ev.Run, ev.Job)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, ev)
	if ev.Kind == pipeline.ReportJobStatus && ev.Status == pipeline.StatusCanceling {
		close(h.untilCanceling(ev.Job))
	}
}

// untilCanceling must be called with mu held.
func (h *runTest) untilCanceling(job string) chan struct{} {
	if h.canceling == nil {
		h.canceling = map[string]chan struct{}{}
	}
	if h.canceling[job] == nil {
		h.canceling[job] = make(chan struct{})
	}
	return h.canceling[job]
}

// awaitCanceling returns when the run has told that it stops the job.
func (h *runTest) awaitCanceling(job string) {
	h.mu.Lock()
	told := h.untilCanceling(job)
	h.mu.Unlock()
	<-told
}

// stops is a script that stops the run, and ends when the run has taken notice.
func (h *runTest) stops(job string) script {
	return func(ctx context.Context, _ fakeCommand) (int, error) {
		h.cancel()
		h.awaitCanceling(job)
		return untilStopped(ctx)
	}
}

// child makes the input of a child pipeline; its jobs run as the parent's do.
func (h *runTest) child(req ChildRequest, jobs ...pipeline.Job) *Input {
	return &Input{
		Pipeline:  buildPipeline(jobs),
		Variables: h.in.Variables, Job: h.in.Job, Child: h.in.Child,
	}
}

// run runs to the end and looks at what every run must leave behind: nothing.
func (h *runTest) run() Result {
	h.t.Helper()
	res, err := h.runErr(h.t.Context())
	must(h.t, err)
	return res
}

func (h *runTest) runErr(ctx context.Context) (Result, error) {
	h.t.Helper()
	res, err := Run(ctx, h.in)
	if n := h.fake.Left(); n != 0 {
		h.t.Errorf("%d sandboxes were left open", n)
	}
	if n := len(h.in.Slots); n != 0 {
		h.t.Errorf("%d slots were not given back", n)
	}
	_ = filepath.WalkDir(h.in.Work, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			h.t.Errorf("left behind: %s", path)
		}
		return err
	})
	return res, err
}

// statuses are those of all jobs, with the attempt where it is not the first.
func (h *runTest) statuses(res Result) string {
	var list []string
	for i, s := range res.State.Jobs {
		text := fmt.Sprintf("%s=%s", h.in.Pipeline.Jobs[i].Name, s.Status)
		if s.Attempt > 1 {
			text += fmt.Sprintf("(%d)", s.Attempt)
		}
		list = append(list, text)
	}
	return strings.Join(list, " ") + " → " + string(res.Status)
}

// told are the texts of the events of a kind, in order.
func (h *runTest) told(kind pipeline.ReportKind, text func(pipeline.Report) string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, ev := range h.events {
		if ev.Kind == kind {
			list = append(list, text(ev))
		}
	}
	return list
}

// started are the jobs that began to run, in order.
func (h *runTest) started() []string {
	var list []string
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range h.events {
		if ev.Kind == pipeline.ReportJobStatus && ev.Status == pipeline.StatusRunning {
			list = append(list, ev.Job)
		}
	}
	return list
}

func (h *runTest) log(res Result, job string) string {
	h.t.Helper()
	for i := range h.in.Pipeline.Jobs {
		if h.in.Pipeline.Jobs[i].Name == job {
			text, err := os.ReadFile(res.Jobs[i].Log)
			must(h.t, err)
			return string(text)
		}
	}
	h.t.Fatalf("no job %q", job)
	return ""
}
