package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/blob"
	"refline/internal/blob/blobtest"
	"refline/internal/errs"
	"refline/internal/workspace/workspacetest"
)

func TestMain(m *testing.M) {
	workspacetest.Main(m, map[string]func(dir string) error{"put": func(dir string) error {
		f, err := blob.OpenFolder(dir)
		if err != nil {
			return err
		}
		fmt.Println("putting")
		for {
			for i := range 20 {
				data, sum := blobtest.Content(100_000 + i)
				if err := f.Put(context.Background(), fmt.Sprintf("k/%d", i), sum, bytes.NewReader(data)); err != nil {
					return err
				}
			}
		}
	}})
}

func openFolder(t testing.TB, dir string) *blob.Folder {
	t.Helper()
	f, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestFolder(t *testing.T) {
	t.Parallel()
	blobtest.Suite(t, 9<<20, func(t *testing.T) blob.Store { return openFolder(t, filepath.Join(t.TempDir(), "not", "there")) })
}

// halfWritten counts the files that no key names.
func halfWritten(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".lock" && !strings.HasSuffix(path, ".blob") {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whenever a process is killed, its blobs are whole or not there, and what is
// half written goes when the folder is opened next.
func TestKilledPutLeavesNothingHalf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for try := range 6 {
		p := workspacetest.StartRole(t, "put", dir)
		time.Sleep(time.Duration(try*7) * time.Millisecond)
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait()
		f, err := blob.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		for info, err := range f.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			_, sum := blobtest.Content(int(info.Size))
			if err := blob.Verify(t.Context(), f, info.Key, sum); err != nil || info.Size < 100_000 {
				t.Errorf("%+v: %v", info, err)
			}
		}
		if n := halfWritten(t, dir); n > 0 {
			t.Errorf("%d files are left half written", n)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A second user of the folder does not take away what the first one writes.
func TestFolderIsShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openFolder(t, dir)
	data, sum := blobtest.Content(1000)
	reader, writer := io.Pipe()
	var group sync.WaitGroup
	group.Go(func() {
		if err := first.Put(t.Context(), "k", sum, reader); err != nil {
			t.Error(err)
		}
	})
	_, err := writer.Write(data[:500])
	second := openFolder(t, dir)
	_, err2 := writer.Write(data[500:])
	if err := errors.Join(err, err2, writer.Close()); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	if got := blobtest.Read(t, second, "k", blob.Range{}); !bytes.Equal(got, data) {
		t.Errorf("got %d bytes", len(got))
	}
}

// Folders that become empty are removed, also while others put into them.
func TestPutBesideDelete(t *testing.T) {
	t.Parallel()
	f := openFolder(t, t.TempDir())
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := range 100 {
				key := fmt.Sprintf("a/b/%d", i)
				data, sum := blobtest.Content(n)
				if err := f.Put(t.Context(), key, sum, bytes.NewReader(data)); err != nil {
					t.Error(err)
				}
				if err := f.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// flaky gives content that breaks off after so many bytes, again and again.
type flaky struct {
	data  []byte
	every int
	opens int
	short int // bytes that the blob has less
}

func (f *flaky) open(_ context.Context, r blob.Range) (io.ReadCloser, error) {
	f.opens++
	if f.every > 0 && f.opens%3 == 2 {
		return nil, errs.E(errs.Unavailable, "no connection")
	}
	rest := f.data[min(int(r.Offset), len(f.data)-f.short) : len(f.data)-f.short]
	if len(rest) <= f.every {
		return io.NopCloser(bytes.NewReader(rest)), nil
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(rest[:f.every]), brokenReader{})), nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestReaderGoesOnAfterALostConnection(t *testing.T) {
	t.Parallel()
	data, sum := blobtest.Content(10_000)
	for name, c := range map[string]struct {
		source flaky
		want   error
	}{
		"lost":      {flaky{data: data, every: 4000}, nil},
		"cut short": {flaky{data: data, every: 20_000, short: 1}, blob.ErrDamaged},
		"too long":  {flaky{data: append(bytes.Clone(data), 'x'), every: 20_000}, blob.ErrDamaged},
		"no bytes":  {flaky{data: data, every: 0}, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := blob.NewReader(t.Context(), c.source.open, sum)
			got, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want == nil && !bytes.Equal(got, data) {
				t.Errorf("got %d bytes", len(got))
			}
		})
	}
}
