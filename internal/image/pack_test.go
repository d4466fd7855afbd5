package image

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Folders become layers with their own permissions, the same at each build.
func TestPack(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permissions are for others")
	}
	host := startRegistry(t, nil)
	pack := func() (string, string) {
		root := writeTree(t, map[string]string{"usr/bin/tool": "x", "data/.keep": "", ".git": "of the image"})
		if err := os.Chmod(filepath.Join(root, "usr/bin/tool"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(root, "tmp"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "image.tar")
		digest, err := Pack(t.Context(), PackOptions{
			Folders: map[string][]string{"linux/amd64": {root, writeTree(t, map[string]string{"usr/local/bin/refline": "y"})}, "linux/arm64": {root}},
			Config:  PackConfig{User: "1000", UID: 1000, Owned: []string{"data"}, Cmd: []string{"server"}},
			Time:    commitTime, Files: map[string]string{"linux/amd64": file}, Name: host + "/refline:1", Push: true, Temp: t.TempDir(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return digest, file
	}
	first, _ := pack()
	again, file := pack()
	if first != again || first == "" {
		t.Errorf("digests %s and %s", first, again)
	}
	ref, err := name.NewDigest(host + "/refline@" + first)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := index.IndexManifest(); err != nil || len(m.Manifests) != 2 || m.Manifests[1].Platform.Architecture != "arm64" {
		t.Errorf("index %+v, %v", m, err)
	}
	img, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 2 {
		t.Fatal(layers, err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	type entry struct {
		mode int64
		uid  int
	}
	want := map[string]entry{"usr/bin/tool": {0o755, 0}, "data/": {0o755, 1000}, "tmp/": {0o1777, 0}, ".git": {0o600, 0}}
	for archive := tar.NewReader(content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if w, ok := want[h.Name]; ok {
			if got := (entry{h.Mode, h.Uid}); got != w {
				t.Errorf("%s: %+v, want %+v", h.Name, got, w)
			}
			delete(want, h.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the layer: %v", want)
	}
}
