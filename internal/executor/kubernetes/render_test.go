package kubernetes

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"

	"refline/internal/errs"
	"refline/internal/executor"
)

var update = flag.Bool("update", false, "write the expected results")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options() Options {
	return Options{Runner: "cluster one", URL: "https://refline.example.com", AgentImage: "refline@sha256:1", Namespace: "jobs"}
}

func launch(config string) executor.Launch {
	return executor.Launch{Fence: 4711, Run: 12, Job: "build: [a, b]", Project: "data/flows", Runtime: "py", Image: "python:3.12", Timeout: time.Hour, Config: json.RawMessage(config)}
}

// Each file of testdata/render has the configuration of a runtime as YAML, and below
// a line "---" the Job that it makes.
func TestRender(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/render/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config, want, _ := strings.Cut(string(text), "\n---\n")
			body, err := yaml.YAMLToJSONStrict([]byte(config))
			if err != nil {
				t.Fatal(err)
			}
			job, err := Render(options(), launch(string(body)))
			var got []byte
			if err == nil {
				got, err = YAML(job)
			}
			if err != nil {
				got = []byte("error: " + err.Error() + "\n")
			}
			if *update {
				if err := os.WriteFile(file, []byte(config+"\n---\n"+string(got)), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(want, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

// Whatever a template says, the agent comes first and has its hook, nothing secret is
// in it, and a pod gets no token of the cluster's API.
func TestRenderKeepsWhatMustBe(t *testing.T) {
	t.Parallel()
	job, err := Render(options(), launch(`{"template": {"metadata": {"name": "mine", "labels": {"refline.dev/attempt": "1"}}, "spec": {"backoffLimit": 6, "parallelism": 3, "template": {"spec": {
		"restartPolicy": "OnFailure", "automountServiceAccountToken": true,
		"containers": [{"name": "beside", "image": "b"}, {"name": "refline", "command": ["sh"], "lifecycle": {"postStart": {"exec": {"command": ["true"]}}}}, {"name": "job", "$patch": "delete"}],
		"volumes": [{"name": "refline-token", "emptyDir": {}}]}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	var names []string
	for _, c := range pod.Containers {
		names = append(names, c.Name)
	}
	if d := cmp.Diff([]string{"refline", "job", "beside"}, names); d != "" {
		t.Error(d)
	}
	if job.Name != "refline-4711" || job.Labels[labelAttempt] != "4711" || *job.Spec.BackoffLimit != 0 || job.Spec.Parallelism != nil || pod.RestartPolicy != "Never" || *pod.AutomountServiceAccountToken {
		t.Errorf("a template changed what must be: %+v", job)
	}
	if got := pod.Containers[0].Lifecycle.PostStart.Exec.Command; got[len(got)-1] != "pod-ready" {
		t.Errorf("the hook is %q", got)
	}
	for _, v := range pod.Volumes {
		if v.Name == "refline-token" && v.Projected == nil {
			t.Error("the token's volume was replaced")
		}
	}
	for _, c := range pod.Containers[1:] {
		for _, m := range c.VolumeMounts {
			if m.Name == "refline-token" {
				t.Errorf("container %s has the token", c.Name)
			}
		}
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ config, says string }{
		{`{"requests": {"cpu": "much"}}`, "request cpu=much is not a quantity"},
		{`{"template": {"spec": {"templates": {}}}}`, `spec: no field "templates"`},
		{`{"template": {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}}`, "spec.template.spec.containers[0]: it has no name"},
		{`{"template": {"spec": {"template": {"spec": {"nodeselector": {}}}}}}`, `it is "nodeSelector"`},
		{`{"template": {"spec": {"backoffLimit": "many"}}}`, "the job template"},
		{`{"template": {"spec": {"template": {"spec": {"tolerations": [{"key": "a", "effects": "NoExecute"}]}}}}}`, `tolerations[0]: no field "effects"`},
		{`{"template": {"kind": "Pod"}}`, "not a Job"},
		{`{"template": []}`, "not a JSON object"},
		{`{"builds": "tape"}`, "disk or in memory"},
		{`{"unknown": 1}`, "unknown"},
	} {
		if _, err := Render(options(), launch(c.config)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want invalid with %q", c.config, err, c.says)
		}
	}
	l := launch("")
	l.Image = ""
	if _, err := Render(options(), l); !errs.Is(err, errs.Invalid) {
		t.Errorf("no image: got %v", err)
	}
}

func service(name string, entrypoint ...string) executor.LaunchService {
	return executor.LaunchService{Service: executor.Service{Image: executor.Image{Name: name, Entrypoint: entrypoint}}}
}

// A service whose program is known is started by ours, and nothing of its variables is
// in the manifest. Another is a sidecar of the cluster.
func TestRenderServices(t *testing.T) {
	t.Parallel()
	l := launch(`{"template": {"spec": {"template": {"spec": {"containers": [
		{"name": "service-db", "resources": {"limits": {"memory": "1Gi"}}}, {"name": "service-other", "resources": {"limits": {"memory": "1Gi"}}}]}}}}}`)
	db, redis, again := service("registry.example.com/group/db:1", "run", "db"), service("redis:7"), service("redis:7", "redis-server")
	db.Aliases, db.Env = []string{"db"}, []string{"PASSWORD=shown"}
	redis.Env, redis.Command, redis.PullPolicy = []string{"MODE=fast"}, []string{"--save", ""}, []string{"never"}
	l.Services = []executor.LaunchService{db, redis, again}
	job, err := Render(options(), l)
	if err != nil {
		t.Fatal(err)
	}
	text, err := YAML(job)
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/services.yaml"
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(text)); d != "" {
		t.Error(d)
	}
	if strings.Contains(string(text), "PASSWORD") || strings.Contains(string(text), "service-other") {
		t.Errorf("the manifest has a variable, or a service that the job has not:\n%s", text)
	}
}

func TestRenderServicesOnOnePort(t *testing.T) {
	t.Parallel()
	l := launch("")
	a, b := service("mysql:8", "run"), service("mariadb:11", "run")
	a.Exposed, b.Env = []string{"3306/tcp", "33060/tcp"}, []string{"HEALTHCHECK_TCP_PORT=3306"}
	l.Services = []executor.LaunchService{a, b}
	if _, err := Render(options(), l); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "services mysql:8 and mariadb:11 both listen on port 3306") {
		t.Errorf("got %v", err)
	}
}
