//go:build unix

package runner_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/refltest"
	"refline/internal/runner"
	"refline/internal/store"
)

// TestCancel: a run is canceled in each phase of its job.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"pending", "offered", "script", "after_script", "finishing"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			reached, goOn := make(chan struct{}, 10), make(chan struct{})
			hold := map[string]string{"offered": "/job", "finishing": "/finish"}[phase]
			s := refltest.Start(t, refltest.Options{Wrap: func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if hold != "" && strings.HasSuffix(r.URL.Path, hold) {
						reached <- struct{}{}
						<-goOn
					}
					h.ServeHTTP(w, r)
				})
			}})
			o := s.RunnerOptions()
			if phase != "pending" {
				s.Runner(o)
			}
			dir := t.TempDir()
			in, after := filepath.Join(dir, "in"), filepath.Join(dir, "after")
			job := pipeline.Job{Name: "job", Script: []string{"echo $$ >" + in, "sleep 300"}, AfterScript: []string{"echo $CI_JOB_STATUS >" + after}}
			switch phase {
			case "finishing":
				job.Script = nil
			case "after_script":
				job.Script, job.AfterScript = []string{"true"}, []string{"echo $$ >" + in, "sleep 300"}
			}
			r := s.Create(refltest.Jobs(job))
			switch phase {
			case "offered", "finishing":
				<-reached
			case "script", "after_script":
				waitFile(t, in)
			}
			if err := s.Scheduler.Act(t.Context(), r.ID, pipeline.Event{Kind: pipeline.EventCancel}); err != nil {
				t.Fatal(err)
			}
			if phase == "after_script" { // as on GitLab it is let run; here it is too long
				time.Sleep(100 * time.Millisecond)
				if err := s.Scheduler.EndSession(t.Context(), s.Attempts(r.ID)[0].Session); err != nil {
					t.Fatal(err)
				}
			}
			close(goOn)
			if got := s.Wait(r.ID).Status; got != pipeline.StatusCanceled && phase != "after_script" {
				t.Errorf("status %s, want canceled", got)
			}
			if phase == "script" {
				if got := waitFile(t, after); got != "canceled" {
					t.Errorf("after_script saw %q, want canceled", got)
				}
			}
			if phase == "offered" {
				if _, err := os.Stat(in); err == nil {
					t.Error("the script of a job was started that had been canceled before")
				}
			}
			if phase == "pending" {
				s.Runner(o)
			}
			if got := s.Wait(s.Create(refltest.Script("true")).ID).Status; got != pipeline.StatusSuccess {
				t.Errorf("the next job: %s, want success", got)
			}
			s.Check()
		})
	}
}

// TestCanceledPolls: a runner that is ending a job does not ask again and again.
func TestCanceledPolls(t *testing.T) {
	t.Parallel()
	var polls atomic.Int64
	s := refltest.Start(t, refltest.Options{Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/poll") {
				polls.Add(1)
			}
			h.ServeHTTP(w, r)
		})
	}})
	s.Runner(s.RunnerOptions())
	dir := t.TempDir()
	in, end := filepath.Join(dir, "in"), filepath.Join(dir, "end")
	r := s.Create(refltest.Jobs(pipeline.Job{Name: "job", Script: []string{"echo $$ >" + in, "sleep 300"},
		AfterScript: []string{"while [ ! -e " + end + " ]; do sleep 0.02; done"}}))
	waitFile(t, in)
	if err := s.Scheduler.Act(t.Context(), r.ID, pipeline.Event{Kind: pipeline.EventCancel}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(700 * time.Millisecond)
	if got := polls.Load(); got > 10 {
		t.Errorf("%d polls, want a few", got)
	}
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Wait(r.ID)
	s.Check()
}

// TestGrace: a runner that is to stop takes no more jobs, lets those that run end,
// and ends them after the grace period.
func TestGrace(t *testing.T) {
	t.Parallel()
	for _, enough := range []bool{true, false} {
		t.Run(fmt.Sprint(enough), func(t *testing.T) {
			t.Parallel()
			s := refltest.Start(t, refltest.Options{})
			o := s.RunnerOptions()
			o.Slots, o.Grace = 2, time.Minute
			if !enough {
				o.Grace = 200 * time.Millisecond
			}
			stopping := make(chan struct{}, 10)
			o.Notice = func(string) { stopping <- struct{}{} } // that it waits for its job
			stop := s.Runner(o)
			dir := t.TempDir()
			in, end := filepath.Join(dir, "in"), filepath.Join(dir, "end")
			r := s.Create(refltest.Script("echo $$ >"+in, "while [ ! -e "+end+" ]; do sleep 0.02; done"))
			waitFile(t, in)
			stopped := make(chan error, 1)
			go func() { stopped <- stop() }()
			<-stopping
			time.Sleep(50 * time.Millisecond) // for its last poll
			later := s.Create(refltest.Script("true"))
			want := pipeline.StatusFailed
			if enough {
				want = pipeline.StatusSuccess
				if err := os.WriteFile(end, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			if got := s.Wait(r.ID).Status; got != want {
				t.Errorf("status %s, want %s", got, want)
			}
			if !enough {
				jobs, err := s.Store.RunJobs(t.Context(), r.ID)
				if err != nil || jobs[0].Reason != pipeline.ReasonRunnerSystemFailure {
					t.Errorf("job %+v, %v; want a runner_system_failure", jobs, err)
				}
			}
			if list := s.Attempts(later.ID); len(list) > 0 && list[0].State != store.AttemptUnstarted {
				t.Errorf("the later run has %+v, want nothing that started", list)
			}
			s.Check()
		})
	}
}

// TestLongLog: a log that is too long is cut, and says so.
func TestLongLog(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	s := refltest.Start(t, refltest.Options{LogMax: limit + 1<<20, Spec: func(spec *api.JobSpec) { spec.LogLimit = limit }})
	s.Runner(s.RunnerOptions())
	r := s.Create(refltest.Script("head -c 5000000 /dev/zero | tr '\\0' x", "echo the end >&2", "exit 4"))
	s.Wait(r.ID)
	log := s.Log(r.ID, s.Attempts(r.ID)[0].ID)
	if len(log) > limit+200 || !strings.HasSuffix(log, "the log is longer than 1 MiB; the rest is not kept, the job goes on\n") {
		t.Errorf("%d bytes that end with %q", len(log), log[max(len(log)-100, 0):])
	}
	jobs, err := s.Store.RunJobs(t.Context(), r.ID)
	if err != nil || jobs[0].ExitCode != 4 {
		t.Errorf("job %+v, %v; want exit code 4", jobs, err)
	}
}

// TestLogOverServerLimit: a log that the server does not take fails the job, with the
// reason; the runner goes on.
func TestLogOverServerLimit(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{LogMax: 1 << 20})
	s.Runner(s.RunnerOptions())
	r := s.Create(refltest.Script("head -c 3000000 /dev/zero | tr '\\0' x"))
	if got := s.Wait(r.ID).Status; got != pipeline.StatusFailed {
		t.Errorf("status %s, want failed", got)
	}
	results, err := s.Store.AttemptResults(t.Context(), []int64{s.Attempts(r.ID)[0].ID})
	if err != nil || len(results) != 1 || !strings.Contains(results[0].Body, "the server does not take the log") {
		t.Errorf("results %v, %v; want that the server does not take the log", results, err)
	}
	if got := s.Wait(s.Create(refltest.Script("true")).ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("the next job: %s, want success", got)
	}
}

// TestStuckServer: a server that takes requests and does not answer holds up no job.
func TestStuckServer(t *testing.T) {
	t.Parallel()
	var stuck atomic.Bool
	s := refltest.Start(t, refltest.Options{Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if stuck.Load() {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				return
			}
			h.ServeHTTP(w, r)
		})
	}})
	o := s.RunnerOptions()
	o.CallTimeout = 200 * time.Millisecond
	s.Runner(o)
	dir := t.TempDir()
	in, end := filepath.Join(dir, "in"), filepath.Join(dir, "end")
	const lines = 3000
	r := s.Create(refltest.Script("echo $$ >"+in,
		fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "line $i"; [ $((i %% 100)) -ne 0 ] || sleep 0.01; done`, lines), "echo $$ >"+end))
	waitFile(t, in)
	stuck.Store(true)
	waitFile(t, end)
	time.Sleep(300 * time.Millisecond)
	stuck.Store(false)
	if got := s.Wait(r.ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("status %s, want success", got)
	}
	wantLines(t, s.Log(r.ID, s.Attempts(r.ID)[0].ID), lines)
	s.Check()
}

// TestUnreachable: without any answer for too long the jobs are ended: the server may
// run them elsewhere.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{Lease: 4 * time.Second})
	o := s.RunnerOptions()
	o.Unreachable = 50 * time.Millisecond // the lease counts, which is longer
	s.Runner(o)
	pid := filepath.Join(t.TempDir(), "pid")
	s.Create(refltest.Script("sleep 300 & echo $! >"+pid, "wait"))
	process := waitFile(t, pid)
	s.Stop()
	time.Sleep(500 * time.Millisecond)
	if !alive(t, process) {
		t.Error("the job was ended before the end of its lease")
	}
	waitGone(t, process)
	s.Restart()
}

// TestDrain: a runner that the server drains ends its job and takes no other, until
// it may again.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{})
	dir := t.TempDir()
	in, end := filepath.Join(dir, "in"), filepath.Join(dir, "end")
	r := s.Create(refltest.Script("echo $$ >"+in, "while [ ! -e "+end+" ]; do sleep 0.02; done"))
	s.Runner(s.RunnerOptions())
	waitFile(t, in)
	session := s.Attempts(r.ID)[0].Session
	if err := s.Scheduler.Drain(t.Context(), session, true); err != nil {
		t.Fatal(err)
	}
	later := s.Create(refltest.Script("true"))
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.Wait(r.ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("status %s, want success", got)
	}
	time.Sleep(300 * time.Millisecond)
	if got := s.WaitFor(later.ID, func(store.Run) bool { return true }).Status; got != pipeline.StatusPending {
		t.Errorf("the later run: %s, want pending", got)
	}
	if err := s.Scheduler.Drain(t.Context(), session, false); err != nil {
		t.Fatal(err)
	}
	if got := s.Wait(later.ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("the later run: %s, want success", got)
	}
	s.Check()
}

// TestFullDisk: a job that cannot be written down waits, and runs when it can.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{})
	o := s.RunnerOptions()
	waits := make(chan string, 10)
	o.Notice = func(text string) { waits <- text }
	s.Runner(o)
	if got := s.Wait(s.Create(refltest.Script("true")).ID).Status; got != pipeline.StatusSuccess {
		t.Fatalf("status %s", got)
	}
	attempts := filepath.Join(o.Dir, "attempts") // as if nothing could be made in it
	s.Until("it is empty", func() bool { return os.Remove(attempts) == nil })
	r := s.Create(refltest.Script("true"))
	if text := <-waits; !strings.Contains(text, "waits for the runner's folder") {
		t.Errorf("notice %q", text)
	}
	if err := os.Mkdir(attempts, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := s.Wait(r.ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("status %s, want success", got)
	}
	if n := len(waits); n > 0 {
		t.Errorf("%d more notices", n)
	}
	s.Check()
}

// TestSessionOnFullDisk: a runner whose lease has ended ended itself when it could not
// write down its next session, such as on a full disk. One whose two polls both heard
// that it has ended began two sessions, and ended the jobs of the first.
func TestSessionOnFullDisk(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{})
	o := s.RunnerOptions()
	notices := make(chan string, 100)
	o.Notice = func(text string) { notices <- text }
	s.Runner(o)
	run := func() {
		t.Helper()
		if got := s.Wait(s.Create(refltest.Script("true")).ID).Status; got != pipeline.StatusSuccess {
			t.Fatalf("status %s, want success", got)
		}
	}
	run()
	open, err := s.Store.OpenSessions(t.Context())
	if err != nil || len(open) != 1 {
		t.Fatalf("%d sessions, %v", len(open), err)
	}
	inTheWay := filepath.Join(o.Dir, "session.json.new") // as if nothing could be written
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Scheduler.EndSession(t.Context(), open[0].ID); err != nil {
		t.Fatal(err)
	}
	run()
	if text := <-notices; !strings.Contains(text, "the session is not kept on disk") {
		t.Errorf("notice %q", text)
	}
	if open, err = s.Store.OpenSessions(t.Context()); err != nil || len(open) != 1 {
		t.Fatalf("%d sessions, %v", len(open), err)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	run()
	s.Until("the session is written down", func() bool {
		text, err := os.ReadFile(filepath.Join(o.Dir, "session.json"))
		return err == nil && strings.Contains(string(text), fmt.Sprint(open[0].ID))
	})
	s.Check()
}

// TestRefused: a runner that cannot work ends with the reason.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer good" {
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, `{"kind": "denied", "detail": "the token is not valid"}`)
				return
			}
			h.ServeHTTP(w, r)
		})
	}})
	bad := s.RunnerOptions()
	bad.Token = func() string { return "bad" }
	if err := runner.Run(t.Context(), bad); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "the token is not valid") {
		t.Errorf("a bad token: got %v, want denied", err)
	}
	good := s.RunnerOptions()
	good.Token = func() string { return "good" }
	stop := s.Runner(good)
	if got := s.Wait(s.Create(refltest.Script("true")).ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("status %s, want success", got)
	}
	if err := runner.Run(t.Context(), good); !errs.Is(err, errs.Conflict) {
		t.Errorf("a second runner in the folder: got %v, want a conflict", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
