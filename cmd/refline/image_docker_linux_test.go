package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sys/unix"
	"refline/internal/cli"
)

// listenInEngine listens on the loopback of a container engine's network namespace,
// at a port that is free there and here.
func listenInEngine(t *testing.T, host string) []net.Listener {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(host, "unix://"))
	if err != nil {
		t.Skipf("the engine is not on this computer: %v", err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var peer *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatal(err)
	}
	here, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own, _ := os.Readlink("/proc/self/ns/net")
	theirs, err := os.Readlink("/proc/" + strconv.Itoa(int(peer.Pid)) + "/ns/net")
	if err != nil || own == theirs {
		return []net.Listener{here}
	}
	type result struct {
		l   net.Listener
		err error
	}
	got := make(chan result)
	go func() {
		runtime.LockOSThread() // and not unlocked: the thread ends with the goroutine
		f, err := os.Open("/proc/" + strconv.Itoa(int(peer.Pid)) + "/ns/net")
		if err != nil {
			got <- result{nil, err}
			return
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			got <- result{nil, err}
			return
		}
		l, err := net.Listen("tcp", here.Addr().String())
		got <- result{l, err}
	}()
	r := <-got
	if r.err != nil {
		here.Close()
		t.Skipf("the network of the engine cannot be entered: %v", r.err)
	}
	return []net.Listener{here, r.l}
}

// engineRegistry is a registry that this process and the engine reach by one name.
func engineRegistry(t *testing.T, docker string) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	listeners := listenInEngine(t, docker)
	for _, l := range listeners {
		server := &http.Server{Handler: handler}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close() })
	}
	return listeners[0].Addr().String()
}

// The story of a flow in an image on a real engine: built from a commit, run by
// docker run without Refline, run by a server that has no repository, as a user
// without rights in the image, with artifacts between its jobs.
func TestImageOnDocker(t *testing.T) {
	t.Parallel()
	docker := dockerHost(t)
	host := engineRegistry(t, docker)
	base := host + "/base/sh:1"
	busyboxImage(t, docker, base)
	dockerRun := func(args ...string) (string, error) {
		out, err := exec.Command("docker", append([]string{"-H", docker}, args...)...).CombinedOutput()
		return string(out), err
	}
	mustDocker := func(args ...string) string {
		t.Helper()
		out, err := dockerRun(args...)
		if err != nil {
			t.Fatalf("docker %v: %v\n%s", args, err, out)
		}
		return out
	}
	mustDocker("push", "-q", base)
	dir := t.TempDir()
	for path, text := range map[string]string{
		"flows/hello.sh": "#!/bin/sh\n. lib/words.sh\necho \"$WORDS ${REFLINE_INPUT_NAME-nobody} $*\"\necho x >written-beside\npwd\n",
		"lib/words.sh":   "WORDS='hello from an image,'\n",
		"etl.yml": `extract:
  image: not/used:1
  script:
    - . lib/words.sh; mkdir -p out; echo "$WORDS $CI_COMMIT_REF_NAME" >out/text; echo changed >lib/words.sh
  artifacts: {paths: [out, lib/words.sh]}
load:
  image: {name: not/used:1, docker: {user: "1234:1234"}}
  needs: [extract]
  script: [cat out/text, cat lib/words.sh, ls flows/hello.sh, 'test ! -e .git', 'echo "by $(id -u)"', echo x >flows/new]
`,
	} {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "one"}} {
		command(t, dir, "git", args...)
	}
	image := host + "/flows:1"
	home := t.TempDir()
	refline := imageCommand(t, dir, home, docker)
	refline("image", "build", "flows/hello.sh", "etl.yml", "--base", base, "--to", image)
	world := host + "/world:1"
	refline("image", "build", "flows/hello.sh", "--base", base, "--to", world, "--input", "name=world")

	// Without Refline in the image, and by a user who may not write to it.
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{image}, "hello from an image, nobody"},
		{[]string{world}, "hello from an image, world --name=world"},
		{[]string{"-u", "1234", image, "--name=me"}, "hello from an image, me --name=me"},
		{[]string{world, "hello", "--name=you", "--more=1"}, "hello from an image, you --name=world --name=you --more=1"},
		{[]string{"--read-only", image, "flows/hello.sh"}, "hello from an image"},
	} {
		out, _ := dockerRun(append([]string{"run", "--rm"}, c.args...)...)
		if !strings.Contains(out, c.want) {
			t.Errorf("docker run %v: %s, want %s", c.args, out, c.want)
		}
	}
	if out, err := dockerRun("run", "--rm", image, "nothing"); err == nil || !strings.Contains(out, "no flow nothing in this image; it has: hello, etl") {
		t.Errorf("another flow: %s, %v", out, err)
	}
	if out, err := dockerRun("run", "--rm", image, "etl"); err == nil || !strings.Contains(out, "needs Refline") {
		t.Errorf("a pipeline: %s, %v", out, err)
	}

	// By a file, without a registry.
	refline("image", "build", "flows/hello.sh", "--base", base, "--output", filepath.Join(home, "hello.tar"))
	loaded := regexp.MustCompile(`Loaded image: (\S+)`).FindStringSubmatch(mustDocker("load", "-i", filepath.Join(home, "hello.tar")))
	if loaded == nil {
		t.Fatal("docker load names no image")
	}
	if out := mustDocker("run", "--rm", loaded[1]); !strings.Contains(out, "hello from an image") {
		t.Errorf("loaded image: %s", out)
	}

	// By a server. The repository is gone: nothing reads it.
	startImageServer(t, home, docker)
	if err := os.RemoveAll(dir + "/.git"); err != nil {
		t.Fatal(err)
	}
	refline = imageCommand(t, home, home, docker)
	refline("flow", "register", "--image", image, "--path", "flows/hello.sh")
	refline("flow", "register", "--image", image, "--path", "etl.yml")
	if out := refline("flow", "run", "hello", "--watch", "--input", "NAME=you"); !strings.Contains(out, "hello from an image, you --NAME=you") {
		t.Errorf("hello: %s", out)
	}
	out := refline("flow", "run", "etl", "--watch")
	for _, want := range []string{"hello from an image, main", "changed", "flows/hello.sh", "by 1234", "success"} {
		if !strings.Contains(out, want) {
			t.Errorf("etl lacks %q:\n%s", want, out)
		}
	}
}

// imageCommand runs refline with a home and an engine, and returns what it printed.
func imageCommand(t *testing.T, dir, home, docker string) func(args ...string) string {
	return func(args ...string) string {
		t.Helper()
		cmd := exec.Command("refline", args...)
		cmd.Dir, cmd.Env = dir, imageEnviron(home, docker)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("refline %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
}

func imageEnviron(home, docker string) []string {
	return append(os.Environ(), "HOME="+home, "REFLINE_STATE_DIR="+filepath.Join(home, "state"), "REFLINE_CACHE_DIR="+filepath.Join(home, "cache"),
		"REFLINE_DATA="+filepath.Join(home, "data"), "DOCKER_HOST="+docker)
}

// startImageServer starts a server that ends with the test.
func startImageServer(t *testing.T, home, docker string) {
	t.Helper()
	cmd := exec.Command("refline", "server", "--listen", "127.0.0.1:0")
	cmd.Env = imageEnviron(home, docker)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("server: %v\n%s", err, out.String())
		}
	})
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(home, "data", cli.ServerFile)); err == nil {
			return
		}
	}
	t.Fatal("the server does not start")
}
