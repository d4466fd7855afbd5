package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"refline/internal/cli"
)

// dockerHost is the engine for tests; scripts/with-docker brings one up.
func dockerHost(t *testing.T) string {
	t.Helper()
	host := os.Getenv("REFLINE_TEST_DOCKER")
	if host == "" {
		t.Skip("no container engine: run under scripts/with-docker, or set REFLINE_TEST_DOCKER to a DOCKER_HOST")
	}
	return host
}

// busyboxImage makes an image of a static busybox, since nothing can be pulled.
func busyboxImage(t *testing.T, host, name string) {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("no busybox: scripts/setup installs it")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	add := func(h tar.Header, body []byte) {
		h.Size = int64(len(body))
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin", "etc", "tmp", "root"} {
		add(tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o777}, nil)
	}
	add(tar.Header{Name: "bin/busybox", Mode: 0o755}, data)
	for _, applet := range strings.Fields("sh cat cp id ls echo sleep wget httpd mkdir mktemp rm test touch tr grep env printf true false nc") {
		add(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
	}
	add(tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"))
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker", "-H", host, "import", "-c", "ENV PATH=/bin", "-", name)
	cmd.Stdin = &buf
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, out)
	}
}

func TestRunInContainers(t *testing.T) {
	t.Parallel()
	host := dockerHost(t)
	const image = "refline-test/commands:1"
	busyboxImage(t, host, image)
	for name, c := range map[string]struct {
		pipeline string
		code     int
		want     []string
		not      []string
	}{
		"the image's own user reads and writes, artifacts travel": {`
one:
  image: {name: IMAGE, docker: {user: "65534:65534"}}
  script: [id -u, mkdir -p d, echo made > d/out.txt, 'echo ''{"type":"step_started","step":"first"}'' >> $REFLINE_EVENTS']
  artifacts: {paths: [d]}
two:
  stage: deploy
  script: [cat d/out.txt, rm -r d]
`, 0, []string{"65534", "made", "1 step: first"}, nil},
		"a service answers by its alias and sees its variables": {`
one:
  image: IMAGE
  services:
    - name: IMAGE
      alias: web
      variables: {WORD: served}
      command: [sh, -c, 'mkdir /w; echo "$WORD" > /w/index.html; exec httpd -f -p 80 -h /w']
  script: ['for i in 1 2 3 4 5; do wget -qO- http://web/ && exit; sleep 1; done; exit 1']
`, 0, []string{"│ served"}, nil},
		"secrets are masked and in no configuration": {`
one:
  image: IMAGE
  script: ['echo "it is $TOP_SECRET"', 'test -n "$TOP_SECRET"']
`, 0, []string{"it is [masked]"}, []string{"swordfish-9-in-the-sea"}},
		"the log names a service that fails": {`
one:
  image: IMAGE
  services: [{name: IMAGE, alias: db, command: [sh, -c, 'echo no password; exit 3']}]
  script: [sleep 1, exit 1]
`, 3, []string{"db) ended with exit code 3", "│ no password"}, nil},
		"no such image": {`
one:
  image: {name: refline-test/nowhere:1, pull_policy: never}
  script: [echo never]
`, 3, []string{"✗ one", "refline-test/nowhere:1"}, []string{"│ never"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, strings.ReplaceAll(c.pipeline, "IMAGE", image))
			cmd, out := v.command("run", "--secret", "TOP_SECRET")
			cmd.Env = append(cmd.Env, "DOCKER_HOST="+host, "TOP_SECRET=swordfish-9-in-the-sea")
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, w := range c.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("no %q", w)
				}
			}
			for _, n := range c.not {
				if strings.Contains(out.String(), n) {
					t.Errorf("%q is shown", n)
				}
			}
			if t.Failed() {
				t.Log(out)
			}
			if left := v.workFolders(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// An engine that does not see the folders of a run gets copies of them: here the
// whole run is in a file system that only it has.
func TestRunFarFromTheEngine(t *testing.T) {
	t.Parallel()
	host := dockerHost(t)
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: only root can hide folders from an engine")
	}
	const image = "refline-test/far:1"
	busyboxImage(t, host, image)
	v := newVictim(t, strings.ReplaceAll(`
one:
  image: {name: IMAGE, docker: {user: "65534:65534"}}
  script:
    - test -d .git && cat given
    - mkdir d && echo made > d/out.txt && echo kept > d/cached && echo WORD=told > v.env
    - 'echo ''{"type":"step_started","step":"first"}'' >> $REFLINE_EVENTS'
  artifacts: {paths: [d/*.txt], reports: {dotenv: v.env}}
  cache: {key: k, paths: [d/cached]}
two:
  stage: deploy
  image: IMAGE
  cache: {key: k, paths: [d/cached], policy: pull}
  script: [cat d/out.txt d/cached, echo "word $WORD"]
fails:
  stage: .post
  image: $UNSET
  script: [echo never]
`, "IMAGE", image))
	if err := os.WriteFile(filepath.Join(v.dir, "given"), []byte("given text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	far := t.TempDir()
	cmd, out := v.command("run")
	script := `mount -t tmpfs none "$1" && cp -r . "$1/p" && cd "$1/p" && git init -q && export REFLINE_STATE_DIR="$1/state" && exec refline run`
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", script, "sh", far}
	cmd.Env = append(cmd.Env, "DOCKER_HOST="+host, "TMPDIR="+far, "REFLINE_CACHE_DIR="+far+"/cache")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	for _, want := range []string{
		"cannot mount folders of this computer", "│ given text", "│ made", "│ kept", "│ word told", "1 step: first", "✓ two",
		`job "fails": image is "$UNSET", and UNSET is not set`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	owner := fmt.Sprintf("/%d/", cmd.Process.Pid)
	for what, list := range map[string][]string{"volume": {"volume", "ls"}, "container": {"ps", "-a"}} {
		labels, err := exec.Command("docker", append(append([]string{"-H", host}, list...), "--format", `{{.Label "refline.owner"}}`)...).Output()
		if err != nil || strings.Contains(string(labels), owner) {
			t.Errorf("a %s is left: %s, %v", what, labels, err)
		}
	}
}

// Ctrl-C ends a job in a container too: after_script runs, no container stays.
func TestInterruptContainer(t *testing.T) {
	t.Parallel()
	host := dockerHost(t)
	const image = "refline-test/interrupt:1"
	busyboxImage(t, host, image)
	v := newVictim(t, "job:\n  image: "+image+"\n  script: [touch started, sleep 1000]\n  after_script: [echo after runs as $CI_JOB_STATUS]\n")
	cmd, out := v.command("run")
	cmd.Env = append(cmd.Env, "DOCKER_HOST="+host)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.await("started")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitCanceled {
		t.Errorf("exit code %d, want %d\n%s", code, cli.ExitCanceled, out)
	}
	if !strings.Contains(out.String(), "after runs as canceled") {
		t.Errorf("after_script did not run:\n%s", out)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		left, err := exec.Command("docker", "-H", host, "ps", "-aq", "--filter", "ancestor="+image).Output()
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(left)) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("containers stay: %s", left)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, err := os.Stat(filepath.Join(v.dir, "started")); err == nil {
		t.Error("the job wrote into the working tree")
	}
}

// Chosen variables of this environment and a network of the engine reach jobs in
// containers.
func TestContainersGetChosenVariablesAndNetwork(t *testing.T) {
	t.Parallel()
	host := dockerHost(t)
	const image = "refline-test/commands:1"
	busyboxImage(t, host, image)
	v := newVictim(t, `
one:
  image: `+image+`
  variables: {BOTH: pipeline}
  script: ['echo "got $CLOUD_REGION $CLOUD_ZONE $BOTH ${CLOUDY-nothing}"']
`)
	env := []string{"DOCKER_HOST=" + host, "CLOUD_REGION=eu", "CLOUD_ZONE=a", "BOTH=host", "CLOUDY=sky"}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"variables", []string{"--pass-env", "CLOUD_*", "--pass-env", "BOTH"}, 0, "got eu a pipeline nothing"},
		{"a variable that is not set", []string{"--pass-env", "NOWHERE"}, cli.ExitUsage, "--pass-env NOWHERE: the variable is not set here"},
		{"a bad pattern", []string{"--pass-env", "["}, cli.ExitUsage, "not a pattern"},
		{"an unknown network", []string{"--docker-network", "refline-nowhere"}, cli.ExitRed, "docker network create refline-nowhere"},
		{"a network", []string{"--docker-network", "bridge"}, cli.ExitGood, "got   pipeline nothing"},
	} {
		cmd, out := v.command(append([]string{"run"}, c.args...)...)
		cmd.Env = append(cmd.Env, env...)
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit code %d, want %d, and %q:\n%s", c.name, code, c.code, c.want, out)
		}
	}
}

// A run that is killed leaves its containers, services among them, until the next
// command that looks at the engine.
func TestDoctorRemovesContainersOfKilledRuns(t *testing.T) {
	t.Parallel()
	host := dockerHost(t)
	const image = "refline-test/doctor:1"
	busyboxImage(t, host, image)
	v := newVictim(t, `
killed-one:
  image: `+image+`
  services: [{name: `+image+`, alias: db, command: [sleep, "1000"]}]
  script: [touch here, sleep 1000]
`)
	left := func() string {
		names, err := exec.Command("docker", "-H", host, "ps", "-a", "--filter", "ancestor="+image, "--format", "{{.Names}}").CombinedOutput()
		if err != nil {
			t.Fatalf("docker ps: %v\n%s", err, names)
		}
		return strings.Join(strings.Fields(string(names)), " ")
	}
	cmd, out := v.command("run")
	cmd.Env = append(cmd.Env, "DOCKER_HOST="+host)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.await("here")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Logf("left by the killed run: %s\n%s", left(), out) // a run of another test may have removed it already
	doctor, shown := v.command("doctor")
	doctor.Env = append(doctor.Env, "DOCKER_HOST="+host)
	if err := doctor.Run(); err != nil {
		t.Errorf("doctor: %v\n%s", err, shown)
	}
	if names := left(); names != "" {
		t.Errorf("after doctor: %q is left", names)
	}
}
