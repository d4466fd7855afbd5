package treecopy

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// two is a folder here and its copy on an engine.
type two struct {
	t           *testing.T
	here, there string
	packer      Packer
}

func newTwo(t *testing.T, open bool, files map[string]string, modes map[string]fs.FileMode) *two {
	t.Helper()
	w := &two{t: t, here: t.TempDir(), there: t.TempDir(), packer: Packer{WorldWritable: open}}
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
	if err := w.packer.Pack(&sent, w.here); err != nil {
		t.Fatal(err)
	}
	w.unpack(w.there, &Unpacker{At: "."}, prefixed(t, sent.Bytes()))
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

func (w *two) unpack(dir string, u *Unpacker, archive []byte) {
	w.t.Helper()
	var err error
	if u.Root, err = os.OpenRoot(dir); err != nil {
		w.t.Fatal(err)
	}
	defer u.Root.Close()
	if err := u.Unpack(bytes.NewReader(archive)); err != nil {
		w.t.Error(err)
	}
}

// back brings what was done there.
func (w *two) back() {
	w.t.Helper()
	var archive bytes.Buffer
	if err := (&Packer{}).Pack(&archive, w.there); err != nil {
		w.t.Fatal(err)
	}
	w.unpack(w.here, &Unpacker{At: ".", Sent: w.packer.Sent, Since: time.Now()}, prefixed(w.t, archive.Bytes()))
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
		t.Error("an unchanged file was written again")
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

// An archive that was cut off between two files looks like a short one. What it
// lacks is not gone.
func TestCutArchiveRemovesNothing(t *testing.T) {
	t.Parallel()
	w := newTwo(t, false, map[string]string{"a": "1", "b": "2"}, nil)
	var archive bytes.Buffer
	if err := (&Packer{}).Pack(&archive, w.there); err != nil {
		t.Fatal(err)
	}
	whole := prefixed(t, archive.Bytes())
	for blocks := 0; blocks*512 < len(whole); blocks++ {
		root, err := os.OpenRoot(w.here)
		if err != nil {
			t.Fatal(err)
		}
		u := &Unpacker{Root: root, At: ".", Sent: w.packer.Sent}
		if err := u.Unpack(bytes.NewReader(whole[:blocks*512])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: got %v, want %v", blocks*512, len(whole), err, io.ErrUnexpectedEOF)
		}
		root.Close()
	}
	w.is(map[string]string{"a": "1", "b": "2"})
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}
