//go:build unix

package runner_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"refline/internal/pipeline"
	"refline/internal/refltest"
	"refline/internal/store"
)

// waitFile waits until a file has something, and returns that.
func waitFile(t testing.TB, path string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
			return strings.TrimSpace(string(text))
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not written within a minute", path)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func alive(t testing.TB, pid string) bool {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	return syscall.Kill(n, 0) == nil
}

func waitGone(t testing.TB, pid string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); alive(t, pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %s still runs", pid)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// TestStoppedPastLease: a runner that slept past its lease has lost its jobs. They run
// again elsewhere, once, and what it sends late changes nothing (invariant 3).
func TestStoppedPastLease(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true})
	dir := t.TempDir()
	starts, first := filepath.Join(dir, "starts"), filepath.Join(dir, "first")
	asleep := startChild(t, "runner", filepath.Join(dir, "runner"), s.URL)
	r := s.Create(refltest.Jobs(pipeline.Job{Name: "job", Retry: pipeline.Retry{Max: 1}, Script: []string{
		"echo $CI_JOB_ID >>" + starts,
		// The first attempt ends while its runner sleeps, the second is another.
		fmt.Sprintf("[ -e %s ] || { echo $$ >%s; echo from the first; sleep 0.3; exit 0; }", first, first),
		"echo from the second",
	}}))
	waitFile(t, first)
	asleep.signal(syscall.SIGSTOP)
	old := s.Attempts(r.ID)[0]
	time.Sleep(500 * time.Millisecond)
	if err := s.Scheduler.EndSession(t.Context(), old.Session); err != nil {
		t.Fatal(err)
	}
	o := s.RunnerOptions()
	stop := s.Runner(o)
	s.WaitFor(r.ID, func(r store.Run) bool { return r.Status == pipeline.StatusSuccess })
	if err := stop(); err != nil {
		t.Error(err)
	}
	logged := s.Log(r.ID, old.ID)
	asleep.signal(syscall.SIGCONT)
	s.Until("the runner that slept begins another session", func() bool {
		open, err := s.Store.OpenSessions(t.Context())
		return err == nil && len(open) == 1
	})
	s.Until("the attempt is forgotten", func() bool {
		left, err := os.ReadDir(filepath.Join(dir, "runner", "attempts"))
		return err == nil && len(left) == 0
	})
	list := s.Attempts(r.ID)
	if len(list) != 2 || list[0].State != store.AttemptLost || list[1].State != store.AttemptEnded {
		t.Errorf("attempts %+v, want one lost and one ended", list)
	}
	if got := s.Log(r.ID, old.ID); got != logged {
		t.Errorf("the log of the lost attempt grew from %q to %q", logged, got)
	}
	text, err := os.ReadFile(starts)
	if got := strings.Fields(string(text)); err != nil || len(got) != 2 || got[0] != fmt.Sprint(list[0].ID) || got[1] != fmt.Sprint(list[1].ID) {
		t.Errorf("starts %q, %v; want each attempt once", got, err)
	}
	if got := s.WaitFor(r.ID, func(store.Run) bool { return true }).Status; got != pipeline.StatusSuccess {
		t.Errorf("status %s, want success", got)
	}
	s.Check()
}

// TestLostLeaseEndsJob: a job whose lease is lost is ended, with its processes.
func TestLostLeaseEndsJob(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{})
	s.Runner(s.RunnerOptions())
	pid := filepath.Join(t.TempDir(), "pid")
	r := s.Create(refltest.Script("sleep 300 & echo $! >"+pid, "wait"))
	process := waitFile(t, pid)
	if err := s.Scheduler.EndSession(t.Context(), s.Attempts(r.ID)[0].Session); err != nil {
		t.Fatal(err)
	}
	waitGone(t, process)
	if got := s.Wait(s.Create(refltest.Script("true")).ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("the next job: %s, want success", got)
	}
	if got := s.Wait(r.ID).Status; got != pipeline.StatusFailed {
		t.Errorf("status %s, want failed", got)
	}
	s.Check()
}

// TestKilledWhileRunning: the runner that is started after one was killed reports its
// jobs at once; nothing of them is left running.
func TestKilledWhileRunning(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true})
	dir := t.TempDir()
	pid, folder := filepath.Join(dir, "pid"), filepath.Join(dir, "runner")
	c := startChild(t, "runner", folder, s.URL)
	r := s.Create(refltest.Script("echo before", "sleep 300 & echo $! >"+pid, "wait"))
	process := waitFile(t, pid)
	s.Until("the log arrives", func() bool { return strings.Contains(s.Log(r.ID, s.Attempts(r.ID)[0].ID), "before\n") })
	c.kill()
	startChild(t, "runner", folder, s.URL)
	if got := s.Wait(r.ID).Status; got != pipeline.StatusFailed {
		t.Errorf("status %s, want failed", got)
	}
	waitGone(t, process)
	a := s.Attempts(r.ID)[0]
	results, err := s.Store.AttemptResults(t.Context(), []int64{a.ID})
	if err != nil || len(results) != 1 || !strings.Contains(results[0].Body, "was killed while the job ran") {
		t.Errorf("result %v, %v; want that the runner was killed", results, err)
	}
	if got := s.Log(r.ID, a.ID); !strings.Contains(got, "before\n") || strings.Count(got, "was killed while the job ran") != 1 {
		t.Errorf("log %q, want what came before, and once that the runner was killed", got)
	}
	if got := s.Wait(s.Create(refltest.Script("true")).ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("the next job: %s, want success", got)
	}
	left, err := os.ReadDir(filepath.Join(folder, "builds"))
	if err != nil || len(left) > 0 {
		t.Errorf("workspaces %v, %v; want none", left, err)
	}
	s.Check()
}

// TestKilledBeforeStart: an attempt that had not started is started by the next runner,
// and is still the first.
func TestKilledBeforeStart(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	var answers atomic.Bool
	s := refltest.Start(t, refltest.Options{TCP: true, Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/job") && !answers.Load() {
				asked <- struct{}{}
				<-r.Context().Done()
				return
			}
			h.ServeHTTP(w, r)
		})
	}})
	dir := t.TempDir()
	starts := filepath.Join(dir, "starts")
	c := startChild(t, "runner", filepath.Join(dir, "runner"), s.URL)
	r := s.Create(refltest.Script("echo $CI_JOB_ID >>" + starts))
	<-asked
	time.Sleep(100 * time.Millisecond) // for the poll that says what it has
	c.kill()
	answers.Store(true)
	startChild(t, "runner", filepath.Join(dir, "runner"), s.URL)
	if got := s.Wait(r.ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("status %s, want success", got)
	}
	list := s.Attempts(r.ID)
	if len(list) != 1 || list[0].Attempt != 1 {
		t.Errorf("attempts %+v, want one", list)
	}
	if got := waitFile(t, starts); got != fmt.Sprint(list[0].ID) {
		t.Errorf("starts %q, want that of attempt %d once", got, list[0].ID)
	}
	s.Check()
}

// TestKilledWithResult: a result that the server does not have yet is sent by the
// runner that is started after one was killed.
func TestKilledWithResult(t *testing.T) {
	t.Parallel()
	var closed atomic.Bool
	closed.Store(true)
	refused := make(chan struct{}, 100)
	s := refltest.Start(t, refltest.Options{TCP: true, Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if closed.Load() && (strings.HasSuffix(r.URL.Path, "/finish") || strings.HasSuffix(r.URL.Path, "/log")) {
				refused <- struct{}{}
				http.Error(w, "not now", http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(w, r)
		})
	}})
	dir := t.TempDir()
	c := startChild(t, "runner", dir, s.URL)
	const lines = 3000
	r := s.Create(refltest.Script(fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "line $i"; done; exit 7`, lines)))
	journal := filepath.Join(dir, "attempts")
	s.Until("the job ends", func() bool {
		text, err := filepath.Glob(filepath.Join(journal, "*", "attempt.jsonl"))
		if err != nil || len(text) == 0 {
			return false
		}
		body, err := os.ReadFile(text[0])
		return err == nil && strings.Contains(string(body), `"phase":"finishing"`)
	})
	<-refused
	c.kill()
	closed.Store(false)
	startChild(t, "runner", dir, s.URL)
	s.Wait(r.ID)
	jobs, err := s.Store.RunJobs(t.Context(), r.ID)
	if err != nil || jobs[0].ExitCode != 7 || jobs[0].Attempt != 1 {
		t.Errorf("job %+v, %v; want exit code 7 of attempt 1", jobs, err)
	}
	wantLines(t, s.Log(r.ID, s.Attempts(r.ID)[0].ID), lines)
	s.Check()
}

// TestBothKilled: a log has each line once, though the server is killed while the job
// prints and the runner before it could send the end (invariant 8).
func TestBothKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, folder := filepath.Join(dir, "server"), filepath.Join(dir, "runner")
	if err := os.MkdirAll(server, 0o700); err != nil {
		t.Fatal(err)
	}
	for round := range soak(1, 20) {
		s := refltest.Start(t, refltest.Options{Dir: server, TCP: true})
		gate := filepath.Join(dir, fmt.Sprint("gate", round))
		lines := 2000
		r := s.Create(refltest.Script(
			fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "line $i"; [ $((i %% 20)) -ne 0 ] || sleep 0.02; done`, lines),
			"echo done >"+gate))
		s.Stop()
		url := s.URL
		web := startChild(t, "server", server, url)
		work := startChild(t, "runner", folder, url)
		for {
			time.Sleep(time.Duration(300+100*(round%3)) * time.Millisecond)
			if _, err := os.Stat(gate); err == nil {
				break
			}
			web.kill()
			time.Sleep(50 * time.Millisecond)
			if _, err := os.Stat(gate); err == nil {
				break
			}
			web = startChild(t, "server", server, url)
		}
		work.kill()
		web.kill()
		web = startChild(t, "server", server, url)
		work = startChild(t, "runner", folder, url)
		time.Sleep(time.Second)
		work.signal(syscall.SIGTERM)
		_ = work.cmd.Wait()
		web.kill()
		s = refltest.Start(t, refltest.Options{Dir: server, TCP: true})
		o := s.RunnerOptions()
		o.Dir = folder
		stop := s.Runner(o)
		s.Wait(r.ID)
		if err := stop(); err != nil {
			t.Error(err)
		}
		list := s.Attempts(r.ID)
		if len(list) != 1 {
			t.Errorf("%d attempts, want 1", len(list))
		}
		wantLines(t, s.Log(r.ID, list[0].ID), lines)
		s.Check()
		s.Stop()
	}
}
