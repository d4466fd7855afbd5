package engine

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"refline/internal/artifact"
	"refline/internal/engine/enginetest"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/workspace"
	"strings"
	"sync"
	"testing"
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

// jobTest is one job with everything around it, for RunJob. What it reports comes
// by told.
type jobTest struct {
	t      testing.TB
	in     JobInput
	fake   *fakeExecutor
	logged LogResult
	log    memoryLog

	mu     sync.Mutex
	events []pipeline.Report
}

func newJob(t testing.TB, j pipeline.Job) *jobTest {
	t.Helper()
	h := &jobTest{t: t, fake: &fakeExecutor{}}
	if j.Name == "" {
		j.Name = "job"
	}
	dir := t.TempDir()
	h.in = JobInput{
		RunID: "7", ID: "70001", Runner: Runner{ID: "1", Description: "test", Version: "1.2.3"}, Job: &j, Tree: workspace.NewTree(plant(t, files{"README": "of the repository"})),
		Dir: filepath.Join(dir, "attempt"), Artifacts: artifact.NewFolder(dir), Keep: "kept",
		Executor: h.fake, Secrets: &mask.Set{}, Log: &h.log, Stop: t.Context(),
		Emit: func(ev pipeline.Report) {
			h.mu.Lock()
			defer h.mu.Unlock()
			ev.Data = bytes.Clone(ev.Data)
			h.events = append(h.events, ev)
		},
	}
	return h
}

func (h *jobTest) run() JobResult {
	h.t.Helper()
	res := RunJob(h.t.Context(), h.in)
	h.logged, res.Log = res.Log, LogResult{} // compared where it matters
	if n := h.fake.Left(); n != 0 {
		h.t.Errorf("%d sandboxes were left open", n)
	}
	if _, err := os.Lstat(h.in.Dir); !os.IsNotExist(err) {
		h.t.Errorf("the folder of the attempt is still there: %v", err)
	}
	return res
}

// told is the log as it was reported.
func (h *jobTest) told() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, ev := range h.events {
		b.Write(ev.Data)
	}
	return b.String()
}

func (h *jobTest) notes() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, ev := range h.events {
		if ev.Kind == pipeline.ReportJobNote {
			list = append(list, ev.Text)
		}
	}
	return list
}

func (h *jobTest) steps() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, ev := range h.events {
		if ev.Kind == pipeline.ReportStep {
			list = append(list, string(ev.Step))
		}
	}
	return list
}

// memoryLog is a log that a test reads.
type memoryLog struct {
	text    bytes.Buffer
	openErr error // of Open; nil: succeeds
}

var _ Log = (*memoryLog)(nil)

func (l *memoryLog) Append(_ context.Context, p []byte) error { l.text.Write(p); return nil }
func (l *memoryLog) Clear(context.Context) error              { l.text.Reset(); return nil }
func (l *memoryLog) String() string                           { return l.text.String() }

func (l *memoryLog) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.text.Bytes())), l.openErr
}
