//go:build unix

package runner_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/pipeline"
	"refline/internal/refltest"
)

const dockerHost = "REFLINE_TEST_DOCKER"

func dockerKind() []executor.Kind {
	host := os.Getenv(dockerHost)
	if host == "" {
		return nil
	}
	return []executor.Kind{{Name: "docker", Isolated: true, Open: func(ctx context.Context) (executor.Executor, error) {
		d := docker.New(docker.Options{Host: host, Getenv: func(string) string { return "" }})
		return d, d.Available(ctx)
	}}}
}

// engine is a container engine's API over its socket.
type engine struct {
	t      *testing.T
	client *http.Client
}

const boxImage = "refline-runner-test:1"

// openEngine imports an image of this computer's busybox.
func openEngine(t *testing.T) engine {
	t.Helper()
	host, socket := os.Getenv(dockerHost), ""
	if u, err := url.Parse(host); err == nil && u.Scheme == "unix" {
		socket = u.Path
	}
	busybox, err := exec.LookPath("busybox")
	if socket == "" || err != nil {
		t.Skipf("NOT TESTED: %s is not a socket of a Docker engine, or there is no busybox; scripts/docker-up starts one (Linux, root)", dockerHost)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	e := engine{t, &http.Client{Transport: transport}}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	add := func(h *tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	add(&tar.Header{Name: "bin/busybox", Mode: 0o755}, program)
	for _, name := range []string{"sh", "sleep", "echo", "cat", "chown", "chmod", "find", "mkdir", "tar", "rm"} {
		add(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	e.call(http.MethodPost, "/images/create?fromSrc=-&repo=refline-runner-test&tag=1&changes="+url.QueryEscape("ENV PATH=/bin"), &root)
	return e
}

func (e engine) call(method, path string, body io.Reader) []byte {
	e.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://engine"+path, body)
	if err != nil {
		e.t.Fatal(err)
	}
	res, err := e.client.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		e.t.Fatalf("%s %s: %s %s, %v", method, path, res.Status, text, err)
	}
	return text
}

// containers counts those of a run.
func (e engine) containers(run string) int {
	e.t.Helper()
	filter, err := json.Marshal(map[string][]string{"label": {"refline.run=" + run}})
	if err != nil {
		e.t.Fatal(err)
	}
	var list []struct{ ID string }
	if err := json.Unmarshal(e.call(http.MethodGet, "/containers/json?all=1&filters="+url.QueryEscape(string(filter)), nil), &list); err != nil {
		e.t.Fatal(err)
	}
	return len(list)
}

// TestContainers: jobs with an image run in a container, and what a killed runner left
// is found by its labels and removed.
func TestContainers(t *testing.T) {
	t.Parallel()
	e := openEngine(t)
	s := refltest.Start(t, refltest.Options{TCP: true})
	// Numbers of other tests' runs must not be those of this one's containers.
	for range 40 {
		s.Create(refltest.Jobs(pipeline.Job{Name: "idle", When: pipeline.WhenManual}))
	}
	dir := t.TempDir()
	c := startChild(t, "runner", dir, s.URL)
	image := &pipeline.Image{Name: boxImage, PullPolicy: []string{"never"}}
	r := s.Create(refltest.Jobs(pipeline.Job{Name: "job", Image: image, Script: []string{"echo $CI_PROJECT_DIR; [ ! -e /proc/self/root/usr/bin/env ]"}}))
	if got := s.Wait(r.ID).Status; got != pipeline.StatusSuccess {
		t.Errorf("status %s, want success\n%s", got, s.Log(r.ID, s.Attempts(r.ID)[0].ID))
	}
	r = s.Create(refltest.Jobs(pipeline.Job{Name: "job", Image: image, Script: []string{"echo started", "sleep 300"}}))
	s.Until("the job starts", func() bool {
		list := s.Attempts(r.ID)
		return len(list) > 0 && strings.Contains(s.Log(r.ID, list[0].ID), "started\n")
	})
	run := strconv.FormatInt(r.ID, 10)
	if n := e.containers(run); n == 0 {
		t.Fatal("no container of the run")
	}
	c.kill()
	startChild(t, "runner", dir, s.URL)
	if got := s.Wait(r.ID).Status; got != pipeline.StatusFailed {
		t.Errorf("status %s, want failed", got)
	}
	if n := e.containers(run); n != 0 {
		t.Errorf("%d containers are left", n)
	}
	left, err := os.ReadDir(filepath.Join(dir, "builds"))
	if err != nil || len(left) > 0 {
		t.Errorf("workspaces %v, %v; want none", left, err)
	}
	s.Check()
}
