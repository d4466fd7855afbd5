package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/pipeline"
)

// foldOf passes on the given batches of lines and returns what came out, and the tasks
// that a reader makes of it.
func foldOf(t *testing.T, res JobResult, batches ...[]string) (lines []string, tasks *pipeline.TaskList) {
	t.Helper()
	tasks = &pipeline.TaskList{}
	f := newEventFold(func(raw json.RawMessage) {
		lines = append(lines, string(raw))
		tasks.Add(raw)
	}, func(s string) { t.Error(s) })
	for _, batch := range batches {
		for _, line := range batch {
			f.add(json.RawMessage(line))
		}
		f.flush(false)
	}
	f.finish(&res)
	return lines, tasks
}

func taskEvent(id, state, rest string) string {
	return fmt.Sprintf(`{"type":"task","id":%q,"state":%q,"t":1000.5%s}`, id, state, rest)
}

func TestStatesThatComeTogetherAreOneLine(t *testing.T) {
	t.Parallel()
	lines, tasks := foldOf(t, JobResult{Status: pipeline.StatusSuccess}, []string{
		taskEvent("1", "running", `,"name":"hello","kind":"flow","attempt":1`),
		taskEvent("1.1", "queued", `,"name":"load","kind":"task","index":0,"of":2,"after":["0"],"tags":["a"]`),
		taskEvent("1.1", "running", `,"attempt":1,"worker":"host/7"`),
		`{"type":"log","id":"1.1","t":1000.5,"text":"one","stream":"out","level":"info"}`,
		`{"type":"log","id":"1.1","t":1000.5,"text":"two","stream":"out","level":"info"}`,
		taskEvent("1.1", "success", `,"s":0.25,"attempt":1`),
	}, []string{taskEvent("1", "success", `,"s":0.5,"attempt":1`)})
	same(t, lines, []string{
		`{"type":"task","id":"1","state":"running","t":1000.5,"name":"hello","kind":"flow","attempt":1}`,
		`{"type":"task","id":"1.1","state":"success","t":1000.5,"name":"load","kind":"task","of":2,"after":["0"],"tags":["a"],"attempt":1,"worker":"host/7","s":0.25}`,
		`{"type":"log","id":"1.1","t":1000.5,"text":"one\ntwo","stream":"out","level":"info"}`,
		`{"type":"task","id":"1","state":"success","t":1000.5,"attempt":1,"s":0.5}`,
	})
	same(t, tasks.Task("1.1").LogLines, 2)
	same(t, tasks.Task("1.1").Parent, "1")
}

// SIGKILL is silent: what the process left open ends with the job.
func TestOpenTasksEndWithTheJob(t *testing.T) {
	t.Parallel()
	open := []string{
		taskEvent("1", "running", `,"name":"hello","kind":"flow"`),
		taskEvent("1.1", "running", `,"name":"load"`),
		taskEvent("1.2", "queued", `,"name":"store"`),
		taskEvent("1.3", "success", `,"name":"done"`),
	}
	for _, tt := range []struct {
		res          JobResult
		load, reason string
	}{
		{JobResult{Status: pipeline.StatusFailed, ExitCode: 137}, "failed", "its process was killed (exit code 137)"},
		{JobResult{Status: pipeline.StatusFailed, ExitCode: 1}, "failed", "its process ended before it"},
		{JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonJobExecutionTimeout}, "canceled", "the job's timeout was over"},
		{JobResult{Status: pipeline.StatusCanceled}, "canceled", "the job was canceled"},
		{JobResult{Status: pipeline.StatusSuccess}, "canceled", "the job ended before it"},
	} {
		_, tasks := foldOf(t, tt.res, open)
		var got []string
		for _, id := range []string{"1.1", "1.2", "1.3"} {
			got = append(got, string(tasks.Task(id).State))
		}
		same(t, got, []string{tt.load, "canceled", "success"})
		same(t, tasks.Task("1.1").Reason, tt.reason)
	}
}

// What is more than the list takes is counted, however it was written: task by task,
// or by counts.
func TestManyTasksAreCounted(t *testing.T) {
	t.Parallel()
	const n = 20_000
	batch := []string{taskEvent("1", "running", `,"name":"hello","kind":"flow"`)}
	for i := range n {
		id := fmt.Sprintf("1.%d", i+1)
		end := "success"
		if i%1000 == 999 {
			end = "failed"
		}
		batch = append(batch, taskEvent(id, "running", `,"name":"load"`), taskEvent(id, end, `,"name":"load"`))
	}
	batch = append(batch, taskEvent("1", "success", ""))
	lines, tasks := foldOf(t, JobResult{Status: pipeline.StatusSuccess}, batch)
	if len(lines) > pipeline.MaxTasks+100 {
		t.Errorf("%d lines are passed on", len(lines))
	}
	same(t, tasks.Counts(), pipeline.TaskCounts{pipeline.TaskSuccess: n - 20, pipeline.TaskFailed: 20})

	counts := `{"type":"tasks","parent":"1","name":"load","running":3,"success":19000,"failed":2,"total":19005}`
	_, tasks = foldOf(t, JobResult{Status: pipeline.StatusFailed}, []string{taskEvent("1", "running", `,"name":"hello","kind":"flow"`), counts, counts})
	same(t, tasks.Counts(), pipeline.TaskCounts{pipeline.TaskSuccess: 19000, pipeline.TaskFailed: 5})
}

// The last state of each task arrives, however many lines came before it.
func TestLastStatesAlwaysArrive(t *testing.T) {
	t.Parallel()
	lines, tasks := 0, &pipeline.TaskList{}
	f := newEventFold(func(raw json.RawMessage) { lines++; tasks.Add(raw) }, func(s string) { t.Error(s) })
	f.lines = mostTaskLines - 10
	for attempt := range 20 {
		f.add(json.RawMessage(taskEvent("1", "running", fmt.Sprintf(`,"name":"x","attempt":%d`, attempt+1))))
		f.flush(false)
	}
	f.add(json.RawMessage(taskEvent("1", "success", `,"attempt":20`)))
	f.flush(false)
	same(t, lines, 10)
	f.finish(&JobResult{Status: pipeline.StatusSuccess})
	same(t, []any{lines, tasks.Task("1").State, tasks.Task("1").Attempt}, []any{11, pipeline.TaskSuccess, 20})
}

func TestWrongTasksAreNoted(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		text := strings.Join([]string{`{"type":"task","state":"running"}`, `{"type":"task","id":"1","state":"dancing"}`, `{"type":"task","id":1}`}, "\n")
		return 0, os.WriteFile(filepath.Join(c.Temp(), eventsFile), []byte(text), 0o644)
	}
	h.run()
	notes := strings.Join(h.notes(), "\n")
	for _, want := range []string{`:1: a task without an id`, `:2: unknown state "dancing"; known: queued`, `:3: "id" cannot be a JSON number`} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q: %s", want, notes)
		}
	}
}

// A file that a task reports is kept without artifacts: in the pipeline.
func TestReportedFilesAreArtifacts(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		must(t, os.WriteFile(filepath.Join(c.Dir, "a[1].txt"), []byte("x"), 0o644))
		line := fmt.Sprintf(`{"type":"artifact","id":"1","path":%q}`, filepath.Join(c.Dir, "a[1].txt"))
		return 1, os.WriteFile(filepath.Join(c.Temp(), eventsFile), []byte(line+"\n"), 0o644)
	}
	if res := h.run(); !res.Artifacts {
		t.Errorf("nothing is kept: %+v", res)
	}
	files, err := h.in.Artifacts.List(t.Context(), h.in.Keep)
	must(t, err)
	same(t, len(files), 1)
	same(t, files[0].Path, "a[1].txt")
}
