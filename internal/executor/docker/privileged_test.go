package docker_test

import (
	"os"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/docker"
)

func privileged(t *testing.T, patterns ...string) executor.Executor {
	e := docker.New(docker.Options{
		Host: os.Getenv(hostEnv), Home: t.TempDir(), Getenv: func(string) string { return "" }, Privileged: patterns,
	})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// mayMount reports whether a container may mount, as only a privileged one may.
const mayMount = "mkdir -p /m && if mount -t tmpfs none /m 2>/dev/null; then echo privileged; else echo not; fi"

func TestPrivileged(t *testing.T) {
	t.Parallel()
	engine(t)
	const dind = "refline-test/docker:9-dind"
	for _, c := range []struct {
		name         string
		patterns     []string
		job, service string
		hint         bool
	}{
		{"nobody", nil, "not", "not", true},
		{"the service", []string{"refline-test/docker:*dind"}, "not", "privileged", false},
		{"the job", []string{"other/*", boxImage}, "privileged", "not", true},
		{"a star is not for a slash", []string{"*"}, "not", "not", true},
		{"everybody", []string{"**"}, "privileged", "privileged", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := mustStartBy(t, privileged(t, c.patterns...), executor.Spec{Image: box(), Services: []executor.Service{{
				Image: executor.Image{Name: dind}, Aliases: []string{"engine"}, Env: []string{"DOCKER_TLS_CERTDIR=/certs"},
				Command: []string{"sh", "-c", "mkdir -p /w; (" + mayMount + ") >/w/index.html; echo ca >/certs/client/ca.pem; exec httpd -f -p 80 -h /w"},
			}}})
			if got := strings.TrimSpace(j.sh(mayMount)); got != c.job {
				t.Errorf("job: got %s, want %s", got, c.job)
			}
			if got := strings.TrimSpace(j.sh("until wget -qO- http://engine/ 2>/dev/null; do sleep 0.05; done")); got != c.service {
				t.Errorf("service: got %s, want %s", got, c.service)
			}
			log := j.log.String()
			if hinted := strings.Contains(log, "--docker-privileged '"+dind+"'"); hinted != c.hint {
				t.Errorf("log: %s", log)
			}
			got := j.sh("cat /certs/client/ca.pem 2>/dev/null || echo none")
			if want := map[bool]string{true: "none\n", false: "ca\n"}[c.hint]; got != want {
				t.Errorf("the service's certificate: got %q, want %q", got, want)
			}
		})
	}
}

func TestCheckPrivileged(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"**", "docker:*dind", "registry.example.com:5000/{a,b}/**"} {
		if err := docker.CheckPrivileged(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "[a"} {
		if err := docker.CheckPrivileged(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}
