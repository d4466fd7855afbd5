package treecopy

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The fuzzer makes lists of entries, not bytes of archives: those would fail their
// checksums before anything is unpacked.

// names and targets are few, so that entries meet each other.
var (
	fuzzNames   = []string{"a", "b", "a/b", "a/b/c", "link", "link/x", "..", "../out", "a/../../out", "/out", ".", "", "a/", "./b"}
	fuzzTargets = []string{"a", "..", "/", "../out", "../outside", "link", ".", "a/b", "outside/file"}
)

// fuzzArchive reads three bytes an entry: its kind, its name, and its target or
// mode.
func fuzzArchive(list []byte) []byte {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for ; len(list) >= 3; list = list[3:] {
		h := &tar.Header{Name: "top/" + fuzzNames[int(list[1])%len(fuzzNames)], Mode: int64(list[2]) << 1, ModTime: time.Unix(int64(list[2]), 0)}
		if list[0]&0x80 != 0 {
			h.Name = strings.TrimPrefix(h.Name, "top/")
		}
		target := fuzzTargets[int(list[2])%len(fuzzTargets)]
		content := ""
		switch list[0] % 6 {
		case 0, 1:
			h.Typeflag, content = tar.TypeReg, target
		case 2:
			h.Typeflag = tar.TypeDir
		case 3:
			h.Typeflag, h.Linkname = tar.TypeSymlink, target
		case 4:
			h.Typeflag, h.Linkname = tar.TypeLink, "top/"+target
		case 5:
			h.Typeflag = tar.TypeFifo
		}
		h.Size = int64(len(content))
		if w.WriteHeader(h) == nil {
			_, _ = w.Write([]byte(content))
		}
	}
	_ = w.Close()
	return archive.Bytes()
}

// FuzzUnpack: whatever an archive says, nothing outside of the folder changes.
func FuzzUnpack(f *testing.F) {
	for _, seed := range []string{"\x00\x07\x00", "\x03\x04\x01\x00\x05\x00", "\x03\x04\x02\x02\x05\x00", "\x00\x09\x00\x02\x0c\x00", "\x04\x00\x03", "\x03\x00\x01\x00\x02\x00\x04\x01\x04"} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, list []byte, known bool) {
		above := t.TempDir()
		dir := filepath.Join(above, "inside")
		write(t, above, "outside/file", "untouched")
		write(t, dir, "a", "here")
		u := &Unpacker{At: ".", Since: time.Now()}
		if known {
			var p Packer
			if err := p.Pack(new(bytes.Buffer), dir); err != nil {
				t.Fatal(err)
			}
			u.Sent = p.Sent
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		u.Root = root
		_ = u.Unpack(bytes.NewReader(fuzzArchive(list))) // an error is fine
		entries, err := os.ReadDir(above)
		content, rerr := os.ReadFile(filepath.Join(above, "outside", "file"))
		if err != nil || rerr != nil || len(entries) != 2 || string(content) != "untouched" {
			t.Errorf("outside: %v, %q, %v, %v", entries, content, err, rerr)
		}
		_ = filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(entry.Name(), ".refline-") {
				t.Errorf("left behind: %s", at)
			}
			return nil
		})
	})
}

// FuzzBothWays: a folder is what its copy is, whatever was done to that.
func FuzzBothWays(f *testing.F) {
	for _, seed := range []string{"\x00\x00\x00", "\x01\x00\x00\x02\x00\x00", "\x03\x01\x02\x00\x02\x05", "\x01\x02\x00\x04\x02\x01\x00\x03\x02"} {
		f.Add([]byte(seed))
	}
	places := []string{"a", "b", "a/b", "a/b/c", "d/e", "d"}
	f.Fuzz(func(t *testing.T, list []byte) {
		w := newTwo(t, false, map[string]string{"a/b/c": "0", "d/e": "0", "b": "0"}, nil)
		there, err := os.OpenRoot(w.there)
		if err != nil {
			t.Fatal(err)
		}
		defer there.Close()
		for ; len(list) >= 3; list = list[3:] {
			at := places[int(list[1])%len(places)]
			switch list[0] % 5 { // errors are fine: then nothing was done
			case 0:
				_ = there.MkdirAll(path.Dir(at), 0o755)
				_ = there.WriteFile(at, bytes.Repeat([]byte("x"), int(list[2])), 0o644)
			case 1:
				_ = there.RemoveAll(at)
			case 2:
				_ = there.MkdirAll(at, 0o755)
			case 3:
				_ = there.Symlink(fuzzTargets[int(list[2])%len(fuzzTargets)], at)
			case 4:
				_ = there.Link(places[int(list[2])%len(places)], at)
			}
		}
		w.back()
		if d := cmp.Diff(fuzzTree(t, w.there), fuzzTree(t, w.here)); d != "" {
			t.Error(d)
		}
	})
}

// fuzzTree is what is below a folder: path → kind and content.
func fuzzTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		name, _ := filepath.Rel(dir, at)
		switch {
		case entry.IsDir():
			found[name] = "folder"
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(at)
			found[name] = "link to " + target
			return err
		default:
			content, err := os.ReadFile(at)
			found[name] = "file of " + string(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

// A sparse entry may mean more zeros than any disk takes.
func TestSparseEntriesAreRefused(t *testing.T) {
	t.Parallel()
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeGNUSparse},
		{Typeflag: tar.TypeReg, PAXRecords: map[string]string{"GNU.sparse.major": "1"}},
		{Typeflag: tar.TypeReg, PAXRecords: map[string]string{"path": "x", "GNU.sparse.map": "0,1"}},
	} {
		if !isSparse(h) {
			t.Errorf("%+v is taken", h)
		}
	}
	for _, h := range []*tar.Header{{Typeflag: tar.TypeReg}, {Typeflag: tar.TypeReg, PAXRecords: map[string]string{"path": "GNU.sparse.x"}}} {
		if isSparse(h) {
			t.Errorf("%+v is refused", h)
		}
	}
}
