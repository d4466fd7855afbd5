//go:build unix

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Sockets do not work in the virtual machine of Docker Desktop. A run with a key
// reports that at the start; otherwise only ssh would fail.
func TestEngineOnAnotherSystem(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "engine-") // sockets need short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	engine := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.48")
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/_ping"):
		case strings.HasSuffix(r.URL.Path, "/info"):
			fmt.Fprint(w, `{"OperatingSystem":"Docker Desktop","KernelVersion":"6.10.14-linuxkit"}`)
		case r.Method == http.MethodGet && !strings.Contains(r.URL.Path, "/images/"):
			fmt.Fprint(w, `[]`)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"no such image"}`)
		}
	})}
	go func() { _ = engine.Serve(l) }()
	t.Cleanup(func() { engine.Close() })

	p := newPerson(t)
	p.env = []string{"DOCKER_HOST=unix://" + filepath.Join(dir, "s"), "GIT_TOKEN=glpat-hunter2-of-a-project"}
	p.write(".gitlab-ci.yml", "push: {image: {name: flows:1, pull_policy: never}, script: [git push]}\n")
	const want = "the container engine runs on another system (Docker Desktop, kernel 6.10.14-linuxkit)"
	if out, _ := p.refline("run", "--git-token", "git.example.com=GIT_TOKEN"); strings.Count(out, want) != 1 {
		t.Errorf("no %q in\n%s", want, out)
	}
	if out, _ := p.refline("run"); strings.Contains(out, want) {
		t.Errorf("a notice without a key or token:\n%s", out)
	}
}
