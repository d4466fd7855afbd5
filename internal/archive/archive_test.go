package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/workspace"
	"refline/internal/workspace/workspacetest"
)

type files = workspacetest.Files

var (
	plant   = workspacetest.Plant
	harvest = workspacetest.Harvest
	must    = workspacetest.Must
	same    = workspacetest.Same
)

func selection(t testing.TB, dir string) *workspace.Selection {
	t.Helper()
	sel, err := workspace.Select(t.Context(), dir, workspace.Wanted{Paths: []string{"**"}})
	must(t, err)
	t.Cleanup(sel.Close)
	return sel
}

func write(t testing.TB, info string, parts ...Part) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, Write(t.Context(), &out, parts, []byte(info), DefaultLimits))
	return out.Bytes()
}

// opener opens parts of bytes.
func opener(data []byte) blob.Opener {
	return func(_ context.Context, r blob.Range) (io.ReadCloser, error) {
		rest := data[min(r.Offset, int64(len(data))):]
		if r.Length > 0 {
			rest = rest[:min(r.Length, int64(len(rest)))]
		}
		return io.NopCloser(bytes.NewReader(rest)), nil
	}
}

func open(t testing.TB, data []byte) *Reader {
	t.Helper()
	r, err := Open(t.Context(), opener(data), int64(len(data)), DefaultLimits)
	must(t, err)
	return r
}

func restore(t testing.TB, data []byte, part, into string, limits Limits) error {
	t.Helper()
	root, err := os.OpenRoot(into)
	must(t, err)
	defer root.Close()
	_, _, err = Restore(t.Context(), bytes.NewReader(data), part, root, nil, limits)
	return err
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	tree := files{}
	for name, content := range workspacetest.OddNames {
		tree[name] = content
	}
	tree["large"] = strings.Repeat("0123456789abcde\n", 3*frameSize/16) + "end"
	dir := plant(t, tree)
	old := time.Date(2020, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	must(t, os.Chtimes(filepath.Join(dir, "zero"), old, old))
	must(t, os.Chmod(filepath.Join(dir, "deep", "er"), 0o555))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "deep", "er"), 0o755) })
	data := write(t, `{"a": 1}`, Part{"files", selection(t, dir)}, Part{"reports/x", selection(t, plant(t, files{"r.xml": "<r/>"}))})

	fresh := t.TempDir()
	must(t, restore(t, data, "files", fresh, DefaultLimits))
	same(t, harvest(t, fresh), tree)
	info, err := os.Stat(filepath.Join(fresh, "zero"))
	must(t, err)
	same(t, info.ModTime().UTC(), old)
	info, err = os.Stat(filepath.Join(fresh, "deep", "er"))
	must(t, err)
	same(t, info.Mode().Perm(), fs.FileMode(0o555))
	must(t, os.Chmod(filepath.Join(fresh, "deep", "er"), 0o755))

	r := open(t, data)
	same(t, string(r.Info()), `{"a": 1}`)
	for name, content := range tree {
		if strings.HasSuffix(name, "/") || strings.HasPrefix(content, "-> ") {
			continue
		}
		f, err := r.OpenFile(t.Context(), "files", name)
		must(t, err)
		got, err := io.ReadAll(f)
		must(t, errors.Join(err, f.Close()))
		if string(got) != strings.TrimPrefix(content, "!") {
			t.Errorf("%q: got %d bytes, want %d", name, len(got), len(content))
		}
	}
	same(t, r.List("reports/x"), []workspace.File{{Path: "r.xml", Size: 4, Mode: 0o644}})
}

// The same files give the same bytes, however often they were written.
func TestSameFilesSameBytes(t *testing.T) {
	t.Parallel()
	tree := workspacetest.ManyFiles(500)
	tree["large"] = strings.Repeat("text that is compressed\n", 4*frameSize/24)
	var first []byte
	for range 3 {
		dir := plant(t, tree)
		old := time.Unix(1_600_000_000, 0)
		for name := range tree {
			must(t, os.Chtimes(filepath.Join(dir, name), old, old))
		}
		data := write(t, "", Part{"files", selection(t, dir)})
		if first == nil {
			first = data
		}
		if !bytes.Equal(first, data) {
			t.Error("another archive of the same files")
		}
	}
}

// People can read archives without this program.
func TestTarReadsIt(t *testing.T) {
	t.Parallel()
	tar, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("tar is not installed")
	}
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("zstd is not installed")
	}
	tree := files{"a": "1", "d/l": "-> ../a", "d/x": "!x", "large": strings.Repeat("x\n", frameSize)}
	data := write(t, "info", Part{"files", selection(t, plant(t, tree))})
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a.tar.zst"), data, 0o644))
	out, err := exec.Command(tar, "--zstd", "-C", dir, "-xf", filepath.Join(dir, "a.tar.zst")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	same(t, harvest(t, filepath.Join(dir, "files")), tree)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	sel := selection(t, plant(t, files{"a": "12345", "b": "12345", "d/": ""}))
	for _, c := range []struct {
		limits Limits
		ok     bool
	}{{Limits{Entries: 3, Bytes: 10}, true}, {Limits{Entries: 2, Bytes: 10}, false}, {Limits{Entries: 3, Bytes: 9}, false}} {
		err := Write(t.Context(), io.Discard, []Part{{"f", sel}}, nil, c.limits)
		if (err == nil) != c.ok || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("write with %+v: %v", c.limits, err)
		}
		data := write(t, "", Part{"f", sel})
		fresh := t.TempDir()
		err = restore(t, data, "f", fresh, c.limits)
		if (err == nil) != c.ok || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("restore with %+v: %v", c.limits, err)
		}
		if left := harvest(t, fresh); !c.ok && len(left) != 1 {
			t.Errorf("left: %q", left)
		}
		_, err = Open(t.Context(), opener(data), int64(len(data)), c.limits)
		if (err == nil) != c.ok {
			t.Errorf("open with %+v: %v", c.limits, err)
		}
	}
}

// An index that is larger than is read, packed or unpacked, is refused before it takes
// that much memory.
func TestIndexLimit(t *testing.T) {
	t.Parallel()
	x := index{info: bytes.Repeat([]byte{'x'}, 8<<20), frames: []int64{0}}
	tail, err := x.encode()
	must(t, err)
	if len(tail) > 64<<10 {
		t.Fatalf("the index has %d bytes, want one that is packed well", len(tail))
	}
	for _, most := range []int64{64 << 10, int64(len(tail)) / 2} {
		if _, err := Open(t.Context(), opener(tail), int64(len(tail)), Limits{Entries: 10, Bytes: 10, Index: most}); !errs.Is(err, errs.Invalid) {
			t.Errorf("an index above %d bytes: %v", most, err)
		}
	}
}

// All files of a part come in order, links without content; another part does not.
func TestEach(t *testing.T) {
	t.Parallel()
	data := write(t, "", Part{"f", selection(t, plant(t, files{"a": "1", "d/b": "22", "l": "-> a"}))}, Part{"g", selection(t, plant(t, files{"c": "3"}))})
	var got []string
	visit := func(f workspace.File, content io.Reader) error {
		text := "-> " + f.Link
		if content != nil {
			all, err := io.ReadAll(content)
			must(t, err)
			text = string(all)
		}
		got = append(got, f.Path+" "+text)
		return nil
	}
	must(t, Each(t.Context(), bytes.NewReader(data), "f", DefaultLimits, visit))
	same(t, got, []string{"a 1", "l -> a", "d/b 22"})
	if err := Each(t.Context(), bytes.NewReader(data), "f", Limits{Entries: 2, Bytes: 10}, visit); !errs.Is(err, errs.Invalid) {
		t.Errorf("more entries than there may be: %v", err)
	}
}

// foreign is an archive that another program made.
func foreign(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	must(t, err)
	w := tar.NewWriter(z)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Size = "evil", 4
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, content)
		must(t, err)
	}
	must(t, errors.Join(w.Close(), z.Close()))
	return out.Bytes()
}

// Archives come from other runners: none changes anything outside, and what is
// made of it goes again.
func TestForeignArchives(t *testing.T) {
	t.Parallel()
	file := func(name string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: "f/" + name, Mode: 0o644}
	}
	link := func(name, to string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeSymlink, Name: "f/" + name, Linkname: to, Mode: 0o777}
	}
	dir := func(name string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeDir, Name: "f/" + name + "/", Mode: 0o755}
	}
	for name, headers := range map[string][]*tar.Header{
		"above":                      {file("ok"), file("../victim/x")},
		"above, not clean":           {file("ok"), file("a/../../victim/x")},
		"absolute":                   {file("ok"), file("/etc/x")},
		"through a link above":       {link("l", "../victim"), file("l/x")},
		"through an absolute link":   {link("l", "/tmp"), file("l/refline-evil")},
		"a directory behind a link":  {link("l", "../victim"), dir("l/d")},
		"a link to a link":           {link("m", ".."), link("l", "m/victim"), file("l/x")},
		"over the folder":            {file(".")},
		"a device":                   {file("ok"), {Typeflag: tar.TypeChar, Name: "f/null", Devmajor: 1, Devminor: 3}},
		"a pipe":                     {{Typeflag: tar.TypeFifo, Name: "f/p"}},
		"a hard link":                {{Typeflag: tar.TypeLink, Name: "f/h", Linkname: "../victim/kept"}},
		"in the place of a file":     {file("a"), file("a/b")},
		"a directory over a sealed":  {{Typeflag: tar.TypeDir, Name: "f/d", Mode: 0o500}, file("d/x"), file("d/../../x")},
		"a link over what was there": {link("l", "../victim/kept"), file("l"), file("../x")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer := plant(t, files{"victim/kept": "mine", "w/own": "own"})
			if err := restore(t, foreign(t, headers...), "f", filepath.Join(outer, "w"), DefaultLimits); err == nil {
				t.Error("it was restored")
			}
			got := harvest(t, outer)
			delete(got, "w/own")
			same(t, got, files{"victim/kept": "mine"})
		})
	}
}

// Whatever a file of the workspace is, one that comes replaces it, and never
// what a link points at.
func TestLinksInTheWay(t *testing.T) {
	t.Parallel()
	data := write(t, "", Part{"f", selection(t, plant(t, files{"a": "new", "d/b": "new"}))})
	outer := plant(t, files{"victim": "mine", "w/a": "-> ../victim", "w/real/": "", "w/d": "-> real"})
	must(t, restore(t, data, "f", filepath.Join(outer, "w"), DefaultLimits))
	same(t, harvest(t, outer), files{"victim": "mine", "w/a": "new", "w/real/b": "new", "w/d": "-> real"})
}

func TestOpenFileFollowsLinksInside(t *testing.T) {
	t.Parallel()
	r := open(t, write(t, "", Part{"f", selection(t, plant(t, files{
		"a/b/file": "text", "l": "-> a/b/file", "d": "-> a/b", "up": "-> a/b/../b/file", "twice": "-> d/file", "loop": "-> loop2", "loop2": "-> loop",
		"out": "-> ../x", "abs": "-> /etc/passwd", "back": "-> d/../b/file", "none": "-> nothing",
	}))}))
	for name, found := range map[string]bool{
		"a/b/file": true, "./a//b/../b/file": true, "l": true, "d/file": true, "up": true, "twice": true, "back": true,
		"loop": false, "out": false, "abs": false, "none": false, "a": false, "d": false, "../f/l": false, "/l": false, "": false, ".": false, "l/x": false, "a/b/file/": true,
	} {
		f, err := r.OpenFile(t.Context(), "f", name)
		if !found {
			if !errs.Is(err, errs.NotFound) {
				t.Errorf("%q: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		got, err := io.ReadAll(f)
		must(t, errors.Join(err, f.Close()))
		same(t, string(got), "text")
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Write(ctx, io.Discard, []Part{{"f", selection(t, plant(t, files{"a": "x"}))}}, nil, DefaultLimits); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A writer that fails ends the work, and no goroutine stays.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	sel := selection(t, plant(t, files{"large": strings.Repeat("x", 20*frameSize)}))
	for _, after := range []int{0, 1, 3} {
		err := Write(t.Context(), &failing{after, full}, []Part{{"f", sel}}, nil, DefaultLimits)
		if !errors.Is(err, full) {
			t.Errorf("after %d: %v", after, err)
		}
	}
}

type failing struct {
	after int
	err   error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// FuzzOpen: no index, however damaged, makes a reader panic or take much memory.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	for i := range 3 {
		must(f, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("content"), 0o644))
	}
	must(f, os.Symlink("0", filepath.Join(dir, "l")))
	whole := write(f, "info", Part{"f", selection(f, dir)})
	f.Add(open(f, whole).index.marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		x, err := unmarshal(raw, int64(len(whole)), Limits{Entries: 1000, Bytes: 1 << 20})
		if err != nil {
			return
		}
		r := &Reader{open: opener(whole), index: x}
		for _, e := range r.List("f") {
			file, err := r.OpenFile(t.Context(), "f", e.Path)
			if err != nil {
				continue
			}
			_, _ = io.Copy(io.Discard, file)
			_ = file.Close()
		}
	})
}

// FuzzRestore: whatever entries an archive has, nothing outside of the folder
// changes. The fuzzer makes lists of entries, three bytes each: bytes of archives
// would fail their checksums.
func FuzzRestore(f *testing.F) {
	names := []string{"a", "b", "a/b", "a/b/c", "link", "link/x", "..", "../out", "a/../../out", "/out", ".", "a/", "./b"}
	targets := []string{"a", "..", "/", "../victim", "link", ".", "a/b", "../w/a"}
	for _, seed := range []string{"\x00\x07\x00", "\x03\x04\x01\x00\x05\x00", "\x03\x04\x02\x02\x05\x00", "\x03\x00\x01\x00\x02\x00\x02\x01\x04"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		var headers []*tar.Header
		for ; len(list) >= 3; list = list[3:] {
			h := &tar.Header{Typeflag: tar.TypeReg, Name: "f/" + names[int(list[1])%len(names)], Mode: int64(list[2])}
			switch list[0] % 3 {
			case 1:
				h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
			case 2:
				h.Typeflag, h.Linkname = tar.TypeSymlink, targets[int(list[2])%len(targets)]
			}
			if h.Typeflag == tar.TypeReg {
				h.Name = strings.TrimSuffix(h.Name, "/")
			}
			headers = append(headers, h)
		}
		outer := plant(t, files{"victim/kept": "mine", "w/a": "own"})
		err := restore(t, foreign(t, headers...), "f", filepath.Join(outer, "w"), DefaultLimits)
		_ = filepath.WalkDir(outer, func(at string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(at, 0o755)
			}
			return err
		})
		got := harvest(t, outer)
		outside := files{}
		for name, content := range got {
			if !strings.HasPrefix(name, "w/") {
				outside[name] = content
			}
		}
		if len(outside) != 1 || strings.TrimPrefix(outside["victim/kept"], "!") != "mine" {
			t.Errorf("outside: %q", outside)
		}
		if err != nil && !errors.Is(err, workspace.ErrReplaced) && len(got) != 2 {
			t.Errorf("%v, and yet there is %q", err, got)
		}
	})
}
