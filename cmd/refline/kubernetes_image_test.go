//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// testImage runs a flow that is in an image: no git, and the files of the commit.
func (c *cluster) testImage(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil || os.Getenv("REFLINE_TEST_NETNS") == "" {
		t.Skip("NOT TESTED: a flow in an image wants a static busybox here, and a cluster in a network namespace of this computer")
	}
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	pushBusybox(t, busybox, host+"/base:1")
	c.push(map[string]string{"flows/boxed.sh": "echo boxed $(cat flows/beside.txt) in $PWD\ntouch made-by-the-flow\n", "flows/beside.txt": "with its file"})
	c.refline("image", "build", "flows/boxed.sh", "--base", host+"/base:1", "--to", host+"/flows:1")
	c.refline("flow", "register", "--image", host+"/flows:1", "--path", "flows/boxed.sh", "--name", "boxed", "--runtime", "one", "--project", "flows")
	run := c.begin("boxed")
	contains(t, c.wait(run), `"success"`, "boxed with its file in ")
	if got := c.kubectl("-n", c.namespace, "get", "pods", "-l", "refline.dev/run="+run, "-o", "jsonpath={.items[*].spec.containers[*].image}"); !strings.Contains(got, host+"/flows@sha256:") {
		t.Errorf("the image of the pod is %q, want one by digest", got)
	}
}

// pushBusybox makes an image that has a shell.
func pushBusybox(t *testing.T, program, to string) {
	t.Helper()
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	add := func(h tar.Header, body []byte) {
		t.Helper()
		h.Size = int64(len(body))
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	add(tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	add(tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, text)
	for _, applet := range []string{"sh", "cat", "cp", "mkdir", "rm", "touch", "ls", "env", "sed", "grep", "find", "tar"} {
		add(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err == nil {
		img, err = mutate.ConfigFile(img, withPlatform(t, img))
	}
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
}

func withPlatform(t *testing.T, img v1.Image) *v1.ConfigFile {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config.Env = "linux", runtime.GOARCH, []string{"PATH=/bin"}
	return c
}
