package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"
)

// The images of the tests are made of what this computer has: no registry is
// needed. boxImage is a busybox.
const boxImage = "refline-test/busybox:1"

// importImages makes the images of the tests, each with what its name says.
func importImages(ctx context.Context, api *client.Client) error {
	box, err := newBusybox()
	if err != nil {
		return err
	}
	entry, empty := box.clone(), &rootfs{}
	entry.file("usr/bin/bash", "#!/bin/sh\nexec sh \"$@\"\n")
	entry.file("entry", "#!/bin/sh\nexport FROM_ENTRYPOINT=yes\nexec \"$@\"\n")
	empty.file("file", "")
	for _, image := range []struct {
		name    string
		rootfs  *rootfs
		changes []string
	}{
		{boxImage, box, []string{`CMD ["/bin/sh"]`, "ENV FROM_IMAGE=yes"}},
		{"refline-test/entry:1", entry, []string{`ENTRYPOINT ["/entry"]`}},
		{"refline-test/tool:1", box, []string{`ENTRYPOINT ["echo", "tool:"]`}},
		{"refline-test/listens:1", box, []string{"EXPOSE 53/udp", "EXPOSE 80", "EXPOSE 8080/tcp",
			`CMD ["sh", "-c", "mkdir /w; echo served $WHAT >/w/index.html; sleep 0.3; exec httpd -f -p 8080 -h /w"]`}},
		{"refline-test/silent:1", box, []string{"EXPOSE 8080", `CMD ["sh", "-c", "echo I listen to myself; exec httpd -f -p 127.0.0.1:8080"]`}},
		{"refline-test/docker:9-dind", box, nil},
		{"refline-test/worker:1", box, []string{"USER worker"}},
		{"refline-test/no-shell:1", empty, []string{`CMD ["/file"]`}},
	} {
		if err := importImage(ctx, api, image.name, image.rootfs, image.changes...); err != nil {
			return err
		}
	}
	return nil
}

func importImage(ctx context.Context, api *client.Client, name string, root *rootfs, changes ...string) error {
	r, err := api.ImageImport(ctx, client.ImageImportSource{Source: root.tar(), SourceName: "-"}, name,
		client.ImageImportOptions{Changes: append(changes, "ENV PATH=/bin:/usr/bin")})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err == nil && bytes.Contains(b, []byte(`"error"`)) {
		err = fmt.Errorf("%s", b)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// importShell makes an image whose sh is this computer's shell of that name.
func importShell(t *testing.T, api *client.Client, shell string) string {
	t.Helper()
	root, err := newBusybox()
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("NOT TESTED: no %s here to make an image of", shell)
	}
	libraries, err := exec.Command("ldd", path).Output()
	if err != nil {
		t.Skipf("NOT TESTED: what %s needs is not known: %v", shell, err)
	}
	root.entries = slices.DeleteFunc(root.entries, func(e entry) bool { return e.header.Name == "bin/sh" })
	root.copy(t, "bin/sh", path)
	for word := range strings.FieldsSeq(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			root.copy(t, word[1:], word)
		}
	}
	name := "refline-test/" + shell + ":1"
	if err := importImage(t.Context(), api, name, root); err != nil {
		t.Fatal(err)
	}
	return name
}

// rootfs is the content of an image.
type rootfs struct{ entries []entry }

type entry struct {
	header  tar.Header
	content string
}

func (r *rootfs) clone() *rootfs { return &rootfs{slices.Clone(r.entries)} }

func (r *rootfs) file(name, content string) {
	r.entries = append(r.entries, entry{tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}, content})
}

func (r *rootfs) copy(t *testing.T, name, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	r.file(name, string(b))
}

func (r *rootfs) tar() io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range r.entries {
		_ = w.WriteHeader(&e.header) // a short archive is refused by the engine
		_, _ = w.Write([]byte(e.content))
	}
	w.Close()
	return &b
}

// newBusybox is the host's static busybox with all its names.
func newBusybox() (*rootfs, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("busybox-static is needed: %w", err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		return nil, err
	}
	r := &rootfs{}
	for name, mode := range map[string]int64{"bin": 0o755, "etc": 0o755, "root": 0o700, "tmp": 0o1777} {
		r.entries = append(r.entries, entry{header: tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}})
	}
	r.file("bin/busybox", string(program))
	for name := range strings.FieldsSeq(string(applets)) {
		if name != "busybox" {
			r.entries = append(r.entries, entry{header: tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox"}})
		}
	}
	r.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nworker:x:1234:1234:worker:/tmp:/bin/sh\n")
	r.file("etc/group", "root:x:0:\nworker:x:1234:\n")
	return r, nil
}
