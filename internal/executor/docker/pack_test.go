package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// two is a folder here and its copy on an engine.
type two struct {
	t           *testing.T
	here, there string
	packer      packer
}

func newTwo(t *testing.T, open bool, files map[string]string, modes map[string]fs.FileMode) *two {
	t.Helper()
	w := &two{t: t, here: t.TempDir(), there: t.TempDir(), packer: packer{open: open}}
	old := time.Now().Add(-time.Hour)
	for name, content := range files {
		write(t, w.here, name, content)
		if err := os.Chtimes(filepath.Join(w.here, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range modes {
		if err := os.Chmod(filepath.Join(w.here, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	var sent bytes.Buffer
	if err := w.packer.pack(&sent, w.here); err != nil {
		t.Fatal(err)
	}
	w.unpack(w.there, &unpacker{at: "."}, prefixed(t, sent.Bytes()))
	return w
}

// prefixed is an archive as engines send it.
func prefixed(t *testing.T, archive []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, r := tar.NewWriter(&out), tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		h.Name = "top/" + h.Name
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		_, _ = content.ReadFrom(r)
		_, _ = w.Write(content.Bytes())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (w *two) unpack(dir string, u *unpacker, archive []byte) {
	w.t.Helper()
	var err error
	if u.root, err = os.OpenRoot(dir); err != nil {
		w.t.Fatal(err)
	}
	defer u.root.Close()
	if err := u.unpack(bytes.NewReader(archive)); err != nil {
		w.t.Error(err)
	}
}

// back brings what was done there.
func (w *two) back() {
	w.t.Helper()
	var archive bytes.Buffer
	if err := (&packer{}).pack(&archive, w.there); err != nil {
		w.t.Fatal(err)
	}
	w.unpack(w.here, &unpacker{at: ".", sent: w.packer.sent, since: time.Now()}, prefixed(w.t, archive.Bytes()))
}

func (w *two) is(want map[string]string) {
	w.t.Helper()
	got := map[string]string{}
	_ = filepath.WalkDir(w.here, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			w.t.Error(err)
		} else if !entry.IsDir() {
			content, _ := os.ReadFile(path)
			name, _ := filepath.Rel(w.here, path)
			got[filepath.ToSlash(name)] = string(content)
		}
		return nil
	})
	if d := cmp.Diff(want, got); d != "" {
		w.t.Error(d)
	}
}

// What a job does to a copy of the working tree comes back, and what its user
// does meanwhile stays.
func TestBothSidesWrite(t *testing.T) {
	t.Parallel()
	w := newTwo(t, false, map[string]string{"still": "0", "job": "0", "user": "0", "both": "0", "d/removed": "0", "d/edited": "0", "d/deleted": "0"}, nil)
	remove := func(dir, name string) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, w.there, "job", "1")
	write(t, w.there, "both", "job")
	write(t, w.there, "new/of-job", "1")
	remove(w.there, "d/removed")
	remove(w.there, "d/edited")
	write(t, w.here, "user", "2")
	write(t, w.here, "both", "user")
	write(t, w.here, "new/of-user", "2")
	write(t, w.here, "d/edited", "22")
	remove(w.here, "d/deleted")
	before, err := os.Stat(filepath.Join(w.here, "still"))
	if err != nil {
		t.Fatal(err)
	}
	w.back()
	w.is(map[string]string{
		"still": "0", "job": "1", "user": "2", "both": "job", "new/of-job": "1", "new/of-user": "2", "d/edited": "22", "d/deleted": "0",
	})
	after, err := os.Stat(filepath.Join(w.here, "still"))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Error("a file that nobody wrote is another now")
	}
}

func TestModesOfCopies(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	w := newTwo(t, true, map[string]string{"private": "0", "edited": "0", "run": "0"},
		map[string]fs.FileMode{"private": 0o600, "edited": 0o640, "run": 0o700})
	if info, err := os.Stat(filepath.Join(w.there, "private")); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("not open to all there: %v, %v", info, err)
	}
	write(t, w.there, "edited", "1")
	write(t, w.there, "shut", "1")
	if err := os.Chmod(filepath.Join(w.there, "shut"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(w.there, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 { // who may not read it there
		_ = os.Remove(filepath.Join(w.there, "shut"))
		write(t, w.there, "shut", "1")
	}
	w.back()
	for name, want := range map[string]fs.FileMode{"private": 0o600, "edited": 0o640, "run": 0o755, "shut": 0o400} {
		info, err := os.Stat(filepath.Join(w.here, name))
		if err != nil || info.Mode().Perm() != want && name != "shut" || info.Mode()&0o400 == 0 {
			t.Errorf("%s: %v, %v, want %v", name, info, err, want)
		}
	}
}

// An engine's archive writes nothing outside of the folder.
func FuzzUnpack(f *testing.F) {
	for _, names := range [][]string{{"top/../../out"}, {"top/link -> ..", "top/link/out"}, {"top/link -> /", "top/link/tmp/out"}, {"/out", "top/a/b/"}, {"top/hard = ../out"}} {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		for _, name := range names {
			h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 1}
			if link, target, ok := strings.Cut(name, " -> "); ok {
				h = &tar.Header{Name: link, Typeflag: tar.TypeSymlink, Linkname: target}
			} else if link, target, ok := strings.Cut(name, " = "); ok {
				h = &tar.Header{Name: link, Typeflag: tar.TypeLink, Linkname: target}
			} else if strings.HasSuffix(name, "/") {
				h = &tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}
			}
			_ = w.WriteHeader(h)
			_, _ = w.Write([]byte("x"))
		}
		_ = w.Close()
		f.Add(archive.Bytes())
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "inside")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		u := unpacker{root: root, at: "."}
		_ = u.unpack(bytes.NewReader(archive)) // what it makes of it does not matter
		entries, err := os.ReadDir(above)
		if err != nil || len(entries) != 1 {
			t.Errorf("outside: %v, %v", entries, err)
		}
		if _, err := os.Lstat("/tmp/out"); !errors.Is(err, fs.ErrNotExist) {
			t.Error("a file was written outside")
		}
	})
}
