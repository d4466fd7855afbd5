package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/executortest"
)

const hostEnv = "REFLINE_TEST_DOCKER"

// boxImage is a busybox of this computer, imported by the tests themselves.
const boxImage = "refline-test/busybox:1"

func TestMain(m *testing.M) {
	executortest.Victim(func() executor.Executor { return docker.New(docker.Options{Host: os.Getenv(hostEnv)}) },
		executor.Image{Name: boxImage, PullPolicy: []string{"never"}},
		executor.Service{Image: executor.Image{Name: boxImage}, Aliases: []string{"beside"}, Command: []string{"sleep", "1000"}})
	os.Exit(m.Run())
}

// engine is the API of the engine that tests may use; without one they skip.
func engine(t *testing.T) *client.Client {
	t.Helper()
	host := os.Getenv(hostEnv)
	if host == "" {
		t.Skipf("NOT TESTED: %s is not set to a Docker engine's address; scripts/docker-up starts one (Linux, root)", hostEnv)
	}
	api, err := client.New(client.WithHost(host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	importing.Do(func() { importErr = importImages(context.Background(), api) })
	if importErr != nil {
		t.Fatal("import test images: ", importErr)
	}
	return api
}

var (
	importing sync.Once
	importErr error
)

// importImages makes the images of the tests, each with what its name says.
func importImages(ctx context.Context, api *client.Client) error {
	rootfs, err := busybox(nil)
	if err != nil {
		return err
	}
	bash, err := busybox(map[string]string{"usr/bin/bash": "#!/bin/sh\nexec sh \"$@\"\n", "entry": "#!/bin/sh\nexport FROM_ENTRYPOINT=yes\nexec \"$@\"\n"})
	if err != nil {
		return err
	}
	var noShell bytes.Buffer
	w := tar.NewWriter(&noShell)
	if err := w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644}); err != nil {
		return err
	}
	w.Close()
	for _, image := range []struct {
		name    string
		rootfs  []byte
		changes []string
	}{
		{boxImage, rootfs, []string{`CMD ["/bin/sh"]`, "ENV PATH=/bin", "ENV FROM_IMAGE=yes"}},
		{"refline-test/bash:1", bash, []string{"ENV PATH=/bin:/usr/bin", `ENTRYPOINT ["/entry"]`}},
		{"refline-test/tool:1", rootfs, []string{"ENV PATH=/bin", `ENTRYPOINT ["echo", "tool:"]`}},
		{"refline-test/listens:1", rootfs, []string{"ENV PATH=/bin", "EXPOSE 8080/tcp", "EXPOSE 9000",
			`CMD ["sh", "-c", "mkdir /w; echo served $WHAT >/w/index.html; sleep 0.3; exec httpd -f -p 8080 -h /w"]`}},
		{"refline-test/silent:1", rootfs, []string{"ENV PATH=/bin", "EXPOSE 8080", `CMD ["sh", "-c", "echo I do nothing; nc -l -s 127.0.0.1 -p 8080"]`}},
		{"refline-test/no-shell:1", noShell.Bytes(), []string{`CMD ["/file"]`}},
	} {
		r, err := api.ImageImport(ctx, client.ImageImportSource{Source: bytes.NewReader(image.rootfs), SourceName: "-"}, image.name,
			client.ImageImportOptions{Changes: image.changes})
		if err != nil {
			return fmt.Errorf("%s: %w", image.name, err)
		}
		b, err := io.ReadAll(r)
		r.Close()
		if err != nil || bytes.Contains(b, []byte(`"error"`)) {
			return fmt.Errorf("%s: %w: %s", image.name, err, b)
		}
	}
	return nil
}

// busybox is a root file system of the host's static busybox and some scripts.
func busybox(scripts map[string]string) ([]byte, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("busybox-static is not installed: %w", err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	dir := func(name string, mode int64) error {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode})
	}
	file := func(name string, content []byte) error {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	for _, name := range []string{"bin/", "etc/", "usr/", "usr/bin/", "root/", "proc/", "sys/", "dev/"} {
		if err := dir(name, 0o755); err != nil {
			return nil, err
		}
	}
	if err := dir("tmp/", 0o1777); err != nil {
		return nil, err
	}
	if err := file("bin/busybox", program); err != nil {
		return nil, err
	}
	for name := range strings.FieldsSeq(string(applets)) {
		if name == "busybox" {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	for name, text := range scripts {
		if err := file(name, []byte(text)); err != nil {
			return nil, err
		}
	}
	if err := file("etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\nworker:x:1234:1234:worker:/tmp:/bin/sh\n")); err != nil {
		return nil, err
	}
	if err := file("etc/group", []byte("root:x:0:\nworker:x:1234:\n")); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}

func newExecutor(t *testing.T) executor.Executor {
	e := docker.New(docker.Options{Host: os.Getenv(hostEnv), Home: t.TempDir(), Getenv: func(string) string { return "" }})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func TestExecutor(t *testing.T) {
	api := engine(t)
	executortest.Run(t, newExecutor, executortest.Options{
		Image:     executor.Image{Name: boxImage, PullPolicy: []string{"never"}},
		Leftovers: func(t *testing.T, runID string) []string { return leftovers(t, api, runID) },
		Escapes:   true,
	})
}

// leftovers names what the engine has of a run.
func leftovers(t *testing.T, api *client.Client, runID string) []string {
	t.Helper()
	ctx := context.Background()
	filter := client.Filters{}.Add("label", "refline.run="+runID)
	var names []string
	containers, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers.Items {
		names = append(names, fmt.Sprint("container ", c.Names, " ", c.Status))
	}
	networks, err := api.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks.Items {
		names = append(names, "network "+n.Name)
	}
	volumes, err := api.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes.Items {
		names = append(names, "volume "+v.Name)
	}
	return names
}
