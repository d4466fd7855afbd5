//go:build linux || darwin

package podsandbox_test

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/executortest"
	"refline/internal/executor/podsandbox"
)

// withServices starts a pod with services whose containers are processes of this test.
func withServices(t *testing.T, list ...podsandbox.Service) *podsandbox.Executor {
	t.Helper()
	dir := shortDir(t)
	e, wrapper, err := pair(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ListenServices(dir, list); err != nil {
		t.Fatal(err)
	}
	wrappers := []*exec.Cmd{wrapper}
	for i, s := range list {
		if s.Started {
			continue
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		w := exec.Command(self)
		w.Env = append(os.Environ(), wrapperEnv+"="+podsandbox.ServiceSocket(dir, i))
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		wrappers = append(wrappers, w)
	}
	t.Cleanup(func() {
		e.Finish(0)
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for i, w := range wrappers {
			if err := w.Wait(); err != nil {
				t.Errorf("container %d ended with %v, want success", i, err)
			}
		}
	})
	return e
}

func TestServices(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // in place of what a service listens on
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	e := withServices(
		t,
		podsandbox.Service{},
		podsandbox.Service{Entrypoint: []string{"sh", "-c"}, Command: []string{"echo of the image $SECRET; exit 3"}},
		podsandbox.Service{Started: true},
	)
	var log, out executortest.Buffer
	file := shortDir(t) + "/out"
	s, err := e.Start(t.Context(), executor.Spec{Log: &log, Services: []executor.Service{
		{Image: executor.Image{Name: "db:1", Entrypoint: []string{"sh", "-c", "echo $SECRET >" + file + "; exec sleep 1000"}}, Env: []string{"SECRET=hidden", "HEALTHCHECK_TCP_PORT=" + port}},
		{Image: executor.Image{Name: "queue:1"}, Aliases: []string{"q"}, Env: []string{"SECRET=of the job", "HEALTHCHECK_TCP_PORT=1"}},
		{Image: executor.Image{Name: "cache:1"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"service queue:1 (queue, q) may not be ready: it ended with exit code 3", "of the image of the job"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), "db:1") {
		t.Errorf("a service that is ready is in the log:\n%s", &log)
	}
	if code, err := s.Exec(t.Context(), command("until [ -s "+file+" ]; do sleep 0.05; done; cat "+file, &out)); code != 0 || err != nil || out.String() != "hidden\n" {
		t.Errorf("got %d, %v, %q", code, err, &out)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A service that ends is named after a command that failed: it may be the cause.
func TestServiceThatEndsIsNamedWithItsLog(t *testing.T) {
	t.Parallel()
	e := withServices(t, podsandbox.Service{})
	var log, out executortest.Buffer
	file := shortDir(t) + "/go"
	s, err := e.Start(t.Context(), executor.Spec{Log: &log, Services: []executor.Service{
		{Image: executor.Image{Name: "db:1", Entrypoint: []string{"sh", "-c", "until [ -e " + file + " ]; do sleep 0.05; done; echo no more room"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if log.String() != "" {
		t.Errorf("the log has %q", &log)
	}
	if code, err := s.Exec(t.Context(), command("touch "+file, &out)); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	for end := time.Now().Add(time.Minute); !strings.Contains(log.String(), "no more room"); {
		if time.Now().After(end) {
			t.Fatalf("the end of the service is not in the log: %q", &log)
		}
		if code, err := s.Exec(t.Context(), command("exit 1", &out)); code != 1 || err != nil {
			t.Fatal(code, err)
		}
	}
	if !strings.Contains(log.String(), "service db:1 (db) ended with exit code 0") {
		t.Errorf("the log has %q", &log)
	}
}

func TestServiceErrors(t *testing.T) {
	t.Parallel()
	e := withServices(t, podsandbox.Service{})
	var log executortest.Buffer
	_, err := e.Start(t.Context(), executor.Spec{Log: &log, Services: make([]executor.Service, 2)})
	if !errs.Is(err, errs.Invalid) {
		t.Errorf("another number of services: got %v, want invalid", err)
	}
	_, err = e.Start(t.Context(), executor.Spec{Log: &log, Services: []executor.Service{{Image: executor.Image{Name: "db:1"}}}})
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "db:1") {
		t.Errorf("no program: got %v, want invalid with the service", err)
	}
	_, err = e.Start(t.Context(), executor.Spec{Log: &log, Services: []executor.Service{{Image: executor.Image{Name: "db:1", Entrypoint: []string{"/no/such/program"}}, Env: []string{"HEALTHCHECK_TCP_PORT=1"}}}})
	if err != nil || !strings.Contains(log.String(), "/no/such/program") {
		t.Errorf("got %v, and the log %q", err, &log)
	}
}
