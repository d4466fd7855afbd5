package artifact

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"refline/internal/blob"
	"refline/internal/blob/blobtest"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

// newRemote is a store over a folder of blobs.
func newRemote(t testing.TB) (*Remote, *blobtest.Transfer) {
	t.Helper()
	blobs, err := blob.OpenFolder(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, blobs.Close()) })
	transfer := &blobtest.Transfer{Store: blobs}
	return NewRemote(transfer, t.TempDir()), transfer
}

func paths(patterns ...string) *pipeline.Artifacts { return &pipeline.Artifacts{Paths: patterns} }

func TestTheSameContentIsSentOnce(t *testing.T) {
	t.Parallel()
	r, transfer := newRemote(t)
	req := Request{Workspace: plant(t, files{"a/b": "1", "a/c": "2"}), Artifacts: paths("a")}
	first, err := Collect(t.Context(), req)
	must(t, err)
	defer first.Close()
	for _, key := range []string{"one", "two", "one"} {
		must(t, r.Put(t.Context(), key, first))
	}
	same(t, transfer.Sent, 1)
	same(t, len(blobtest.Keys(t, transfer.Store, "", "")), 1)
}

// What is sent and breaks off leaves nothing, neither there nor here.
func TestInterruptedUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	r, transfer := newRemote(t)
	big, _ := blobtest.Content(3 << 20)
	req := Request{Workspace: plant(t, files{"a/b": string(big)}), Artifacts: paths("a")}
	broken := errors.New("the connection is gone")
	transfer.Content = func(in io.Reader) io.Reader {
		return io.MultiReader(io.LimitReader(in, 2<<20), iotest.ErrReader(broken))
	}
	if _, err := Keep(t.Context(), r, "job", req); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if _, err := r.Info(t.Context(), "job"); !errs.Is(err, errs.NotFound) {
		t.Errorf("info: %v", err)
	}
	same(t, blobtest.Keys(t, transfer.Store, "", ""), []string{})
	left, err := os.ReadDir(r.temp)
	must(t, err)
	same(t, len(left), 0)
	transfer.Content = nil
	_, err = Keep(t.Context(), r, "job", req)
	must(t, err)
}

// A page that shows one file of many reads a part of the archive.
func TestOneFileIsReadAlone(t *testing.T) {
	t.Parallel()
	r, transfer := newRemote(t)
	big, _ := blobtest.Content(20 << 20)
	_, err := Keep(t.Context(), r, "job", Request{Workspace: plant(t, files{"a": "first", "big": string(big), "z": "last"}), Artifacts: paths("*")})
	must(t, err)
	for path, want := range map[string]string{"a": "first", "z": "last", "big": string(big)} {
		transfer.Opened = nil
		f, err := r.Open(t.Context(), "job", path)
		must(t, err)
		got, err := io.ReadAll(f)
		must(t, errors.Join(err, f.Close()))
		if string(got) != want {
			t.Errorf("%s: got %d bytes", path, len(got))
		}
		read := int64(0)
		for _, part := range transfer.Opened {
			read += part.Length
		}
		if limit := int64(len(want)) + 3<<20; read > limit || len(transfer.Opened) != 2 {
			t.Errorf("%s: %d bytes were asked for in %v", path, read, transfer.Opened)
		}
	}
}

// Connections that break are taken up again; a damaged archive leaves nothing in
// the workspace.
func TestRestoreOfWhatIsNotWell(t *testing.T) {
	t.Parallel()
	r, transfer := newRemote(t)
	big, _ := blobtest.Content(5 << 20)
	tree := files{"d/a": "first", "d/e/big": string(big), "d/l": "-> a", "d/z": "last"}
	_, err := Keep(t.Context(), r, "job", Request{Workspace: plant(t, tree), Artifacts: paths("d")})
	must(t, err)

	transfer.Body = func(in io.ReadCloser) io.ReadCloser {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(in, 2<<20), iotest.ErrReader(io.ErrUnexpectedEOF)), in}
	}
	fresh := t.TempDir()
	must(t, opened{r, "job"}.restore(fresh))
	same(t, harvest(t, fresh), tree)
	transfer.Body = nil

	sum, err := transfer.Info(t.Context(), "job")
	must(t, err)
	whole := blobtest.Read(t, transfer.Store, blobtest.Place(sum), blob.Range{})
	for name, damage := range map[string]func() []byte{
		"a byte in the middle": func() []byte { whole[len(whole)/2] ^= 1; return whole },
		"short":                func() []byte { return whole[:len(whole)-1] },
		"nothing":              func() []byte { return nil },
		"long":                 func() []byte { return append(bytes.Clone(whole), 0) },
		"other":                func() []byte { return bytes.Repeat([]byte("x"), len(whole)) },
	} {
		data := damage()
		other, _ := blob.SumOf(bytes.NewReader(data))
		must(t, transfer.Store.Put(t.Context(), blobtest.Place(sum), other, bytes.NewReader(data)))
		fresh := plant(t, files{"mine": "stays"})
		if err := (opened{r, "job"}).restore(fresh); !errors.Is(err, blob.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		same(t, harvest(t, fresh), files{"mine": "stays"})
	}
}
