package docker_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/executortest"
)

// job is what a test of one job works with.
type job struct {
	executor.Sandbox
	t   *testing.T
	dir string // on the host
	log *executortest.Buffer
}

// start brings up a job whose folder is mounted at /job.
func start(t *testing.T, spec executor.Spec) (*job, error) {
	t.Helper()
	return startBy(t, newExecutor(t), spec)
}

func startBy(t *testing.T, e executor.Executor, spec executor.Spec) (*job, error) {
	t.Helper()
	api := engine(t)
	j := &job{t: t, dir: t.TempDir(), log: &executortest.Buffer{}}
	spec.RunID, spec.JobID, spec.Log = runOf(t), "job", j.log
	spec.Mounts = append(spec.Mounts, executor.Mount{Source: j.dir, Target: "/job"})
	if len(spec.Image.PullPolicy) == 0 {
		spec.Image.PullPolicy = []string{"never"}
	}
	for i := range spec.Services {
		spec.Services[i].PullPolicy = []string{"never"}
	}
	var err error
	j.Sandbox, err = e.Start(t.Context(), spec)
	t.Cleanup(func() {
		if j.Sandbox != nil {
			j.close()
		}
		if left := leftovers(t, api, spec.RunID); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return j, err
}

// runOf is the run of a test. Several processes may run it at once.
func runOf(t *testing.T) string {
	return fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))
}

func mustStart(t *testing.T, spec executor.Spec) *job {
	t.Helper()
	return mustStartBy(t, newExecutor(t), spec)
}

func mustStartBy(t *testing.T, e executor.Executor, spec executor.Spec) *job {
	t.Helper()
	j, err := startBy(t, e, spec)
	if err != nil {
		t.Fatalf("start: %v\n%s", err, j.log)
	}
	return j
}

func (j *job) close() {
	j.t.Helper()
	if err := j.Close(j.t.Context()); err != nil {
		j.t.Errorf("close: %v", err)
	}
}

// sh runs a script and returns what it printed; it must give 0.
func (j *job) sh(script string) string {
	j.t.Helper()
	var out bytes.Buffer
	code, err := j.Exec(j.t.Context(), executor.Command{Args: []string{j.Shell(), "-c", script}, Dir: "/job", Stdout: &out, Stderr: &out})
	if code != 0 || err != nil {
		j.t.Fatalf("%s: %d, %v\n%s\n%s", script, code, err, &out, j.log)
	}
	return out.String()
}

func box() executor.Image { return executor.Image{Name: boxImage} }

func TestServices(t *testing.T) {
	t.Parallel()
	listens := executor.Image{Name: "refline-test/listens:1"}
	j := mustStart(t, executor.Spec{Image: box(), Services: []executor.Service{
		{Image: listens, Aliases: []string{"web", "www"}, Env: []string{"HEALTHCHECK_TCP_PORT=1", "HEALTHCHECK_TCP_PORT=8080", "WHAT=one"}},
		{Image: box(), Aliases: []string{"db"}, Command: []string{"sh", "-c", "mkdir /w; echo from $WHAT >/w/index.html; exec httpd -f -p 80 -h /w"}, Env: []string{"WHAT=command"}},
	}})
	for url, want := range map[string]string{
		"http://web:8080/":                  "served one\n",
		"http://www:8080/":                  "served one\n",
		"http://refline-test__listens:8080": "served one\n",
		"http://refline-test-listens:8080":  "served one\n",
	} {
		if got := j.sh("wget -qO- " + url); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
	// Nothing says when this one is ready: it exposes no port.
	if got := j.sh("until wget -qO- http://db/ 2>/dev/null; do sleep 0.05; done"); got != "from command\n" {
		t.Errorf("own command: got %q", got)
	}
	if log := j.log.String(); strings.Contains(log, "warning") {
		t.Errorf("log: %s", log)
	}
}

// A service reaches the job by the name that GitLab gives it.
func TestServiceSeesTheJob(t *testing.T) {
	t.Parallel()
	j := mustStart(t, executor.Spec{Image: box(), Services: []executor.Service{{
		Image: box(), Aliases: []string{"seer"},
		Command: []string{"sh", "-c", "until wget -qO- http://build:1/ 2>&1 | grep refused; do sleep 0.05; done; mkdir /w; echo seen >/w/index.html; exec httpd -f -p 80 -h /w"},
	}}})
	if got := j.sh("until wget -qO- http://seer/ 2>/dev/null; do sleep 0.05; done"); got != "seen\n" {
		t.Errorf("got %q", got)
	}
}

// Jobs that join a network of the engine reach each other's services there.
func TestNetworkOfTheEngine(t *testing.T) {
	t.Parallel()
	api := engine(t)
	name := "refline-test-" + strings.ToLower(rand.Text()[:8])
	made, err := api.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{Driver: "bridge"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = api.NetworkRemove(context.Background(), made.ID, client.NetworkRemoveOptions{}) })
	by := func(network string) executor.Executor {
		e := docker.New(docker.Options{Host: os.Getenv(hostEnv), Home: t.TempDir(), Getenv: func(string) string { return "" }, Network: network})
		t.Cleanup(func() { _ = e.Close() })
		return e
	}
	listens := executor.Service{Image: executor.Image{Name: "refline-test/listens:1"}, Aliases: []string{"web"}, Env: []string{"HEALTHCHECK_TCP_PORT=8080", "WHAT=shared"}}
	first := mustStartBy(t, by(name), executor.Spec{Image: box(), Services: []executor.Service{listens}})
	if got := first.sh("wget -qO- http://web:8080/"); got != "served shared\n" {
		t.Errorf("in the job: got %q", got)
	}
	t.Run("another job", func(t *testing.T) {
		other := mustStartBy(t, by(name), executor.Spec{Image: box()})
		if got := other.sh("wget -qO- http://web:8080/"); got != "served shared\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("not without the network", func(t *testing.T) {
		other := mustStart(t, executor.Spec{Image: box()})
		if got := other.sh("wget -qO- http://web:8080/ 2>/dev/null || echo unknown"); got != "unknown\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		if _, err := startBy(t, by("refline-test-nowhere"), executor.Spec{Image: box()}); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "docker network create refline-test-nowhere") {
			t.Errorf("got %v, want not found, and the way out", err)
		}
	})
	t.Run("host", func(t *testing.T) {
		if _, err := startBy(t, by("host"), executor.Spec{Image: box()}); !errs.Is(err, errs.Invalid) {
			t.Errorf("got %v, want invalid", err)
		}
	})
}

// Variables of the executor are below those of a command.
func TestVariablesOfTheExecutor(t *testing.T) {
	t.Parallel()
	engine(t)
	e := docker.New(docker.Options{
		Host: os.Getenv(hostEnv), Home: t.TempDir(), Getenv: func(string) string { return "" }, Env: []string{"GIVEN=here", "BOTH=executor"},
	})
	t.Cleanup(func() { _ = e.Close() })
	j := mustStartBy(t, e, executor.Spec{Image: box()})
	var out executortest.Buffer
	code, err := j.Exec(t.Context(), executor.Command{
		Args: []string{"sh", "-c", `echo "$GIVEN $BOTH"`}, Dir: "/", Env: []string{"BOTH=command"}, Stdout: &out, Stderr: &out,
	})
	if code != 0 || err != nil || out.String() != "here command\n" {
		t.Errorf("got %d, %v, %q", code, err, out.String())
	}
}

func TestLogsOfServices(t *testing.T) {
	t.Parallel()
	j := mustStart(t, executor.Spec{Image: box(), Services: []executor.Service{
		{Image: executor.Image{Name: "refline-test/listens:1"}, Aliases: []string{"quiet"}},
		{Image: executor.Image{Name: "refline-test/listens:1"}, Aliases: []string{"web"}, Env: []string{"CI_DEBUG_SERVICES=true"},
			Command: []string{"sh", "-c", "echo one; echo two >&2; exec httpd -f -p 8080"}},
	}})
	j.close()
	if log := j.log.String(); !strings.Contains(log, "[service:web] one\n") || !strings.Contains(log, "[service:web] two\n") || strings.Contains(log, "quiet") {
		t.Errorf("log: %s", log)
	}
}

func TestServiceThatIsNotReady(t *testing.T) {
	t.Parallel()
	j := mustStart(t, executor.Spec{Image: box(), ServiceWait: 3 * time.Second, Services: []executor.Service{
		{Image: executor.Image{Name: "refline-test/silent:1"}, Aliases: []string{"mute"}},
	}})
	log := j.log.String()
	for _, want := range []string{"warning", "refline-test/silent:1", "mute", "port 8080", "I listen to myself"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q: %s", want, log)
		}
	}
	if got := j.sh("echo goes on"); got != "goes on\n" {
		t.Errorf("got %q", got)
	}
}

func TestServiceThatEnds(t *testing.T) {
	t.Parallel()
	j := mustStart(t, executor.Spec{Image: box(), ServiceWait: time.Hour, Services: []executor.Service{
		{Image: executor.Image{Name: "refline-test/silent:1"}, Command: []string{"sh", "-c", "echo no configuration >&2; sleep 0.5; exit 7"}},
	}})
	for _, want := range []string{"exit code 7", "no configuration"} {
		if log := j.log.String(); !strings.Contains(log, want) {
			t.Errorf("the log does not say %q: %s", want, log)
		}
	}
}

// A service without a port or a check is logged if it fails at once, or if it has
// ended when a command fails.
func TestServiceThatEndsUnasked(t *testing.T) {
	t.Parallel()
	j := mustStart(t, executor.Spec{Image: box(), Services: []executor.Service{
		{Image: box(), Aliases: []string{"later"}, Command: []string{"sh", "-c", "echo all went well; until nc -w 1 fails 80 </dev/null 2>/dev/null; do sleep 0.02; done; echo now I end"}},
		{Image: box(), Aliases: []string{"fails"}, Command: []string{"sh", "-c", "until nslookup fails >/dev/null 2>&1; do sleep 0.02; done; echo no password is set >&2; nc -l -p 80 </dev/null; exit 3"}},
	}})
	if log := j.log.String(); strings.Contains(log, "later") {
		t.Errorf("logged too early: %s", log)
	}
	fail := func() {
		var out bytes.Buffer
		if code, err := j.Exec(t.Context(), executor.Command{Args: []string{"sh", "-c", "exit 1"}, Stdout: &out, Stderr: &out}); code != 1 || err != nil {
			t.Fatal(code, err)
		}
	}
	for until := time.Now().Add(time.Minute); !strings.Contains(j.log.String(), "now I end") || !strings.Contains(j.log.String(), "password"); {
		if time.Now().After(until) {
			t.Fatalf("not logged: %s", j.log)
		}
		fail()
	}
	fail()
	log := j.log.String()
	for _, want := range []string{"(refline-test__busybox, refline-test-busybox, fails) ended with exit code 3", "no password is set", "later) ended with exit code 0", "now I end"} {
		if strings.Count(log, want) != 1 {
			t.Errorf("the log does not say %q once: %s", want, log)
		}
	}
}

func TestServiceWithHealthCheck(t *testing.T) {
	t.Parallel()
	api := engine(t)
	root, err := newBusybox()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		image, check, command string
		log                   []string // what the job's log says
	}{
		{"refline-test/healthy:1", "--interval=200ms CMD test -e /tmp/ready", "sleep 0.5; touch /tmp/ready; sleep 1000", nil},
		{"refline-test/sick:1", "--interval=100ms --retries=1 CMD false", "echo is sick; sleep 1000", []string{"warning", "unhealthy", "is sick"}},
	} {
		t.Run(c.image, func(t *testing.T) {
			t.Parallel()
			if err := importImage(t.Context(), api, c.image, root, "HEALTHCHECK "+c.check, `CMD ["sh", "-c", "`+c.command+`"]`); err != nil {
				t.Skip("NOT TESTED: this engine imports no image with a health check: ", err)
			}
			j := mustStart(t, executor.Spec{Image: box(), Services: []executor.Service{{Image: executor.Image{Name: c.image}}}})
			log := j.log.String()
			if (log == "") != (c.log == nil) {
				t.Errorf("log: %q", log)
			}
			for _, want := range c.log {
				if !strings.Contains(log, want) {
					t.Errorf("the log does not say %q: %s", want, log)
				}
			}
		})
	}
}

func TestUserOfTheImage(t *testing.T) {
	t.Parallel()
	j := mustStart(t, executor.Spec{Image: executor.Image{Name: "refline-test/worker:1"}})
	if got := j.sh("id -u; echo x >file"); got != "1234\n" {
		t.Errorf("got %q", got)
	}
}

func TestUserAndOwnership(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"worker", "1234:1234", "4321"} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			image := box()
			image.User = user
			j := mustStart(t, executor.Spec{Image: image})
			if err := os.WriteFile(filepath.Join(j.dir, "given"), []byte("given\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			want := "1234\n"
			if user == "4321" {
				want = "4321\n"
			}
			if got := j.sh(`id -u; umask 077; mkdir -p 'it is'/mine; echo x >'it is/mine/file'; ln -s given link; echo y >-n`); got != want {
				t.Errorf("user: got %q, want %q", got, want)
			}
			j.close()
			_ = filepath.WalkDir(j.dir, func(path string, _ fs.DirEntry, err error) error {
				if err != nil {
					t.Error(err)
				} else if uid := ownerOf(t, path); uid != os.Getuid() {
					t.Errorf("%s belongs to %d", path, uid)
				}
				return nil
			})
			if b, err := os.ReadFile(filepath.Join(j.dir, "it is/mine/file")); string(b) != "x\n" {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}
}

func TestEntrypoint(t *testing.T) {
	t.Parallel()
	t.Run("of the image", func(t *testing.T) {
		t.Parallel()
		j := mustStart(t, executor.Spec{Image: executor.Image{Name: "refline-test/entry:1"}})
		if j.Shell() != "/usr/bin/bash" {
			t.Errorf("shell: got %s, want bash", j.Shell())
		}
		if got := j.sh("echo $FROM_ENTRYPOINT"); got != "yes\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("cleared", func(t *testing.T) {
		t.Parallel()
		j := mustStart(t, executor.Spec{Image: executor.Image{Name: "refline-test/tool:1", Entrypoint: []string{""}}})
		if got := j.sh("echo shell"); got != "shell\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("of the job", func(t *testing.T) {
		t.Parallel()
		j := mustStart(t, executor.Spec{Image: executor.Image{Name: boxImage, Entrypoint: []string{"env", "FROM_JOB=yes"}}})
		if got := j.sh("echo $FROM_JOB $FROM_IMAGE"); got != "yes yes\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("that reads the job's variables", func(t *testing.T) {
		t.Parallel()
		j := mustStart(t, executor.Spec{
			Image: executor.Image{Name: boxImage, Entrypoint: []string{"sh", "-c", "export SEEN=$WANTED; exec sh"}}, Env: []string{"WANTED=yes"},
		})
		if got := j.sh("echo $SEEN"); got != "yes\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("without a shell", func(t *testing.T) {
		t.Parallel()
		j := mustStart(t, executor.Spec{Image: executor.Image{Name: "refline-test/tool:1"}})
		code, err := j.Exec(t.Context(), executor.Command{Args: []string{"true"}})
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), `entrypoint: [""]`) {
			t.Errorf("got %d, %v, want invalid with what to do", code, err)
		}
	})
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		spec executor.Spec
		kind errs.Kind
		says string
	}{
		{"no image", executor.Spec{}, errs.Invalid, "image"},
		{"absent, never pulled", executor.Spec{Image: executor.Image{Name: "refline-test/absent:9"}}, errs.NotFound, "refline-test/absent:9"},
		{"no shell", executor.Spec{Image: executor.Image{Name: "refline-test/no-shell:1"}}, errs.Invalid, "no shell"},
		{"bad name", executor.Spec{Image: executor.Image{Name: "UPPER/case", PullPolicy: []string{"if-not-present"}}}, errs.Invalid, "UPPER/case"},
		{"bad policy", executor.Spec{Image: executor.Image{Name: boxImage, PullPolicy: []string{"sometimes"}}}, errs.Invalid, "sometimes"},
		{"bad platform", executor.Spec{Image: executor.Image{Name: boxImage, Platform: "linux"}}, errs.Invalid, "platform"},
		{"other platform", executor.Spec{Image: executor.Image{Name: boxImage, Platform: "linux/s390x"}}, errs.NotFound, "linux/s390x"},
		{"absent service", executor.Spec{Image: box(), Services: []executor.Service{{Image: executor.Image{Name: "refline-test/absent:9"}}}}, errs.NotFound, "service"},
		{"service without a command", executor.Spec{Image: box(), Services: []executor.Service{{Image: executor.Image{Name: boxImage, Entrypoint: []string{""}}}}}, errs.Invalid, "service"},
		{"absent mount", executor.Spec{Image: box(), Mounts: []executor.Mount{{Source: "/no/such/folder", Target: "/x"}}}, errs.NotFound, "/no/such/folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := start(t, c.spec)
			if !errs.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v (%v), want %v with %q", err, errs.KindOf(err), c.kind, c.says)
			}
		})
	}
}

func TestVariablesAreNotInTheConfiguration(t *testing.T) {
	t.Parallel()
	j := mustStart(t, executor.Spec{Image: box()})
	const secret = "s3cr3t-value"
	api := engine(t)
	seen := make(chan string, 1)
	var out executortest.Buffer
	go func() {
		out.Await(t.Context(), "ready")
		seen <- inspectAll(t, api, "refline.run="+runOf(t))
		_ = os.WriteFile(filepath.Join(j.dir, "go-on"), nil, 0o666)
	}()
	code, err := j.Exec(t.Context(), executor.Command{
		Args: []string{"sh", "-c", `[ "$TOKEN" ] && echo ready; until [ -e go-on ]; do sleep 0.02; done`},
		Dir:  "/job", Env: []string{"TOKEN=" + secret}, Stdout: &out, Stderr: &out,
	})
	if code != 0 || err != nil {
		t.Fatal(code, err)
	}
	if all := <-seen; !strings.Contains(all, boxImage) || strings.Contains(all, secret) {
		t.Errorf("the engine shows of the container: %s", all)
	}
}

// TestTerminalHidesVariables: an exec's own variables would be in the engine's
// answers.
func TestTerminalHidesVariables(t *testing.T) {
	api := engine(t)
	j, err := start(t, executor.Spec{Image: executor.Image{Name: boxImage}})
	if err != nil {
		t.Fatal(err)
	}
	const secret = "swordfish-in-the-deep-sea"
	in, keys := io.Pipe()
	var out executortest.Buffer
	shown := ""
	var helper sync.WaitGroup
	helper.Go(func() {
		if !out.Await(t.Context(), "ready") {
			t.Error("it did not start")
		}
		shown = inspectAll(t, api, "refline.run="+runOf(t))
		_, _ = io.WriteString(keys, "\r")
	})
	code, err := j.Exec(t.Context(), executor.Command{
		Args: []string{"sh", "-c", `echo ready; read -r x; echo "it is $HIDDEN"`}, Dir: "/", Env: []string{"HIDDEN=" + secret},
		Terminal: &executor.Terminal{In: in, Out: &out},
	})
	_ = in.Close()
	helper.Wait()
	if code != 0 || err != nil || !strings.Contains(out.String(), "it is "+secret) {
		t.Errorf("got %d, %v, %s", code, err, &out)
	}
	if !strings.Contains(shown, "sleep 2147483") || strings.Contains(shown, secret) {
		t.Errorf("the engine shows a variable, or not what runs:\n%s", shown)
	}
}
