package engine

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// A job does not notice that its log is full, and who watches sees all of it. The
// log and the result say so; what fits is kept.
func TestLimitOfAJobsLog(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	h.in.LogLimit = 8
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		for _, text := range []string{"1234", "567", "8a\n", "b\n"} {
			if n, err := c.Stdout.Write([]byte(text)); n != len(text) || err != nil {
				t.Errorf("write %q: %d, %v", text, n, err)
			}
		}
		return 0, nil
	}
	res := h.run()
	const want = "12345678\n\nthe log is longer than 8 bytes; the rest is not kept, the job goes on\n"
	same(t, []string{h.log.String(), h.told()}, []string{want, "12345678a\nb\n"})
	same(t, h.logged, LogResult{Bytes: int64(len(want)), Truncated: true})
	same(t, res.Status, pipeline.StatusSuccess)
}

// What kept a job from running is in its stored log, but not reported twice.
func TestErrorIsInTheLog(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	must(t, h.in.Secrets.Add("TOKEN", []byte("a-secret-of-some-length")))
	h.fake.OnExec = func(context.Context, fakeCommand) (int, error) {
		return -1, errs.E(errs.Unavailable, "no answer to a-secret-of-some-length")
	}
	res := h.run()
	same(t, h.log.String(), "the job could not be run as it should: no answer to [masked]\n")
	same(t, h.told(), "")
	if !errs.Is(res.Err, errs.Unavailable) {
		t.Errorf("error %v", res.Err)
	}
}

// A log that holds a secret after all, or that cannot be searched, is emptied,
// and the job is red: here a secret that became known after it was printed.
func TestScanOfTheLogFailsClosed(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-and-a-tail-of-some-length"
	for name, c := range map[string]struct {
		late    bool
		openErr error
		want    string
	}{
		"a leak":         {late: true, want: "the secret TOKEN"},
		"no answer":      {openErr: errors.New("connection lost"), want: "connection lost"},
		"nothing to see": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newJob(t, pipeline.Job{})
			h.log.openErr = c.openErr
			h.fake.OnExec = func(_ context.Context, cmd fakeCommand) (int, error) {
				cmd.Print(secret + "\n")
				if c.late {
					must(t, h.in.Secrets.Add("TOKEN", []byte(secret)))
				}
				return 0, nil
			}
			res := h.run()
			if c.want == "" {
				same(t, []any{res.Status, h.log.String(), h.logged.Cleared}, []any{pipeline.StatusSuccess, secret + "\n", false})
				return
			}
			if res.Reason != pipeline.ReasonDataIntegrity || res.Err == nil || !strings.Contains(res.Err.Error(), c.want) {
				t.Errorf("got %+v", res)
			}
			same(t, []any{res.Status, h.log.String(), h.logged}, []any{pipeline.StatusFailed, "", LogResult{Cleared: true}})
		})
	}
}

func TestFileLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	log, err := CreateFileLog(path)
	must(t, err)
	if _, err := CreateFileLog(path); err == nil {
		t.Error("a log was opened twice")
	}
	h := newJob(t, pipeline.Job{})
	h.in.Log = log
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) { c.Print("text\n"); return 0, nil }
	h.run()
	same(t, h.logged, LogResult{Bytes: 5})
	same(t, harvest(t, filepath.Dir(path)), files{"log": "text\n"})
	must(t, log.Clear(t.Context()))
	must(t, log.Append(t.Context(), []byte("after")))
	same(t, harvest(t, filepath.Dir(path)), files{"log": "after"})
	must(t, log.Close())
}

// All that RunJob needs is a job, a folder and an executor.
func TestJobWithoutAnyoneAround(t *testing.T) {
	t.Parallel()
	fake := &fakeExecutor{}
	fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) { c.Print("into nothing"); return 0, nil }
	res := RunJob(t.Context(), JobInput{
		Job: &pipeline.Job{Name: "x", Artifacts: &pipeline.Artifacts{Paths: []string{"f"}}},
		Dir: filepath.Join(t.TempDir(), "d"), Executor: fake, Variables: []pipeline.Variable{{Name: "GIT_STRATEGY", Value: "none"}},
	})
	same(t, res, JobResult{Status: pipeline.StatusSuccess, Log: LogResult{Bytes: 12}})
	res = RunJob(t.Context(), JobInput{Job: &pipeline.Job{Name: "x"}, Dir: filepath.Join(t.TempDir(), "d"), Executor: fake})
	if !errs.Is(res.Err, errs.Invalid) {
		t.Errorf("without files: %+v", res)
	}
}

func TestWireFormOfAResult(t *testing.T) {
	t.Parallel()
	coverage := 81.5
	res := JobResult{
		Status: pipeline.StatusFailed, Reason: pipeline.ReasonImagePull, ExitCode: 1, Coverage: &coverage,
		Dotenv: []pipeline.Variable{{Name: "A", Value: "1"}}, Artifacts: true, Log: LogResult{Bytes: 7, Truncated: true},
		Err: errs.E(errs.NotFound, "no image"),
	}
	data, err := json.Marshal(res)
	must(t, err)
	same(t, string(data), `{"status":"failed","reason":"image_pull_failure","exit_code":1,"coverage":81.5,"dotenv":[{"name":"A","value":"1"}],"artifacts":true,"log":{"bytes":7,"truncated":true},"error":{"kind":"not found","text":"no image"}}`)
	var back JobResult
	must(t, json.Unmarshal(data, &back))
	same(t, []any{errs.KindOf(back.Err), back.Err.Error()}, []any{errs.NotFound, "no image"})
	back.Err, res.Err = nil, nil
	same(t, back, res)

	data, err = json.Marshal(JobResult{Status: pipeline.StatusSuccess})
	must(t, err)
	same(t, string(data), `{"status":"success"}`)
}

// Who runs a job is an input, as the job sees it.
func TestRunnerVariables(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	h.in.Runner = Runner{ID: "12", Description: "build host", Tags: []string{"linux", "a b"}, Version: "2.0"}
	h.run()
	c := h.fake.Asked()[0]
	same(t, []string{c.Var("CI_RUNNER_ID"), c.Var("CI_RUNNER_DESCRIPTION"), c.Var("CI_RUNNER_TAGS"), c.Var("CI_RUNNER_VERSION")},
		[]string{"12", "build host", `["linux","a b"]`, "2.0"})
}
