//go:build linux || darwin

package podagent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/podsandbox"
	"refline/internal/pipeline"
	"refline/internal/podagent"
	"refline/internal/refltest"
	"refline/internal/runner"
)

type agentOptions struct {
	URL, Dir string
	Fence    int64
}

// These make this program one of the two processes of a pod.
const (
	agentEnv   = "REFLINE_TEST_AGENT" // options of podagent
	wrapperEnv = "REFLINE_TEST_WRAPPER"
)

func TestMain(m *testing.M) {
	ctx, stop := context.WithCancel(context.Background())
	if text := os.Getenv(agentEnv); text != "" {
		var a agentOptions
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			panic(err)
		}
		o := podagent.Options{URL: a.URL, Fence: a.Fence, TokenFile: filepath.Join(a.Dir, "token"), Shared: a.Dir, Builds: filepath.Join(a.Dir, "builds")}
		os.Unsetenv(agentEnv)
		go func() {
			c := make(chan os.Signal, 1)
			notify(c)
			<-c
			stop()
		}()
		o.Notice = func(text string) { fmt.Fprintln(os.Stderr, text) }
		if _, err := podagent.Run(ctx, o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if socket := os.Getenv(wrapperEnv); socket != "" {
		os.Unsetenv(wrapperEnv)
		code, err := podsandbox.Wrap(ctx, socket)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}
	stop()
	os.Exit(m.Run())
}

// cluster starts the two processes of a pod on this computer.
type cluster struct {
	t   *testing.T
	url string
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	broken int // launches that fail before their pod runs
	tried  int
	pods   map[int64]*pod
	events chan executor.LaunchEvent
}

type pod struct {
	uid            string
	agent, wrapper *exec.Cmd
	done           chan struct{} // both have ended
	dir            string
}

var _ executor.Launcher = (*cluster)(nil)

func newCluster(t *testing.T, url string) *cluster {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, url: url, key: key, pods: map[int64]*pod{}, events: make(chan executor.LaunchEvent, 100)}
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.pods {
			p.kill()
			<-p.done
			_ = os.RemoveAll(p.dir)
		}
	})
	return c
}

func (p *pod) kill() {
	for _, c := range []*exec.Cmd{p.agent, p.wrapper} {
		_ = c.Process.Kill()
	}
}

// token is what the cluster gives a pod.
func (c *cluster) token(uid, audience string, life time.Duration) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: c.key, KeyID: "k1"}}, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(jwt.Claims{Audience: jwt.Audience{audience}, Expiry: jwt.NewNumericDate(time.Now().Add(life))}).
		Claims(map[string]any{"kubernetes.io": map[string]any{"pod": map[string]any{"uid": uid}}}).Serialize()
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

func (c *cluster) Keys(context.Context) ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: c.key.Public(), KeyID: "k1"}}})
}

func (c *cluster) Launch(_ context.Context, l executor.Launch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pods[l.Fence] != nil {
		return nil
	}
	c.tried++
	if c.broken > 0 {
		c.broken--
		c.events <- executor.LaunchEvent{Fence: l.Fence, End: &executor.LaunchEnd{Cause: executor.LaunchSystem, Text: "no node took the pod"}}
		return nil
	}
	dir, err := os.MkdirTemp("", "pod-") // a short path, for the socket
	if err != nil {
		return err
	}
	p := &pod{uid: fmt.Sprintf("uid-%d", l.Fence), dir: dir, done: make(chan struct{})}
	options, err := json.Marshal(agentOptions{URL: c.url, Fence: l.Fence, Dir: dir})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(c.token(p.uid, "refline", time.Hour)), 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p.agent, p.wrapper = exec.Command(self), exec.Command(self)
	p.agent.Env = append(os.Environ(), agentEnv+"="+string(options))
	p.wrapper.Env = append(os.Environ(), wrapperEnv+"="+podagent.Socket(dir), "OF_THE_IMAGE=yes")
	for _, cmd := range []*exec.Cmd{p.agent, p.wrapper} {
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
	}
	c.pods[l.Fence] = p
	c.events <- executor.LaunchEvent{Fence: l.Fence, ID: p.uid}
	go func() {
		err := p.agent.Wait()
		end := executor.LaunchEnd{Cause: executor.LaunchDone}
		if p.agent.ProcessState.ExitCode() < 0 {
			end = executor.LaunchEnd{Cause: executor.LaunchSystem, Text: fmt.Sprintf("the agent of the pod ended: %v", err)}
		}
		c.events <- executor.LaunchEvent{Fence: l.Fence, ID: p.uid, End: &end}
		_ = p.wrapper.Wait()
		close(p.done)
	}()
	return nil
}

func (c *cluster) Watch(ctx context.Context, report func(executor.LaunchEvent)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev := <-c.events:
			report(ev)
		}
	}
}

func (c *cluster) End(_ context.Context, fence int64) error {
	if p := c.pod(fence); p != nil {
		p.kill()
	}
	return nil
}

func (c *cluster) List(context.Context, time.Duration) ([]int64, error) { return nil, nil }

func (c *cluster) pod(fence int64) *pod {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pods[fence]
}

// start starts a runner that launches, and returns what stops it.
func start(t *testing.T, s *refltest.Server, c *cluster, dir string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- runner.Run(ctx, runner.Options{
			URL: s.URL, Token: func() string { return "runner" }, Dir: dir, Slots: 4,
			Kinds: []executor.Kind{{Name: "kubernetes", Launcher: func(context.Context) (executor.Launcher, error) { return c, nil }}},
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func job(lines ...string) pipeline.Job {
	return pipeline.Job{Name: "job", Script: lines, Image: &pipeline.Image{Name: "python:3.12"}}
}

func reasonOf(t *testing.T, s *refltest.Server, run int64) (pipeline.Reason, int, string) {
	t.Helper()
	rows, err := s.Store.RunJobs(context.Background(), run)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	return rows[0].Reason, rows[0].ExitCode, rows[0].Note
}

func TestPodAgent(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true})
	c := newCluster(t, s.URL)
	start(t, s, c, t.TempDir())

	good := s.Create(refltest.Jobs(job("echo from the pod $OF_THE_IMAGE")))
	if r := s.Wait(good.ID); r.Status != pipeline.StatusSuccess {
		t.Errorf("the run is %s", r.Status)
	}
	fence := s.Attempts(good.ID)[0].ID
	if log := s.Log(good.ID, fence); !strings.Contains(log, "from the pod yes") {
		t.Errorf("the log: %s", log)
	}

	bad := s.Create(refltest.Jobs(job("echo fails; exit 7")))
	s.Wait(bad.ID)
	if reason, code, _ := reasonOf(t, s, bad.ID); reason != pipeline.ReasonScriptFailure || code != 7 {
		t.Errorf("got %s %d, want the script's", reason, code)
	}
	p := c.pod(s.Attempts(bad.ID)[0].ID)
	<-p.done
	if got := p.wrapper.ProcessState.ExitCode(); got != 7 {
		t.Errorf("the job's container ended with %d, want the script's 7", got)
	}
	if got := p.agent.ProcessState.ExitCode(); got != 0 {
		t.Errorf("the agent, which reported the result, ended with %d, want 0", got)
	}
	s.Check()
}

// An attempt that one pod has is refused to others, and to tokens that are not its own.
func TestClaimIsForOnePod(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true})
	c := newCluster(t, s.URL)
	start(t, s, c, t.TempDir())
	hold := filepath.Join(t.TempDir(), "go-on")
	run := s.Create(refltest.Jobs(job("until [ -e " + hold + " ]; do sleep 0.05; done")))
	fence := claimed(t, s, run.ID)
	client := &api.RunnerClient{URL: s.URL, HTTP: http.DefaultClient}
	for _, x := range []struct {
		name, token string
		kind        errs.Kind
		says        string
	}{
		{"another pod", c.token("uid-other", "refline", time.Hour), errs.Conflict, "another pod"},
		{"another audience", c.token(c.pod(fence).uid, "https://kubernetes.default.svc", time.Hour), errs.Denied, "refline"},
		{"expired", c.token(c.pod(fence).uid, "refline", -time.Hour), errs.Denied, "expired"},
		{"another cluster", newCluster(t, s.URL).token(c.pod(fence).uid, "refline", time.Hour), errs.Denied, "not signed by the cluster"},
		{"no token", "what", errs.Denied, "not a service-account token"},
	} {
		_, err := client.Claim(t.Context(), api.ClaimRequest{Fence: fence, Token: x.token})
		if !errs.Is(err, x.kind) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: got %v", x.name, err)
		}
	}
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.Wait(run.ID); r.Status != pipeline.StatusSuccess {
		t.Errorf("the run is %s", r.Status)
	}
	if _, err := client.Claim(t.Context(), api.ClaimRequest{Fence: fence, Token: c.token(c.pod(fence).uid, "refline", time.Hour)}); !errs.Is(err, errs.Conflict) {
		t.Errorf("after the end: got %v", err)
	}
}

// A pod that the cluster could not start is made again, apart from the job's own retry,
// and not for ever.
func TestSystemFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name          string
		broken, tried int
		want          pipeline.Status
	}{
		{"twice", 2, 3, pipeline.StatusSuccess},
		{"for ever", 100, 3, pipeline.StatusFailed},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := refltest.Start(t, refltest.Options{TCP: true})
			c := newCluster(t, s.URL)
			c.broken = x.broken
			start(t, s, c, t.TempDir())
			run := s.Create(refltest.Jobs(job("echo done")))
			if r := s.Wait(run.ID); r.Status != x.want {
				t.Errorf("the run is %s, want %s", r.Status, x.want)
			}
			c.mu.Lock()
			tried := c.tried
			c.mu.Unlock()
			if tried != x.tried {
				t.Errorf("%d launches, want %d", tried, x.tried)
			}
			if list := s.Attempts(run.ID); list[len(list)-1].Attempt != 1 {
				t.Errorf("the tries count as attempts: %+v", list)
			}
			if _, _, note := reasonOf(t, s, run.ID); x.want == pipeline.StatusFailed && note != "no node took the pod" {
				t.Errorf("the note is %q", note)
			}
			s.Check()
		})
	}
}

// What a pod cannot have is refused before one is made.
func TestLaunchRefused(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true, Spec: func(spec *api.JobSpec) {
		spec.Runtime = api.JobRuntime{Name: "py", Executor: "kubernetes", Image: "python:3"}
	}})
	c := newCluster(t, s.URL)
	start(t, s, c, t.TempDir())
	for says, j := range map[string]pipeline.Job{
		"refline runtime set py --allow-image": job("echo"),
	} {
		run := s.Create(refltest.Jobs(j))
		s.Wait(run.ID)
		if reason, _, _ := reasonOf(t, s, run.ID); reason != pipeline.ReasonRunnerUnsupported {
			t.Errorf("%s: the reason is %s", says, reason)
		}
		if log := s.Log(run.ID, s.Attempts(run.ID)[0].ID); !strings.Contains(log, says) {
			t.Errorf("no %q in the log:\n%s", says, log)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tried != 0 {
		t.Errorf("%d pods were made", c.tried)
	}
}

// claimed waits until a pod has the only attempt of a run.
func claimed(t *testing.T, s *refltest.Server, run int64) (fence int64) {
	t.Helper()
	s.Until("the claim", func() bool {
		list := s.Attempts(run)
		if len(list) == 0 {
			return false
		}
		fence = list[len(list)-1].ID
		p, err := s.Store.Pod(context.Background(), fence)
		return err == nil && p.Agent != 0
	})
	return fence
}

// logged waits for text in the log of an attempt. The log shows commands as well, so
// scripts print it in two parts.
func logged(s *refltest.Server, run, fence int64, text string) {
	s.T.Helper()
	s.Until(text+" in the log", func() bool { return strings.Contains(s.Log(run, fence), text) })
}

// The runner that launched a pod may be restarted: the job goes on and is not run again.
func TestRunnerRestartsWhilePodRuns(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true})
	c := newCluster(t, s.URL)
	dir := t.TempDir()
	stop := start(t, s, c, dir)
	hold := filepath.Join(t.TempDir(), "go-on")
	run := s.Create(refltest.Jobs(job("echo be''gun; until [ -e " + hold + " ]; do sleep 0.05; done; echo ended")))
	fence := claimed(t, s, run.ID)
	logged(s, run.ID, fence, "begun")
	stop()
	start(t, s, c, dir)
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.Wait(run.ID); r.Status != pipeline.StatusSuccess {
		t.Errorf("the run is %s", r.Status)
	}
	if n := len(s.Attempts(run.ID)); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	s.Check()
}

// A cancel reaches the pod: the script gets TERM, and after_script its time.
func TestCancelReachesThePod(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true})
	c := newCluster(t, s.URL)
	start(t, s, c, t.TempDir())
	j := job("trap 'echo got TERM; exit 1' TERM; echo be''gun; while :; do sleep 0.05; done")
	j.AfterScript = []string{"echo cleaned up"}
	run := s.Create(refltest.Jobs(j))
	fence := claimed(t, s, run.ID)
	logged(s, run.ID, fence, "begun")
	if err := s.Scheduler.Act(context.Background(), run.ID, pipeline.Event{Kind: pipeline.EventCancel}); err != nil {
		t.Fatal(err)
	}
	if r := s.Wait(run.ID); r.Status != pipeline.StatusCanceled {
		t.Errorf("the run is %s", r.Status)
	}
	s.Until("the end of the pod", func() bool {
		select {
		case <-c.pod(fence).done:
			return true
		default:
			return false
		}
	})
	log := s.Log(run.ID, fence)
	for _, want := range []string{"got TERM", "cleaned up"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
	s.Check()
}

// Who ends a pod ends its job, with a reason; the wrapper leaves nothing running.
func TestPodEnds(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name string
		end  func(*pod)
		says string
	}{
		{"terminated", func(p *pod) { _ = p.agent.Process.Signal(syscall.SIGTERM) }, "was stopped"},
		{"agent killed", func(p *pod) { _ = p.agent.Process.Kill() }, "the agent of the pod ended"},
		{"job's container killed", func(p *pod) { _ = p.wrapper.Process.Kill() }, "container is gone"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := refltest.Start(t, refltest.Options{TCP: true})
			c := newCluster(t, s.URL)
			start(t, s, c, t.TempDir())
			pidFile := filepath.Join(t.TempDir(), "pid")
			run := s.Create(refltest.Jobs(job("echo $$ >" + pidFile + "; echo be''gun; while :; do sleep 0.05; done")))
			fence := claimed(t, s, run.ID)
			logged(s, run.ID, fence, "begun")
			x.end(c.pod(fence))
			if r := s.Wait(run.ID); r.Status != pipeline.StatusFailed {
				t.Errorf("the run is %s", r.Status)
			}
			reason, _, note := reasonOf(t, s, run.ID)
			if log := s.Log(run.ID, fence); reason != pipeline.ReasonRunnerSystemFailure || !strings.Contains(note+log, x.says) {
				t.Errorf("got %s, note %q, want %q in it or in the log:\n%s", reason, note, x.says, log)
			}
			text, err := os.ReadFile(pidFile)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			s.Until("the end of the script", func() bool { return syscall.Kill(pid, 0) != nil })
			s.Check()
		})
	}
}
