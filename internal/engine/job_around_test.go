package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/cache"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
)

func TestCachesOfAJob(t *testing.T) {
	t.Parallel()
	caches := cache.NewFolder(filepath.Join(t.TempDir(), "caches"), 0)
	run := func(c pipeline.Cache, code int, want string) string {
		t.Helper()
		h := newJob(t, pipeline.Job{Caches: []pipeline.Cache{c}})
		h.in.Caches, h.in.Project = caches, "p"
		h.in.Variables = []pipeline.Variable{{Name: "BRANCH", Value: "main"}, {Name: "HOW", Value: "pull"}}
		h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
			path := filepath.Join(c.Workspace(), "deps", "n")
			got, _ := os.ReadFile(path)
			if string(got) != want {
				t.Errorf("got %q of the cache, want %q", got, want)
			}
			plantIn(t, c.Workspace(), files{"deps/n": want + "+"})
			return code, nil
		}
		h.run()
		return h.log.String()
	}
	c := pipeline.Cache{Key: pipeline.CacheKey{Text: "$BRANCH"}, Paths: []string{"deps/"}}
	run(c, 0, "")
	run(c, 0, "+")
	run(c, 1, "++") // a red job saves nothing
	pull := c
	pull.Policy = "$HOW"
	if log := run(pull, 0, "++"); strings.Contains(log, "archive_cache") {
		t.Errorf("saved what was only to be pulled:\n%s", log)
	}
	always := c
	always.When = pipeline.WhenAlways
	run(always, 1, "++")
	run(c, 0, "+++")
	push := c
	push.Policy = "push"
	run(push, 0, "")
	other := c
	other.Key.Text, other.FallbackKeys = "other", []string{"main"}
	run(other, 0, "+")
}

// A fault of a cache is reported, and the job goes on.
func TestCacheThatCannotBeHad(t *testing.T) {
	t.Parallel()
	blocked := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(blocked, nil, 0o644))
	h := newJob(t, pipeline.Job{Caches: []pipeline.Cache{{Key: pipeline.CacheKey{Text: "k"}, Paths: []string{"deps/"}}}})
	h.in.Caches = cache.NewFolder(filepath.Join(blocked, "caches"), 0)
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		plantIn(t, c.Workspace(), files{"deps/n": ""})
		return 0, nil
	}
	if res := h.run(); res.Status != pipeline.StatusSuccess || !strings.Contains(h.log.String(), "cache: ") {
		t.Errorf("got %+v, log:\n%s", res, h.log.String())
	}
}

// A job whose files did not come back from where it ran is not green.
func TestLostFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   int
		err    error
		reason pipeline.Reason
	}{
		{0, fmt.Errorf("%w: copy out", executor.ErrLost), pipeline.ReasonRunnerSystemFailure},
		{1, fmt.Errorf("%w: copy out", executor.ErrLost), pipeline.ReasonScriptFailure},
		{0, errors.New("a container is left"), ""},
	} {
		h := newJob(t, pipeline.Job{Artifacts: &pipeline.Artifacts{Paths: []string{"out"}}})
		h.fake.OnExec = func(context.Context, fakeCommand) (int, error) { return c.code, nil }
		h.fake.OnClose = func(context.Context, executor.Spec) error { return c.err }
		res := h.run()
		if res.Reason != c.reason || (res.Status == pipeline.StatusSuccess) != (c.reason == "") {
			t.Errorf("%v with exit code %d: %+v", c.err, c.code, res)
		}
		told := fmt.Sprint(res.Err, h.log.String(), h.notes())
		if !strings.Contains(told, c.err.Error()) {
			t.Errorf("%v is not reported: %s", c.err, told)
		}
	}
}

func TestSecretsThatNobodyGave(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{
		Secrets:  []pipeline.Secret{{Name: "PASSWORD"}, {Name: "GIVEN"}},
		IDTokens: []pipeline.IDToken{{Name: "TOKEN"}, {Name: "GIVEN_TOKEN"}},
	})
	h.in.Variables = []pipeline.Variable{{Name: "GIVEN", Value: "x"}, {Name: "GIVEN_TOKEN", Value: "x"}}
	if res := h.run(); res.Status != pipeline.StatusSuccess {
		t.Errorf("got %+v", res)
	}
	notes := h.notes()
	if len(notes) != 2 || !strings.Contains(notes[0], "--secret PASSWORD") || !strings.Contains(notes[1], "--secret TOKEN") {
		t.Errorf("reported %q", notes)
	}
}

func TestGitStrategy(t *testing.T) {
	t.Parallel()
	for strategy, want := range map[string]files{
		"": {"README": "of the repository"}, "fetch": {"README": "of the repository"}, "clone": {"README": "of the repository"},
		"none": {"./": ""}, "empty": {"./": ""},
	} {
		h := newJob(t, pipeline.Job{})
		h.in.Variables = []pipeline.Variable{{Name: "GIT_STRATEGY", Value: strategy}}
		var got files
		h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) { got = harvest(t, c.Workspace()); return 0, nil }
		if res := h.run(); res.Status != pipeline.StatusSuccess {
			t.Errorf("%q: %+v", strategy, res)
		}
		same(t, got, want)
	}
}

// A hook runs before there are sources, and in none of the job's folders but
// that of its temporary files.
func TestHookComesBeforeSources(t *testing.T) {
	t.Parallel()
	for _, isolated := range []bool{false, true} {
		h := newJob(t, pipeline.Job{PreGetSources: []string{"x"}, Script: []string{"y"}, Services: []pipeline.Service{{Image: pipeline.Image{Name: "db"}}}})
		h.fake.InContainer = isolated
		got := map[string]files{}
		h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
			got[c.Script()] = harvest(t, c.Workspace())
			plantIn(t, c.Workspace(), files{"left": ""})
			return 0, nil
		}
		h.run()
		same(t, got, map[string]files{scriptHook: {"./": ""}, scriptMain: {"README": "of the repository"}})
		if n := len(h.fake.Asked()[0].Spec.Services); n != 0 {
			t.Errorf("%d services beside a hook", n)
		}
	}
}

func TestWhereAJobDeployed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  pipeline.Environment
		code int
		want string
	}{
		{pipeline.Environment{Name: "review/$WHO"}, 0, "deployed to review/me"},
		{pipeline.Environment{Name: "prod", URL: "https://$WHO.example.com", Action: "start"}, 0, "deployed to prod: https://me.example.com"},
		{pipeline.Environment{Name: "prod"}, 1, ""},
		{pipeline.Environment{Name: "prod", Action: "stop"}, 0, ""},
	} {
		h := newJob(t, pipeline.Job{Environment: &c.env})
		h.in.Variables = []pipeline.Variable{{Name: "WHO", Value: "me"}}
		h.fake.OnExec = func(context.Context, fakeCommand) (int, error) { return c.code, nil }
		h.run()
		if got := strings.Join(h.notes(), "\n"); got != c.want {
			t.Errorf("%+v: told %q, want %q", c.env, got, c.want)
		}
	}
}

// All that a job does counts against its timeout. Each of these waits for its
// end in another place.
func TestTimeoutOfTheWholeJob(t *testing.T) {
	t.Parallel()
	keep := &pipeline.Artifacts{Paths: []string{"README"}, When: pipeline.WhenAlways}
	waits := func(name string) func(context.Context, fakeCommand) (int, error) {
		return func(ctx context.Context, c fakeCommand) (int, error) {
			if c.Script() == name {
				return untilStopped(ctx)
			}
			return 0, nil
		}
	}
	for name, set := range map[string]func(h *jobTest){
		"the hook": func(h *jobTest) {
			h.in.Job.PreGetSources = []string{"wait"}
			h.fake.OnExec = waits(scriptHook)
		},
		"images and services": func(h *jobTest) {
			h.fake.OnStart = func(ctx context.Context, _ executor.Spec) error { <-ctx.Done(); return context.Cause(ctx) }
		},
		"dependencies": func(h *jobTest) {
			h.in.Job.Python = "f.py"
			h.in.PythonEnv = func(ctx context.Context, _, _ string, _ io.Writer, _ []string) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			}
		},
		"the script":   func(h *jobTest) { h.fake.OnExec = waits(scriptMain) },
		"after_script": func(h *jobTest) { h.fake.OnExec = waits(scriptAfter) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newJob(t, pipeline.Job{Timeout: pipeline.Duration(200 * time.Millisecond), AfterScript: []string{"tidy"}, Artifacts: keep})
			set(h)
			same(t, h.run(), JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonJobExecutionTimeout})
			if log := h.log.String(); strings.Count(log, "timeout of 200ms is over") != 1 {
				t.Errorf("log:\n%s", log)
			}
			if _, err := h.in.Artifacts.Info(t.Context(), h.in.Keep); !errs.Is(err, errs.NotFound) {
				t.Errorf("artifacts of a job that ran out of time: %v", err)
			}
		})
	}
}

// A script's own timeout leaves time for what comes after it.
func TestTimeoutsOfScripts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		vars  []pipeline.Variable
		waits string // the script that does not end
		want  JobResult
		after string // CI_JOB_STATUS there
		log   string
	}{
		{
			name: "of the script", vars: []pipeline.Variable{{Name: "RUNNER_SCRIPT_TIMEOUT", Value: "1ms"}}, waits: scriptMain,
			want:  JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonJobExecutionTimeout, Artifacts: true},
			after: "timedout", log: "the script's time, 1ms by RUNNER_SCRIPT_TIMEOUT, is over",
		},
		{
			name: "of after_script", vars: []pipeline.Variable{{Name: "RUNNER_AFTER_SCRIPT_TIMEOUT", Value: "1ms"}}, waits: scriptAfter,
			want:  JobResult{Status: pipeline.StatusSuccess},
			after: "success", log: "after_script was stopped after 1ms",
		},
		{
			name: "none", vars: []pipeline.Variable{{Name: "RUNNER_SCRIPT_TIMEOUT", Value: "0"}, {Name: "RUNNER_AFTER_SCRIPT_TIMEOUT", Value: "soon"}},
			want:  JobResult{Status: pipeline.StatusSuccess},
			after: "success", log: "RUNNER_AFTER_SCRIPT_TIMEOUT=soon is not a duration",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newJob(t, pipeline.Job{AfterScript: []string{"tidy"}, Artifacts: &pipeline.Artifacts{Paths: []string{"README"}, When: pipeline.WhenOnFailure}})
			h.in.Variables = tt.vars
			after := ""
			h.fake.OnExec = func(ctx context.Context, c fakeCommand) (int, error) {
				if c.Script() == scriptAfter {
					after = c.Var("CI_JOB_STATUS")
				}
				if c.Script() == tt.waits {
					return untilStopped(ctx)
				}
				return 0, nil
			}
			same(t, h.run(), tt.want)
			if log := h.log.String(); after != tt.after || !strings.Contains(log, tt.log) {
				t.Errorf("after_script with %q, log:\n%s", after, log)
			}
		})
	}
}

// What becomes of after_script counts only where the job says so.
func TestErrorsOfAfterScript(t *testing.T) {
	t.Parallel()
	red := JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure, ExitCode: 4}
	for ignore, want := range map[string]JobResult{"": {Status: pipeline.StatusSuccess}, "true": {Status: pipeline.StatusSuccess}, "no": {Status: pipeline.StatusSuccess}, "false": red, "0": red} {
		h := newJob(t, pipeline.Job{AfterScript: []string{"tidy"}})
		h.in.Variables = []pipeline.Variable{{Name: "AFTER_SCRIPT_IGNORE_ERRORS", Value: ignore}}
		h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
			if c.Script() == scriptAfter {
				return 4, nil
			}
			return 0, nil
		}
		if res := h.run(); !cmp.Equal(res, want) {
			t.Errorf("%q: got %+v, want %+v", ignore, res, want)
		}
	}
	h := newJob(t, pipeline.Job{AfterScript: []string{"tidy"}})
	h.in.Variables = []pipeline.Variable{{Name: "AFTER_SCRIPT_IGNORE_ERRORS", Value: "false"}}
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) { return len(c.Script()), nil }
	if res := h.run(); res.ExitCode != len(scriptMain) {
		t.Errorf("the script's own failure became %+v", res)
	}
}

// An image's entrypoint sees the job's variables, but no secret: who may ask the
// engine sees them too.
func TestEnvironmentOfTheEntrypoint(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{Image: &pipeline.Image{Name: "i"}})
	h.fake.InContainer = true
	must(t, h.in.Secrets.Add("TOKEN", []byte("a-secret-value")))
	h.in.Variables = []pipeline.Variable{{Name: "OPEN", Value: "yes"}, {Name: "TOKEN", Value: "a-secret-value"}, {Name: "URL", Value: "https://$TOKEN@host"}}
	h.run()
	got := strings.Join(h.fake.Specs[0].Env, "\n")
	if !strings.Contains(got, "OPEN=yes") || strings.Contains(got, "TOKEN") || strings.Contains(got, "URL") {
		t.Errorf("environment:\n%s", got)
	}
}

// A variable that no process can take is named before anything runs.
func TestVariableThatIsTooLong(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the limit is Linux's")
	}
	h := newJob(t, pipeline.Job{})
	h.in.Variables = []pipeline.Variable{{Name: "BIG", Value: strings.Repeat("x", mostEnv)}}
	res := h.run()
	if res.Err == nil || !strings.Contains(res.Err.Error(), `variable "BIG" has 131072 bytes`) || len(h.fake.Asked()) != 0 {
		t.Errorf("got %+v", res)
	}
	h = newJob(t, pipeline.Job{})
	h.in.Variables = []pipeline.Variable{{Name: "BIG", Value: strings.Repeat("x", mostEnv), File: true}}
	if res := h.run(); res.Err != nil {
		t.Errorf("in a file: %v", res.Err)
	}
}

// GIT_CLONE_PATH is where a container has the project.
func TestClonePath(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"":                                "/builds/group/shop",
		"$CI_BUILDS_DIR/go/src/host/shop": "/builds/go/src/host/shop",
		"/builds/x/../y/":                 "/builds/y",
		"/builds":                         "",
		"/elsewhere":                      "",
		"/builds/../elsewhere":            "",
		"relative":                        "",
	} {
		h := newJob(t, pipeline.Job{Image: &pipeline.Image{Name: "i"}})
		h.fake.InContainer = true
		h.in.Variables = []pipeline.Variable{{Name: "CI_PROJECT_PATH", Value: "group/shop"}, {Name: "GIT_CLONE_PATH", Value: written}}
		res := h.run()
		if want == "" {
			if res.Err == nil || !strings.Contains(res.Err.Error(), "GIT_CLONE_PATH") {
				t.Errorf("%s: got %+v", written, res)
			}
			continue
		}
		if got := h.fake.Specs[0].Mounts[0].Target; res.Err != nil || got != want || h.fake.Asked()[0].Var("CI_PROJECT_DIR") != want {
			t.Errorf("%s: got %s, want %s, %v", written, got, want, res.Err)
		}
	}
}
