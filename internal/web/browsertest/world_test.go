package browsertest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/api"
	"refline/internal/executor"
	"refline/internal/executor/process"
	"refline/internal/runner"
	"refline/internal/server"
)

// world is a server with a runner, a repository and runs in all states. All tests use
// the same one; those that change runs start their own.
type world struct {
	dir, repo string
	url       string
	client    *api.Client
	runs      map[string]int64 // by the mode that they were started with
	opened    *server.Server
	end       []func()
}

// canary is a value that no page may show.
const canary = "canary-7f3a91c0d2"

const pipelineFile = `
stages: [prepare, test, load, publish]
variables: {MODE: pass}
lint:
  stage: prepare
  script: [echo checked 214 files]
render:
  stage: prepare
  script: [echo rendered 12 templates]
unit:
  stage: test
  parallel: {matrix: [{PYTHON: ["3.12", "3.13"]}]}
  script: ['echo "python $PYTHON: 148 passed"']
contract:
  stage: test
  allow_failure: true
  script: ["echo partner schema changed: price is now a string", exit 3]
load_orders:
  stage: load
  script:
    - |
      emit() { echo "$1" >> "$REFLINE_EVENTS"; }
      emit '{"type":"step_started","step":"extract"}'
      emit '{"type":"step_finished","step":"extract","status":"success"}'
      emit '{"type":"step_started","step":"copy"}'
      emit '{"type":"progress","step":"copy","current":80,"total":100}'
      emit '{"type":"step_finished","step":"copy","status":"success"}'
      emit '{"type":"table","title":"Rows loaded","columns":["table","rows"],"rows":[["orders",3150000],["order_lines",9204411]]}'
      emit '{"type":"markdown","text":"Loaded **2 tables** from [the shop](https://shop.example.com)."}'
      echo "copied 3,150,000 rows"
  artifacts: {paths: [report.txt]}
  before_script: ["echo orders 3150000 > report.txt"]
load_events:
  stage: load
  script:
    - |
      echo "copy events: 1,204,331 of 3,150,000 rows"
      if [ "$MODE" = fail ]; then
        echo '{"type":"step_started","step":"copy"}' >> "$REFLINE_EVENTS"
        echo '{"type":"step_finished","step":"copy","status":"failed","message":"duplicate key"}' >> "$REFLINE_EVENTS"
        printf '\033[31mpsycopg.errors.UniqueViolation: duplicate key value violates unique constraint "events_pk"\033[0m\n'
        echo 'DETAIL:  Key (event_id)=(8f0c1e72-55d0-4b7e-9d3a-1f6d2f0b9a11) already exists.'
        exit 1
      fi
      if [ "$MODE" = long ]; then echo "copying"; sleep 600; fi
  retry: {max: 1, when: [runner_system_failure]}
marts:
  stage: publish
  needs: [load_orders, load_events]
  script: [echo built 31 marts]
  environment: {name: staging, url: "https://staging.example.com"}
train:
  stage: publish
  needs: [load_events]
  tags: [gpu]
  rules: [{if: '$MODE == "queued"'}]
  script: [echo trained]
publish docs:
  stage: publish
  when: manual
  allow_failure: false
  environment: {name: docs, url: "https://docs.example.com"}
  script: [echo published]
`

const hostileFile = `
stages: ["<script>alert(1)</script>"]
'"><img src=x onerror=alert(1)>':
  stage: "<script>alert(1)</script>"
  script:
    - |
      echo '<script>alert(1)</script> </pre></main> javascript:alert(1)'
      printf '\033]8;;javascript:alert(1)\033\\click\033]8;;\033\\\n'
      echo '{"type":"table","title":"<script>alert(1)</script>","columns":["<b>a"],"rows":[["<img src=x onerror=alert(1)>"]]}' >> "$REFLINE_EVENTS"
      echo '{"type":"markdown","text":"<script>alert(1)</script> [x](javascript:alert(1)) ![x](https://evil.example.com/x.png)"}' >> "$REFLINE_EVENTS"
      echo '{"type":"step_started","step":"<script>alert(1)</script>"}' >> "$REFLINE_EVENTS"
      exit 1
plan:
  stage: "<script>alert(1)</script>"
  script: ['REFLINE_TEST_PLAN=hostile "$PLANNER"']
  artifacts: {paths: ["*.plan.json"]}
`

// typedFile takes inputs of every type.
const typedFile = `
spec:
  inputs:
    day: {description: "Day to load; <b>UTC</b>", regex: '^\d{4}-\d{2}-\d{2}$'}
    region: {default: eu, options: [eu, us, apac]}
    limit: {type: number, default: 100, description: Rows at most}
    full: {type: boolean, default: false, description: Load everything again}
    tables: {type: array, default: [orders, events]}
    "note <i>": {default: " two  spaces "}
---
load:
  script:
    - 'echo "day=$[[ inputs.day ]] region=$[[ inputs.region ]] limit=$[[ inputs.limit ]] full=$[[ inputs.full ]]"'
    - 'echo "tables=[$[[ inputs.tables ]]] note=[$[[ inputs.note <i> ]]]"'
`

// scriptFile is a flow in Python with typed parameters.
const scriptFile = `from datetime import date, datetime
from typing import Literal

from refline import flow


@flow
def copy_orders(day: date, rows: int = 10, until: datetime | None = None, mode: Literal["append", "replace"] = "append", dry: bool = True):
    """Copy orders of a day."""
`

var (
	worldOnce sync.Once
	theWorld  *world
	errWorld  error
)

// stackFile makes a plan of a stack, and files to look at.
const stackFile = `
plan:
  script:
    - 'REFLINE_TEST_PLAN=landing-dev "$PLANNER"'
    - mkdir -p out/charts
    - printf 'orders 3150000\norder_lines 9204411\n' > out/rows.txt
    - echo '<!doctype html><title>report</title><script>parent.document.title = "taken"; document.title = "taken"</script><p>Coverage 81.4 %' > out/page.html
    - echo '# Loaded <script>alert(1)</script> [x](javascript:alert(1))' > out/readme.md
    - echo '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><script>document.title = "taken"</script><rect width="90" height="40" fill="teal"/></svg>' > out/charts/rows.svg
    - echo x > 'out/<img src=x onerror=alert(1)>.txt'
    - ln -s /etc/passwd out/secret
  artifacts: {paths: [out, "*.plan.json"]}
deploy-dev:
  needs: [plan]
  when: manual
  environment: {name: dev}
  script: ['echo deployed "$REFLINE_PLAN_DIGEST"']
`

// startWorld returns the world of all tests; TestMain ends it.
func startWorld(t *testing.T) *world {
	t.Helper()
	worldOnce.Do(func() {
		theWorld = &world{runs: map[string]int64{}}
		errWorld = theWorld.start()
	})
	if errWorld != nil {
		t.Fatal(errWorld)
	}
	return theWorld
}

func (w *world) start() error {
	var err error
	if w.dir, err = os.MkdirTemp("", "refline-browser-"); err != nil {
		return err
	}
	w.end = append(w.end, func() { _ = os.RemoveAll(w.dir) })
	if err := w.makeRepository(); err != nil {
		return err
	}
	if err := w.serve(); err != nil {
		return err
	}
	return w.fill()
}

func (w *world) git(args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir = w.repo
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (w *world) makeRepository() error {
	w.repo = filepath.Join(w.dir, "warehouse")
	if err := os.MkdirAll(w.repo, 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{".gitlab-ci.yml": pipelineFile, "hostile.yml": hostileFile, "stack.yml": stackFile, "broken.yml": brokenFile, "typed.yml": typedFile, "copy_orders.py": scriptFile, "greet.sh": "#!/bin/sh\necho hello $who\n"} {
		if err := os.WriteFile(filepath.Join(w.repo, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-q", "-m", "Deduplicate customers before they are merged"},
		{"tag", "v1.0"}, {"checkout", "-q", "-b", "feature/cart"}, {"commit", "-q", "--allow-empty", "-m", "<img src=x onerror=alert(1)>"}, {"checkout", "-q", "main"}, {"branch", hostileBranch},
	} {
		if err := w.git(args...); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) serve() error {
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	w.opened, err = server.Open(ctx, server.Options{Data: filepath.Join(w.dir, "data"), Version: "test", AllowFile: true, Log: slog.New(slog.DiscardHandler), Environ: os.Environ()})
	if err != nil {
		cancel()
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return err
	}
	w.url = "http://" + l.Addr().String()
	var group sync.WaitGroup
	group.Go(func() { _ = w.opened.Run(ctx, l) })
	jobs, stop := context.WithCancel(ctx)
	token, err := w.opened.LocalRunner(ctx)
	if err != nil {
		stop()
		cancel()
		return err
	}
	var work sync.WaitGroup
	work.Go(func() {
		_ = runner.Run(jobs, runner.Options{
			URL: "http://server", Token: func() string { return token }, Transport: w.opened.Transport(), Embedded: true, Name: "local", Slots: 3,
			Dir: filepath.Join(w.dir, "runner"), AllowFile: true, AllowHTTP: true, Grace: time.Second,
			Kinds:  []executor.Kind{{Name: "process", Open: func(context.Context) (executor.Executor, error) { return process.New(), nil }}},
			Notice: func(string) {}, Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir},
		})
	})
	owner, err := os.ReadFile(filepath.Join(w.dir, "data", server.OwnerTokenFile))
	if err == nil {
		w.client, err = api.NewClient(w.url, strings.TrimSpace(string(owner)), http.DefaultTransport)
	}
	w.end = append(w.end, func() {
		stop()
		work.Wait()
		cancel()
		group.Wait()
		_ = w.opened.Close()
	})
	return err
}

func (w *world) close() {
	for i := len(w.end) - 1; i >= 0; i-- {
		w.end[i]()
	}
}

// fill makes what the pages show.
func (w *world) fill() error {
	ctx := context.Background()
	name, url := "data/warehouse", "file://"+w.repo
	if _, err := w.client.AddProject(ctx, api.ProjectInput{Name: &name, URL: &url}); err != nil {
		return err
	}
	if err := w.fillSettings(ctx, name); err != nil {
		return err
	}
	for _, f := range []api.FlowInput{
		{Project: name, Name: "daily_sales", Path: ".gitlab-ci.yml", Ref: "main", RefKind: "branch", Schedules: &[]api.ScheduleInput{{Cron: "0 6 * * *", Timezone: "Europe/Berlin"}}},
		{Project: name, Name: "hostile", Path: "hostile.yml", Ref: "main", RefKind: "branch"},
		{Project: name, Name: "landing", Path: "stack.yml", Ref: "main", RefKind: "branch"},
		{Project: name, Name: "typed", Path: "typed.yml", Ref: "main", RefKind: "branch", Inputs: map[string]any{"region": "us"}},
		{Project: name, Name: "copy_orders", Path: "copy_orders.py", Ref: "main", RefKind: "branch"},
		{Project: name, Name: "greet", Path: "greet.sh", Ref: "main", RefKind: "branch"},
	} {
		if _, err := w.client.RegisterFlow(ctx, f); err != nil {
			return fmt.Errorf("flow %s: %w", f.Name, err)
		}
	}
	for _, mode := range []string{"pass", "fail"} {
		if err := w.run(mode, api.RunInput{Project: name, Flow: "daily_sales", Variables: map[string]string{"MODE": mode}}); err != nil {
			return err
		}
		if err := w.rest(w.runs[mode]); err != nil {
			return err
		}
	}
	for _, flow := range []string{"hostile", "landing"} {
		if err := w.run(flow, api.RunInput{Project: name, Flow: flow, Variables: w.planVariables()}); err != nil {
			return err
		}
	}
	if err := w.run("queued", api.RunInput{Project: name, RefKind: "branch", Ref: "feature/cart", Variables: map[string]string{"MODE": "queued"}}); err != nil {
		return err
	}
	if err := w.run("long", api.RunInput{Project: name, RefKind: "branch", Ref: "main", Variables: map[string]string{"MODE": "long"}}); err != nil {
		return err
	}
	for _, flow := range []string{"hostile", "landing"} {
		if err := w.rest(w.runs[flow]); err != nil {
			return err
		}
	}
	if err := w.until(w.runs["queued"], func(r api.Run) bool { return jobOf(r, "train").Status == "pending" }); err != nil {
		return err
	}
	return w.until(w.runs["long"], func(r api.Run) bool { return jobOf(r, "load_events").Status == "running" })
}

// planVariables let a job start this program.
func (w *world) planVariables() map[string]string {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return map[string]string{"PLANNER": program}
}

func jobOf(r api.Run, name string) api.Job {
	for _, j := range r.Jobs {
		if j.Name == name {
			return j
		}
	}
	return api.Job{}
}

// run starts a run and keeps its id by the name.
func (w *world) run(name string, in api.RunInput) error {
	r, err := w.client.StartRun(context.Background(), in)
	w.runs[name] = r.ID
	return err
}

// rest waits until a run has ended or waits for a person.
func (w *world) rest(id int64) error {
	return w.until(id, func(r api.Run) bool { return r.Status.Done() || r.Status == "manual" })
}

// until waits until a run is as it should be.
func (w *world) until(id int64, good func(api.Run) bool) error {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		r, err := w.client.Run(context.Background(), id)
		if err != nil || good(r) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("run %d is %s after two minutes: %+v", id, r.Status, r.Jobs)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
