package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
)

func TestHowAJobEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		job    pipeline.Job
		script script
		want   JobResult // without Err
		after  string    // CI_JOB_STATUS in after_script, empty when it does not run
		log    string
	}{
		{"green", pipeline.Job{}, exit(0), JobResult{Status: pipeline.StatusSuccess}, "success", ""},
		{"red", pipeline.Job{}, exit(3), JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure, ExitCode: 3}, "failed", ""},
		{
			"out of time: no after_script", pipeline.Job{Timeout: pipeline.Duration(time.Millisecond)},
			func(ctx context.Context, _ fakeCommand) (int, error) { return untilStopped(ctx) },
			JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonJobExecutionTimeout}, "", "timeout of 1ms is over",
		},
		{
			"not to be run: no after_script", pipeline.Job{},
			func(context.Context, fakeCommand) (int, error) { return -1, errors.New("the engine is gone") },
			JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonRunnerSystemFailure}, "", "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.job.AfterScript = []string{"tidy"}
			h := newJob(t, tt.job)
			after := ""
			h.fake.OnExec = func(ctx context.Context, c fakeCommand) (int, error) {
				if c.Script() == scriptAfter {
					after = c.Var("CI_JOB_STATUS")
					return 1, nil // it changes nothing
				}
				if got := c.Var("CI_JOB_STATUS"); got != "running" {
					t.Errorf("CI_JOB_STATUS=%s in the script", got)
				}
				return tt.script(ctx, c)
			}
			res := h.run()
			if (res.Err != nil) != (tt.want.Reason == pipeline.ReasonRunnerSystemFailure) {
				t.Errorf("error %v", res.Err)
			}
			res.Err = nil
			same(t, res, tt.want)
			if after != tt.after {
				t.Errorf("after_script with %q, want %q", after, tt.after)
			}
			if log := h.log.String(); !strings.Contains(log, tt.log) || tt.after != "" && !strings.Contains(log, "after_script ended with exit code 1") {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

func TestAfterScriptIsEndedByAHardCancel(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{AfterScript: []string{"tidy"}, Artifacts: &pipeline.Artifacts{Paths: []string{"README"}, When: pipeline.WhenAlways}})
	ctx, kill := context.WithCancel(t.Context())
	h.fake.OnExec = func(ctx context.Context, c fakeCommand) (int, error) {
		if c.Script() == scriptAfter {
			kill()
			return untilStopped(ctx)
		}
		return 0, nil
	}
	RunJob(ctx, h.in)
	if h.fake.Left() != 0 {
		t.Error("a sandbox was left open")
	}
	if _, err := os.Stat(h.in.Dir); !os.IsNotExist(err) {
		t.Errorf("the attempt's folder: %v", err)
	}
	if _, err := h.in.Artifacts.Info(t.Context(), h.in.Keep); !errs.Is(err, errs.NotFound) {
		t.Errorf("artifacts of a job that was ended: %v", err)
	}
}

// The order of what a job runs, and what it is run with.
func TestScriptsOfAJob(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		job  pipeline.Job
		want string // scripts, in order
		in   map[string][]string
	}{
		{
			"before_script and script are one", pipeline.Job{BeforeScript: []string{"one"}, Script: []string{"two", "three\nfour"}, AfterScript: []string{"five"}},
			"script.sh after_script.sh",
			map[string][]string{scriptMain: {"one\n", "two\n", "three\nfour\n"}, scriptAfter: {"five\n"}},
		},
		{"steps each have their own", pipeline.Job{Run: []pipeline.RunEntry{{Name: "a", Script: "one"}, {Name: "b", Script: "two"}}}, "step0.sh step1.sh", map[string][]string{scriptStep(1): {"two\n"}}},
		{"a hook is first", pipeline.Job{PreGetSources: []string{"zero"}, Script: []string{"one"}}, "pre_get_sources.sh script.sh", map[string][]string{scriptHook: {"zero\n"}}},
	}
	for _, tt := range tests {
		for _, isolated := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, isolated), func(t *testing.T) {
				t.Parallel()
				h := newJob(t, tt.job)
				h.fake.InContainer = isolated
				text := map[string]string{}
				h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
					// What a shell would open is in the folder of scripts, and
					// there everything is written before anything is run.
					if len(text) == 0 {
						entries, err := os.ReadDir(c.Scripts())
						must(t, err)
						for _, e := range entries {
							data, err := os.ReadFile(filepath.Join(c.Scripts(), e.Name()))
							must(t, err)
							text[e.Name()] = string(data)
						}
					}
					at := c.Args[1]
					if isolated {
						at = filepath.Join(c.Scripts(), strings.TrimPrefix(at, c.Spec.Mounts[2].Target))
					} else if !filepath.IsAbs(at) {
						at = filepath.Join(c.Dir, at)
					}
					if _, err := os.Stat(at); err != nil {
						t.Errorf("the shell would not find %s: %v", c.Args[1], err)
					}
					return 0, nil
				}
				if res := h.run(); res.Status != pipeline.StatusSuccess {
					t.Fatalf("%+v", res)
				}
				var order []string
				for _, c := range h.fake.Asked() {
					order = append(order, c.Script())
				}
				if got := strings.Join(order, " "); got != tt.want {
					t.Errorf("ran %s, want %s", got, tt.want)
				}
				for file, entries := range tt.in {
					rest := text[file]
					for _, e := range entries {
						_, after, ok := strings.Cut(rest, e)
						if !ok {
							t.Fatalf("%s lacks %q (in its place):\n%s", file, e, text[file])
						}
						rest = after
					}
				}
			})
		}
	}
}

// A job in a sandbox of its own sees its scripts in a mount of their own,
// read-only, that is in no folder it can write.
func TestMountsOfAnIsolatedJob(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{Script: []string{"true"}})
	h.fake.InContainer = true
	h.in.ReadOnly = []string{"/mirror/objects"}
	h.in.Variables = []pipeline.Variable{{Name: "CI_PROJECT_PATH", Value: "group/app"}}
	h.run()
	c := h.fake.Asked()[0]
	var got []string
	for _, m := range c.Spec.Mounts {
		got = append(got, fmt.Sprint(m.Target, " ", m.ReadOnly))
	}
	same(t, got, []string{
		"/builds/group/app false", "/builds/group/app.tmp false", "/builds/group/app.scripts true", "/mirror/objects true",
	})
	for _, m := range c.Spec.Mounts[:2] {
		if rel, err := filepath.Rel(m.Source, c.Scripts()); err != nil || !strings.HasPrefix(rel, "..") {
			t.Errorf("the scripts %s can be written through %s", c.Scripts(), m.Source)
		}
	}
	same(t, c.Dir, "/builds/group/app")
	same(t, c.Args[1], "/builds/group/app.scripts/script.sh")
	same(t, c.Var("CI_PROJECT_DIR"), "/builds/group/app")
	same(t, c.Var("GIT_CONFIG_VALUE_0"), "/builds/group/app")
	if _, ok := c.LookVar("REFLINE_BIN"); ok {
		t.Error("REFLINE_BIN of the host in a sandbox")
	}
}

func TestSpecOfAJob(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{
		Image: &pipeline.Image{Name: "app:$TAG", User: "${WHO}:$WHO", Platform: "linux/$ARCH", PullPolicy: []string{"always"}, Entrypoint: []string{"$TAG"}},
		Services: []pipeline.Service{{
			Image: pipeline.Image{Name: "db:$TAG"}, Aliases: []string{"$WHO-db"}, Command: []string{"$TAG"},
			Variables: []pipeline.Variable{{Name: "OWN", Value: "$TAG"}, {Name: "LITERAL", Value: "$TAG", Raw: true}, {Name: "WHO", Value: "db"}},
		}},
	})
	h.fake.InContainer = true
	h.in.Variables = []pipeline.Variable{{Name: "TAG", Value: "v1"}, {Name: "WHO", Value: "me"}, {Name: "ARCH", Value: "arm64"}, {Name: "DOCKER_AUTH_CONFIG", Value: "{}"}}
	h.run()
	spec := h.fake.Asked()[0].Spec
	same(t, spec.Image, executor.Image{Name: "app:v1", User: "me:me", Platform: "linux/arm64", PullPolicy: []string{"always"}, Entrypoint: []string{"$TAG"}})
	same(t, []string{spec.RunID, spec.JobID, spec.DockerAuthConfig}, []string{"7", "70001", "{}"})
	s := spec.Services[0]
	same(t, []any{s.Name, s.Aliases, s.Command}, []any{"db:v1", []string{"me-db"}, []string{"$TAG"}})
	service := fakeCommand{Command: executor.Command{Env: s.Env}}
	same(t, []string{service.Var("OWN"), service.Var("LITERAL"), service.Var("WHO"), service.Var("CI_JOB_ID")}, []string{"v1", "$TAG", "db", "70001"})
}

func TestEnvironmentOfAJob(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{Timeout: pipeline.Duration(90 * time.Minute)})
	h.in.Started = time.Date(2026, 3, 1, 13, 2, 3, 0, time.FixedZone("", 3600))
	h.in.Binary = "/usr/bin/refline"
	h.in.Environ = []string{
		"HOME=/home/me", "PATH=/bin", "A=of the user", "GIT_DIR=/elsewhere", "GIT_INDEX_FILE=x", "BASH_ENV=/x", "ENV=/y", "OLDPWD=/",
		"CI_JOB_ID=of an outer one", "CI_COMMIT_SHA=x", "GITLAB_TOKEN=x", "REFLINE_SECRET=x", "GIT_AUTHOR_NAME=me",
	}
	h.in.Variables = []pipeline.Variable{
		{Name: "A", Value: "of the job"}, {Name: "B", Value: "$A, $$A, $NOBODY, ${CI_JOB_ID}"}, {Name: "RAW", Value: "$A", Raw: true},
		{Name: "PROJECT", Value: "$CI_PROJECT_DIR"},
	}
	h.run()
	c := h.fake.Asked()[0]
	for name, want := range map[string]string{
		"HOME": "/home/me", "PATH": "/bin", "GIT_AUTHOR_NAME": "me",
		"A": "of the job", "B": "of the job, $A, , 70001", "RAW": "$A", "PROJECT": c.Workspace(),
		"CI_PROJECT_DIR": c.Workspace(), "CI_BUILDS_DIR": filepath.Dir(c.Workspace()), "CI_JOB_ID": "70001", "CI_JOB_STATUS": "running",
		"CI_JOB_STARTED_AT": "2026-03-01T12:02:03Z", "CI_RUNNER_VERSION": "1.2.3", "CI_RUNNER_EXECUTABLE_ARCH": runtime.GOOS + "/" + runtime.GOARCH,
		"CI_JOB_TIMEOUT": "5400", "REFLINE_RUN": "7", "REFLINE_BIN": "/usr/bin/refline", "REFLINE_EVENTS": c.Temp() + "/" + eventsFile,
	} {
		if got := c.Var(name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	for _, name := range []string{
		"GIT_DIR", "GIT_INDEX_FILE", "BASH_ENV", "ENV", "OLDPWD", "CI_COMMIT_SHA", "GITLAB_TOKEN", "REFLINE_SECRET",
		"CI_DISPOSABLE_ENVIRONMENT", "GIT_CONFIG_COUNT",
	} {
		if v, ok := c.LookVar(name); ok {
			t.Errorf("%s=%s reached the job", name, v)
		}
	}
	if c.Dir != c.Workspace() {
		t.Errorf("runs in %s", c.Dir)
	}
}

func TestFileVariables(t *testing.T) {
	t.Parallel()
	for _, isolated := range []bool{false, true} {
		h := newJob(t, pipeline.Job{})
		h.fake.InContainer = isolated
		const content = "line one\n$A\n"
		h.in.Variables = []pipeline.Variable{
			{Name: "KEY_1", Value: content, File: true, Raw: true}, {Name: "WHERE", Value: "at $KEY_1"}, {Name: "A", Value: "a"},
			{Name: "SOFT", Value: "a is $A", File: true},
		}
		h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
			seen := c.Temp()
			if isolated {
				seen = c.Spec.Mounts[1].Target
			}
			if c.Var("KEY_1") != seen+"/KEY_1" || c.Var("WHERE") != "at "+seen+"/KEY_1" {
				t.Errorf("isolated %v: KEY_1=%s, WHERE=%s, want them in %s", isolated, c.Var("KEY_1"), c.Var("WHERE"), seen)
			}
			for name, want := range map[string]string{"KEY_1": content, "SOFT": "a is a"} {
				path := filepath.Join(c.Temp(), name)
				data, err := os.ReadFile(path)
				must(t, err)
				info, err := os.Stat(path)
				must(t, err)
				if string(data) != want || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
					t.Errorf("%s holds %q with mode %v", name, data, info.Mode())
				}
			}
			return 0, nil
		}
		if res := h.run(); res.Status != pipeline.StatusSuccess {
			t.Errorf("%+v", res)
		}
	}
}

func TestVariablesThatCannotBeGiven(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]pipeline.Variable{
		"no name":                   {Name: "", Value: "x"},
		"a name with =":             {Name: "A=B", Value: "x"},
		"a name with a zero byte":   {Name: "A\x00", Value: "x"},
		"a value with a zero byte":  {Name: "A", Value: "x\x00y"},
		"a file's name that leaves": {Name: "../script", Value: "x", File: true},
		"a file's name with a dot":  {Name: eventsFile, Value: "x", File: true},
	} {
		h := newJob(t, pipeline.Job{})
		h.in.Variables = []pipeline.Variable{v}
		if res := h.run(); res.Status != pipeline.StatusFailed || !errs.Is(res.Err, errs.Invalid) || !strings.Contains(res.Err.Error(), fmt.Sprintf("%q", v.Name)) {
			t.Errorf("%s: got %+v", name, res)
		}
		if len(h.fake.Asked()) > 0 {
			t.Errorf("%s: and yet something ran", name)
		}
	}
}

func TestStepsOfRun(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{Run: []pipeline.RunEntry{
		{Name: "one", Script: "x", Env: map[string]string{"Z": "$A", "A": "own"}}, {Name: "two", Script: "y"}, {Name: "three", Script: "z"},
	}})
	h.in.Variables = []pipeline.Variable{{Name: "A", Value: "of the job"}}
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		if c.Script() == scriptStep(0) {
			same(t, []string{c.Var("A"), c.Var("Z")}, []string{"own", "of the job"})
			return 0, nil
		}
		if _, ok := c.LookVar("Z"); ok || c.Var("A") != "of the job" {
			t.Errorf("the variables of the first step are in the second")
		}
		return 5, nil
	}
	if res := h.run(); res.ExitCode != 5 || res.Reason != pipeline.ReasonScriptFailure {
		t.Errorf("got %+v", res)
	}
	same(t, h.steps(), []string{
		`{"step":"one","type":"step_started"}`, `{"status":"success","step":"one","type":"step_finished"}`,
		`{"step":"two","type":"step_started"}`, `{"status":"failed","step":"two","type":"step_finished"}`,
	})
}

func TestInPlace(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{Artifacts: &pipeline.Artifacts{Paths: []string{"made"}}})
	dir := plant(t, files{"theirs": "stays"})
	h.in.InPlace, h.in.Take = dir, []string{filepath.Join(dir, "nowhere")} // not taken: they are where they were made
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		if c.Dir != dir || !filepath.IsAbs(c.Args[1]) {
			t.Errorf("ran %v in %s", c.Args, c.Dir)
		}
		return 0, os.WriteFile(filepath.Join(dir, "made"), nil, 0o644)
	}
	if res := h.run(); res.Status != pipeline.StatusSuccess || !res.Artifacts {
		t.Errorf("got %+v", res)
	}
	same(t, harvest(t, dir), files{"theirs": "stays", "made": ""})
}

func TestPythonEnvIsFirstInPath(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{Python: "f.py"})
	h.in.Environ = []string{"PATH=/usr/bin"}
	h.in.PythonEnv = func(_ context.Context, workspace, script string, _ io.Writer, env []string) (string, error) {
		if script != "f.py" || !slices.Contains(env, "CI_PROJECT_DIR="+workspace) || !slices.Contains(env, "PATH=/usr/bin") {
			t.Errorf("set up with %q", env)
		}
		return "/made/bin", nil
	}
	h.run()
	same(t, h.fake.Asked()[0].Var("PATH"), "/made/bin"+string(os.PathListSeparator)+"/usr/bin")

	h = newJob(t, pipeline.Job{Python: "f.py"})
	h.fake.InContainer = true
	h.in.PythonEnv = func(context.Context, string, string, io.Writer, []string) (string, error) {
		t.Error("set up for a sandbox that cannot see it")
		return "", nil
	}
	h.run()
	if notes := h.notes(); len(notes) != 1 || !strings.Contains(notes[0], "image") {
		t.Errorf("reported %q", notes)
	}
}

// Removing what a job leaves may be left to another process; its folder is free at
// once.
func TestLaterRemovesTheFolder(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	var later []func()
	h.in.Later = func(f func()) { later = append(later, f) }
	RunJob(t.Context(), h.in)
	if _, err := os.Stat(h.in.Dir); !os.IsNotExist(err) || len(later) != 1 {
		t.Fatalf("%v, %d left for later", err, len(later))
	}
	left := func() int {
		entries, err := os.ReadDir(filepath.Dir(h.in.Dir))
		must(t, err)
		return len(entries)
	}
	before := left()
	later[0]()
	if left() != before-1 {
		t.Errorf("%d names beside it before, %d after", before, left())
	}
}

// failingLog takes some bytes and then no more.
type failingLog struct {
	memoryLog
	room int
}

func (l *failingLog) Append(ctx context.Context, p []byte) error {
	if l.room -= len(p); l.room < 0 {
		return errors.New("disk full")
	}
	return l.memoryLog.Append(ctx, p)
}

func TestLogThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	must(t, h.in.Secrets.Add("TOKEN", []byte("beginning-of-a-secret")))
	h.in.Log = &failingLog{room: 4}
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		c.Print("text")
		c.Print("beginn") // held back until the end: it may be the secret
		return 0, nil
	}
	if res := h.run(); res.Status != pipeline.StatusFailed || res.Reason != pipeline.ReasonRunnerSystemFailure || res.Err == nil || !strings.Contains(res.Err.Error(), "disk full") {
		t.Errorf("got %+v", res)
	}
}

// The workspace is called like the project, where that is a name for a folder.
func TestNameOfTheWorkspace(t *testing.T) {
	t.Parallel()
	for project, want := range map[string]string{"": "work", "shop": "shop", "a.b-c_1": "a.b-c_1", "..": "work", ".git": "work", "a/b": "work", "ä": "work", "tmp": "work", "before": "work"} {
		h := newJob(t, pipeline.Job{})
		h.in.Variables = []pipeline.Variable{{Name: "CI_PROJECT_NAME", Value: project}}
		h.run()
		if got := filepath.Base(h.fake.Asked()[0].Workspace()); got != want {
			t.Errorf("%q: got %s, want %s", project, got, want)
		}
	}
}
