//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cluster is a real cluster, which scripts/e2e-k8s names.
type cluster struct {
	t                    *testing.T
	kubeconfig, podHost  string
	binary               string
	agentImage, jobImage string
	namespace            string
	dir, data, url       string
	work                 string // working copy of the flows
	env                  []string
	runner               *exec.Cmd
}

// openCluster starts a server and a runner for pods, with a repository of flows.
func openCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		t: t, kubeconfig: os.Getenv("REFLINE_TEST_KUBECONFIG"), podHost: os.Getenv("REFLINE_TEST_POD_HOST"), binary: os.Getenv("REFLINE_TEST_BINARY"),
		agentImage: os.Getenv("REFLINE_TEST_AGENT_IMAGE"), jobImage: os.Getenv("REFLINE_TEST_JOB_IMAGE"),
	}
	if c.kubeconfig == "" {
		t.Skip("NOT TESTED: REFLINE_TEST_KUBECONFIG names no cluster; make e2e-k8s says what it needs")
	}
	c.dir = t.TempDir()
	c.data, c.work = filepath.Join(c.dir, "data"), filepath.Join(c.dir, "work")
	c.namespace = fmt.Sprintf("refline-e2e-%d", os.Getpid())
	c.env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "HOME="+c.dir, "REFLINE_DATA="+c.data,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	c.kubectl("create", "namespace", c.namespace)
	t.Cleanup(func() { c.kubectl("delete", "namespace", c.namespace, "--wait=false") })
	c.kubectl("label", "namespace", c.namespace, "pod-security.kubernetes.io/enforce=restricted")
	c.kubectl("-n", c.namespace, "create", "configmap", "ca", "--from-file=ca-certificates.crt="+os.Getenv("REFLINE_TEST_GIT_CERT"))
	c.serveGit()
	c.startServer()
	c.startRunner(t)
	return c
}

func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir = c.env, c.dir
	return cmd
}

func (c *cluster) output(cmd *exec.Cmd) string {
	c.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

func (c *cluster) kubectl(args ...string) string {
	c.t.Helper()
	return c.output(c.command("kubectl", args...))
}

func (c *cluster) refline(args ...string) string {
	c.t.Helper()
	cmd := c.command(c.binary, args...)
	cmd.Dir = c.work
	return c.output(cmd)
}

func (c *cluster) git(args ...string) {
	c.t.Helper()
	cmd := c.command("git", args...)
	cmd.Dir = c.work
	c.output(cmd)
}

// serveGit serves a repository by https where pods reach it.
func (c *cluster) serveGit() {
	c.t.Helper()
	bare := filepath.Join(c.dir, "git", "flows.git")
	c.output(c.command("git", "init", "-q", "--bare", "-b", "main", bare))
	c.output(c.command("git", "-C", bare, "config", "http.receivepack", "true"))
	handler := &cgi.Handler{Path: gitBackend(), Env: []string{
		"GIT_PROJECT_ROOT=" + filepath.Join(c.dir, "git"), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}}
	pair, err := tls.LoadX509KeyPair(os.Getenv("REFLINE_TEST_GIT_CERT"), os.Getenv("REFLINE_TEST_GIT_KEY"))
	if err != nil {
		c.t.Fatal(err)
	}
	l, err := net.Listen("tcp", c.podHost+":0")
	if err != nil {
		c.t.Fatal(err)
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
	go func() { _ = web.ServeTLS(l, "", "") }()
	c.t.Cleanup(func() { _ = web.Close() })
	c.output(c.command("git", "init", "-q", "-b", "main", c.work))
	c.git("remote", "add", "origin", "https://"+l.Addr().String()+"/flows.git")
}

func (c *cluster) start(name string, args ...string) (*exec.Cmd, *os.File) {
	c.t.Helper()
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := c.command(c.binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd, log
}

func (c *cluster) startServer() {
	c.t.Helper()
	network := c.podHost + "/32"
	cmd, log := c.start("server", "server", "--data", c.data, "--listen", c.podHost+":0", "--insecure", "--no-runner", "--allow-net", network, "--allow-net", "127.0.0.1/32")
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && c.t.Failed() {
			c.t.Logf("the server:\n%s", text)
		}
	})
	address := regexp.MustCompile(`on (http://\S+)`)
	c.until("the server", func() bool {
		text, _ := os.ReadFile(log.Name())
		if m := address.FindSubmatch(text); m != nil {
			c.url = string(m[1])
		}
		return c.url != ""
	})
	token, err := os.ReadFile(filepath.Join(c.data, "owner-token"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.env = append(c.env, "REFLINE_URL="+c.url, "REFLINE_TOKEN="+strings.TrimSpace(string(token)))
	cmd2 := c.command(c.binary, "runner", "token", "create", "e2e")
	out, err := cmd2.Output()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "token"), out, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) startRunner(t *testing.T) {
	t.Helper()
	cmd, log := c.start("runner", "runner", "--token-file", "token", "--dir", "runner", "--executor", "kubernetes", "--kubeconfig", c.runnerConfig(),
		"--namespace", c.namespace, "--agent-image", c.agentImage, "--name", "e2e", "--jobs", "50", "--grace", "1s")
	c.runner = cmd
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the runner:\n%s", text)
		}
	})
}

// runnerConfig is the kubeconfig of an account with the rights of deploy/kubernetes, and
// no others.
func (c *cluster) runnerConfig() string {
	c.t.Helper()
	path := filepath.Join(c.dir, "runner.kubeconfig")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	manifest, err := os.ReadFile("../../deploy/kubernetes/runner.yaml")
	if err != nil {
		c.t.Fatal(err)
	}
	rights := ""
	for part := range strings.SplitSeq(string(manifest), "\n---\n") {
		if !strings.Contains(part, "kind: Deployment") {
			rights += strings.ReplaceAll(part, "namespace: refline}", "namespace: "+c.namespace+"}") + "\n---\n"
		}
	}
	apply := c.command("kubectl", "apply", "-f", "-")
	apply.Stdin = strings.NewReader(rights)
	c.output(apply)
	token := strings.TrimSpace(c.kubectl("-n", c.namespace, "create", "token", "refline-runner", "--duration=2h"))
	text := c.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
	var config map[string]any
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		c.t.Fatal(err)
	}
	users := config["users"].([]any)
	users[0].(map[string]any)["user"] = map[string]any{"token": token}
	out, err := json.Marshal(config)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, out, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *cluster) until(what string, good func() bool) {
	c.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !good(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%s is not as it should be within two minutes", what)
		}
	}
}

// push commits files and pushes them.
func (c *cluster) push(files map[string]string) {
	c.t.Helper()
	for name, text := range files {
		path := filepath.Join(c.work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			c.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
	c.git("add", "-A")
	c.git("commit", "-qm", "change")
	c.git("push", "-q", "origin", "main", "--tags")
}

// A service that our program starts, one that the cluster starts, and one that fails.
const e2eServices = `
test:
  variables: {LITERAL: of the file}
  services:
  - name: %[1]s
    alias: web
    entrypoint: [sh, -c, 'mkdir -p /tmp/w; echo "served ${CANARY#canary-of-}" "$LITERAL" >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w']
    variables: {HEALTHCHECK_TCP_PORT: "8080"}
  - name: %[1]s
    alias: side
    pull_policy: never
    command: [sh, -c, 'echo "beside $LITERAL $OWN" >/tmp/index.html; exec httpd -f -p 8081 -h /tmp']
    variables: {HEALTHCHECK_TCP_PORT: "8081", OWN: "own $LITERAL"}
  - name: %[1]s
    alias: broken
    entrypoint: [sh, -c, 'echo it cannot be; exit 4']
  script:
  - wget -qO- http://web:8080/
  - wget -qO- http://side:8081/
  - sleep 2; exit 3
`

const e2eTemplate = `
spec:
  template:
    spec:
      containers:
      - name: refline
        env: [{name: SSL_CERT_FILE, value: /etc/ssl/certs/ca-certificates.crt}]
        volumeMounts: [{name: ca, mountPath: /etc/ssl/certs}]
      volumes:
      - {name: ca, configMap: {name: ca}}
`

func (c *cluster) runtime(name string, flags ...string) {
	c.t.Helper()
	args := append([]string{"runtime", "set", name, "--executor", "kubernetes", "--template", filepath.Join(c.dir, "template.yaml"), "--pull", "if-not-present"}, flags...)
	if !slices.Contains(flags, "--image") {
		args = append(args, "--image", c.jobImage)
	}
	c.refline(args...)
}

// begin starts a run of a flow and returns its number.
func (c *cluster) begin(flow string) string {
	c.t.Helper()
	out := c.refline("flow", "run", flow, "--json")
	var run struct{ ID int64 }
	if err := json.Unmarshal([]byte(out), &run); err != nil || run.ID == 0 {
		c.t.Fatalf("%v: %s", err, out)
	}
	return strconv.FormatInt(run.ID, 10)
}

// show is all that is known of a run.
func (c *cluster) show(run string) string {
	c.t.Helper()
	show, _ := c.command(c.binary, "runs", "show", run, "--json").CombinedOutput()
	text, _ := c.command(c.binary, "runs", "show", run).CombinedOutput()
	log, _ := c.command(c.binary, "runs", "log", run).CombinedOutput()
	return string(show) + string(text) + string(log)
}

// wait waits for the end of a run and returns what is known of it.
func (c *cluster) wait(run string) string {
	c.t.Helper()
	done := regexp.MustCompile(`"status": ?"(success|failed|canceled)"`)
	c.until("run "+run, func() bool {
		out, _ := c.command(c.binary, "runs", "show", run, "--json").CombinedOutput()
		m := done.Find(out)
		return m != nil && !bytes.Contains(out, []byte(`"running"`)) && !bytes.Contains(out, []byte(`"pending"`))
	})
	return c.show(run)
}

func (c *cluster) register(flow, runtime string, flags ...string) {
	c.t.Helper()
	c.refline(append([]string{"flow", "register", "flows/" + flow + ".sh", "--name", flow, "--runtime", runtime, "--project", "flows"}, flags...)...)
}

// pod is the name of the pod of a run.
func (c *cluster) pod(run string) (name string) {
	c.t.Helper()
	c.until("the pod of run "+run, func() bool {
		name = strings.TrimSpace(c.kubectl("-n", c.namespace, "get", "pods", "-l", "refline.dev/run="+run, "-o", "jsonpath={.items[*].metadata.name}"))
		return name != "" && !strings.Contains(name, " ")
	})
	return name
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// TestKubernetes is the story of flows in pods, on a real cluster.
func TestKubernetes(t *testing.T) {
	c, outer := openCluster(t), t
	if err := os.WriteFile(filepath.Join(c.dir, "template.yaml"), []byte(e2eTemplate), 0o644); err != nil {
		t.Fatal(err)
	}
	hold := "echo begun\nwhile :; do sleep 0.1; done\n"
	c.push(map[string]string{
		"flows/hello.sh":     "echo hello one from $(hostname) as $(id -u) with $GREETING\n",
		"flows/hold.sh":      hold,
		"flows/short.sh":     "echo begun\nsleep 8\necho ended\n",
		"flows/memory.sh":    "echo begun\ntail /dev/zero\n",
		"flows/secret.sh":    "[ \"$CANARY\" = canary-of-the-story-4711 ] && echo it is there\ntr '\\0' '\\n' </proc/1/environ | grep -c canary\nid -u\n",
		"flows/services.yml": fmt.Sprintf(e2eServices, c.jobImage),
		"flows/date.sh":      "read up rest </proc/uptime; echo first-$up\n",
	})
	c.git("tag", "v1")
	c.git("push", "-q", "origin", "v1")
	origin := c.command("git", "remote", "get-url", "origin")
	origin.Dir = c.work
	c.refline("project", "add", strings.TrimSpace(c.output(origin)))
	c.runtime("one", "--env", "GREETING=one")
	c.runtime("two", "--env", "GREETING=two", "--label", "team=data")
	c.runtime("small", "--limit", "memory=48Mi")
	c.runtime("none", "--image", "docker.io/e2e/not-there:1", "--pull", "never")

	// Helpers report to the test that runs.
	sub := func(name string, f func(*testing.T)) {
		t.Run(name, func(t *testing.T) {
			c.t = t
			defer func() { c.t = outer }()
			f(t)
		})
	}
	sub("branch, commit, tag, another runtime", func(t *testing.T) {
		c.register("hello", "one")
		contains(t, c.wait(c.begin("hello")), "hello one from refline-", "as 1000 with one")
		c.push(map[string]string{"flows/hello.sh": "echo hello two with $GREETING\n"})
		contains(t, c.wait(c.begin("hello")), "hello two with one")
		c.refline("flow", "set", "hello", "--runtime", "two")
		run := c.begin("hello")
		contains(t, c.wait(run), "hello two with two")
		if got := c.kubectl("-n", c.namespace, "get", "pods", "-l", "team=data", "-o", "name"); !strings.Contains(got, "pod/refline-") {
			t.Errorf("no pod has the label of the runtime: %q", got)
		}
		c.register("hello", "one", "--tag", "v1")
		contains(t, c.wait(c.begin("hello")), "hello one from")
	})
	sub("out of memory", func(t *testing.T) {
		c.register("memory", "small")
		contains(t, c.wait(c.begin("memory")), `"failed"`, "48 MiB", "out of memory")
	})
	sub("image that is not there", func(t *testing.T) {
		c.register("hold", "none")
		contains(t, c.wait(c.begin("hold")), "image_pull_failure", "pull policy is never")
	})
	sub("ends in words", c.testEnds)
	sub("deleted pod", func(t *testing.T) {
		c.refline("flow", "set", "hold", "--runtime", "one")
		run := c.begin("hold")
		c.until("the log", func() bool { return strings.Contains(c.show(run), "begun") })
		c.kubectl("-n", c.namespace, "delete", "pod", c.pod(run), "--wait=false")
		contains(t, c.wait(run), "runner_system_failure", "deleted")
	})
	sub("cancel", func(t *testing.T) {
		run := c.begin("hold")
		c.until("the log", func() bool { return strings.Contains(c.show(run), "begun") })
		c.refline("runs", "cancel", run)
		contains(t, c.wait(run), "canceled")
	})
	sub("killed runner", func(t *testing.T) {
		c.register("short", "one")
		run := c.begin("short")
		c.until("the log", func() bool { return strings.Contains(c.show(run), "begun") })
		_ = c.runner.Process.Kill()
		_ = c.runner.Wait()
		c.startRunner(outer)
		contains(t, c.wait(run), `"success"`, "ended")
		if got := c.kubectl("-n", c.namespace, "get", "jobs", "-l", "refline.dev/run="+run, "-o", "name"); strings.Count(got, "job") != 1 {
			t.Errorf("Jobs of the run: %s", got)
		}
	})
	sub("secret in no manifest", func(t *testing.T) { c.testCanary(t) })
	sub("services", func(t *testing.T) {
		c.setCanary()
		c.refline("flow", "register", "flows/services.yml", "--name", "services", "--runtime", "one", "--project", "flows")
		contains(t, c.wait(c.begin("services")), `"failed"`, "served the-story-4711 of the file", "beside of the file own of the file", "broken) ended with exit code 4", "it cannot be")
	})
	sub("suite of executors", func(t *testing.T) { c.testSuite(t) })
	sub("flow in an image", func(t *testing.T) { c.testImage(t) })
	sub("start", func(t *testing.T) { c.testStart(t) })
}

// testEnds makes ends that a cluster of one node can show.
func (c *cluster) testEnds(t *testing.T) {
	const spec = "spec: {template: {spec: {"
	for _, x := range []struct {
		name, template string
		flags, wants   []string
	}{
		{"unschedulable", "", []string{"--node-selector", "disk=none", "--pending", "2s"}, []string{"no node took the pod", "affinity/selector"}},
		{"command", "", []string{"--entrypoint", "/no/such/program"}, []string{"does not start", "/no/such/program"}},
		{"account", "", []string{"--service-account", "nobody"}, []string{"refuses the pod", "nobody"}},
		{"security", spec + "hostNetwork: true}}}", nil, []string{"refuses the pod", "PodSecurity"}},
		{"deadline", "", []string{"--deadline", "4s"}, []string{"deadline"}},
	} {
		flags := append(slices.Clone(x.flags), "--image", c.jobImage)
		if x.template != "" {
			path := filepath.Join(c.dir, x.name+".yaml")
			if err := os.WriteFile(path, []byte(x.template), 0o644); err != nil {
				t.Fatal(err)
			}
			flags = append(flags, "--template", path)
		}
		c.runtime("end-"+x.name, flags...)
		c.register("hold", "end-"+x.name)
		begin := time.Now()
		out := c.wait(c.begin("hold"))
		t.Logf("%s: %s", x.name, time.Since(begin).Round(time.Millisecond))
		contains(t, out, append(x.wants, `"failed"`)...)
	}
	c.register("hold", "one")
	run := c.begin("hold")
	c.until("the log", func() bool { return strings.Contains(c.show(run), "begun") })
	pod := c.pod(run)
	evict := c.command("kubectl", "create", "--raw", "/api/v1/namespaces/"+c.namespace+"/pods/"+pod+"/eviction", "-f", "-")
	evict.Stdin = strings.NewReader(fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, c.namespace))
	c.output(evict)
	contains(t, c.wait(run), "EvictionByEvictionAPI", "runner_system_failure")

	run = c.begin("hold")
	c.until("the log", func() bool { return strings.Contains(c.show(run), "begun") })
	if !c.killAgent(t, c.pod(run)) {
		t.Log("NOT TESTED: a killed agent: the node's processes are not this computer's")
		c.refline("runs", "cancel", run)
		return
	}
	begin := time.Now()
	contains(t, c.wait(run), "the agent of the pod ended with exit code 137", "runner_system_failure")
	t.Logf("killed agent: %s", time.Since(begin).Round(time.Millisecond))
}

// killAgent kills the agent of a pod, if its node is this computer.
func (c *cluster) killAgent(t *testing.T, pod string) bool {
	t.Helper()
	fence := strings.TrimSpace(c.kubectl("-n", c.namespace, "get", "pod", pod, "-o", `jsonpath={.metadata.labels.refline\.dev/attempt}`))
	list, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	killed := false
	for _, file := range list {
		environ, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(environ, []byte("REFLINE_POD_FENCE="+fence+"\x00")) || !bytes.Contains(environ, []byte("REFLINE_URL="+c.url+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed = true
		}
	}
	return killed
}

const canary = "canary-of-the-story-4711"

func (c *cluster) setCanary() {
	c.t.Helper()
	set := c.command(c.binary, "var", "set", "CANARY", "--server", "--project", "flows")
	set.Stdin = strings.NewReader(canary)
	c.output(set)
}

// testCanary looks for a secret wherever the cluster keeps something.
func (c *cluster) testCanary(t *testing.T) {
	c.setCanary()
	c.register("secret", "one")
	run := c.begin("secret")
	out := c.wait(run)
	contains(t, out, "it is there", "\n0\n")
	if strings.Contains(out, canary) {
		t.Error("the log shows the secret")
	}
	seen := c.kubectl("-n", c.namespace, "get", "pods,jobs,events,secrets,configmaps", "-o", "yaml")
	contains(t, seen, "refline.dev/run: \""+run+"\"")
	if strings.Contains(seen, canary) || strings.Contains(seen, "rfl_") {
		t.Error("the cluster's objects hold the secret, or a token of the server")
	}
	etcd := os.Getenv("REFLINE_TEST_ETCD")
	if etcd == "" {
		t.Log("NOT TESTED: REFLINE_TEST_ETCD does not name the folder of etcd's files")
		return
	}
	if found, err := exec.Command("grep", "-rlaF", canary, etcd).Output(); err == nil {
		t.Errorf("etcd's files hold the secret: %s", found)
	}
	if found, err := exec.Command("grep", "-rlaF", "refline-"+run, etcd).Output(); err != nil && len(found) == 0 {
		t.Log("the Job's name is not in etcd's files either: the search may see nothing")
	}
}

// testStart compares the time to the first instruction with that of a bare Job: from
// the moment when the API server shows the Job.
func (c *cluster) testStart(t *testing.T) {
	c.register("date", "one")
	const times = 10
	first := regexp.MustCompile(`first-(\d+\.\d+)`)
	posted, end := c.watchJobs(t)
	defer end()
	var bare, ours, triggered []float64
	for i := range times {
		name := fmt.Sprintf("bare-%d", i)
		c.post(t, i)
		c.kubectl("-n", c.namespace, "wait", "--for=condition=complete", "job/"+name, "--timeout=60s")
		bare = append(bare, since(t, first, c.kubectl("-n", c.namespace, "logs", "job/"+name), <-posted))
		begin := uptime(t)
		out := c.wait(c.begin("date"))
		triggered, ours = append(triggered, since(t, first, out, begin)), append(ours, since(t, first, out, <-posted))
	}
	for _, list := range [][]float64{bare, ours, triggered} {
		slices.Sort(list)
	}
	t.Logf("to the first instruction, median of %d: bare Job %.2f s, a run's %.2f s (%.2f×), from its trigger with the start of a command %.2f s",
		times, bare[times/2], ours[times/2], ours[times/2]/bare[times/2], triggered[times/2])
}

// watchJobs returns the times at which Jobs were made.
func (c *cluster) watchJobs(t *testing.T) (posted chan float64, end func()) {
	t.Helper()
	watch := c.command("kubectl", "-n", c.namespace, "get", "jobs", "--watch-only", "--output-watch-events")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	posted = make(chan float64, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "ADDED") {
				posted <- uptime(t)
			}
		}
	}()
	time.Sleep(time.Second) // kubectl does not say when it watches
	return posted, func() {
		_ = watch.Process.Kill()
		<-ended
		_ = watch.Wait()
	}
}

// since is the time from begin to the first instruction, by the same clock.
func since(t *testing.T, first *regexp.Regexp, text string, begin float64) float64 {
	t.Helper()
	m := first.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no time in %s", text)
	}
	at, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return at - begin
}

// uptime is the clock of containers that have no other fine one: busybox's date counts
// seconds.
func uptime(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), " ")
	at, err := strconv.ParseFloat(first, 64)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// post makes a bare Job by the API itself: a kubectl would be in the measure.
func (c *cluster) post(t *testing.T, i int) {
	t.Helper()
	text, err := os.ReadFile(c.runnerConfig())
	if err != nil {
		t.Fatal(err)
	}
	server, token := regexp.MustCompile(`"server":"([^"]+)"`).FindSubmatch(text), regexp.MustCompile(`"token":"([^"]+)"`).FindSubmatch(text)
	body := fmt.Sprintf(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"bare-%d"},"spec":{"backoffLimit":0,"template":{"spec":{"restartPolicy":"Never",
		"securityContext":{"runAsNonRoot":true,"runAsUser":1000,"seccompProfile":{"type":"RuntimeDefault"}},
		"containers":[{"name":"job","image":%q,"command":["sh","-c","read up rest </proc/uptime; echo first-$up"],"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}}}}`, i, c.jobImage)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, string(server[1])+"/apis/batch/v1/namespaces/"+c.namespace+"/jobs", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+string(token[1]))
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a cluster of this computer
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		answer, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %s", res.Status, answer)
	}
}
