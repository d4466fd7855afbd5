package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"refline/internal/archive"
	"refline/internal/blob"
	"refline/internal/blob/blobtest"
	"refline/internal/workspace"
)

// newRemote is a store over a folder of blobs.
func newRemote(t testing.TB) (*Remote, *blobtest.Transfer) {
	t.Helper()
	blobs, err := blob.OpenFolder(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, blobs.Close()) })
	transfer := &blobtest.Transfer{Store: blobs}
	return NewRemote(transfer, t.TempDir(), func(id ID) string { return id.Project + "\x00" + id.Key }), transfer
}

// damageBlob changes what is kept of p and k.
func damageBlob(t *testing.T, transfer *blobtest.Transfer, change func([]byte) []byte) {
	t.Helper()
	sum, err := transfer.Info(t.Context(), "p\x00k")
	must(t, err)
	data := change(blobtest.Read(t, transfer.Store, blobtest.Place(sum), blob.Range{}))
	other, err := blob.SumOf(bytes.NewReader(data))
	must(t, err)
	must(t, transfer.Store.Put(t.Context(), blobtest.Place(sum), other, bytes.NewReader(data)))
}

// A damaged cache is not used and forgotten; the next job saves it again, with
// the same content too.
func TestDamagedRemoteCacheIsNotUsed(t *testing.T) {
	t.Parallel()
	big, _ := blobtest.Content(3 << 20)
	tree := files{"d/a": "1", "d/b/big": string(big), "d/e/": "", "d/z": "2"}
	for name, change := range map[string]func([]byte) []byte{
		"a byte":  func(data []byte) []byte { data[len(data)-100_000] ^= 1; return data },
		"short":   func(data []byte) []byte { return data[:len(data)-2] },
		"nothing": func([]byte) []byte { return nil },
		"other":   func(data []byte) []byte { return bytes.Repeat([]byte("x"), len(data)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, transfer := newRemote(t)
			req := cacheOf("k", "d")
			workspace := plant(t, tree)
			req.Workspace = workspace
			_, err := Save(t.Context(), c, req, Report{})
			must(t, err)
			damageBlob(t, transfer, change)
			req.Workspace = plant(t, files{"mine": "x"})
			report, err := Restore(t.Context(), c, req)
			must(t, err)
			if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "is not used") {
				t.Errorf("warnings: %q", report.Warnings)
			}
			same(t, harvest(t, req.Workspace), files{"mine": "x"})
			req.Workspace = workspace
			saved, err := Save(t.Context(), c, req, report)
			must(t, err)
			if len(saved.Notes) != 1 || !strings.Contains(saved.Notes[0], "saved k") {
				t.Errorf("notes: %q", saved.Notes)
			}
			got, _ := job(t, c, req, nothing)
			same(t, got, tree)
		})
	}
}

// A job whose files were replaced by half a cache does not go on.
func TestDamagedCacheThatReplacedFiles(t *testing.T) {
	t.Parallel()
	c, transfer := newRemote(t)
	big, _ := blobtest.Content(3 << 20)
	req := cacheOf("k", "d")
	req.Workspace = plant(t, files{"d/a": "1", "d/b/big": string(big)})
	_, err := Save(t.Context(), c, req, Report{})
	must(t, err)
	damageBlob(t, transfer, func(data []byte) []byte { data[len(data)-100_000] ^= 1; return data })
	req.Workspace = plant(t, files{"d/a": "of the repository"})
	if _, err := Restore(t.Context(), c, req); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "run the job again") {
		t.Errorf("got %v", err)
	}
	report, err := Restore(t.Context(), c, req)
	must(t, err)
	same(t, report.Key, "")
}

// Saved by another job between the question and the read: the new one comes.
func TestCacheSavedInBetween(t *testing.T) {
	t.Parallel()
	c, transfer := newRemote(t)
	req := cacheOf("k", "d")
	for _, content := range []string{"old", "new"} {
		req.Workspace = plant(t, files{"d/a": content})
		_, err := Save(t.Context(), c, req, Report{})
		must(t, err)
	}
	newest, err := transfer.Info(t.Context(), "p\x00k")
	must(t, err)
	stale := &staleInfo{Transfer: transfer, first: blob.Sum{Size: 10, SHA256: strings.Repeat("0", 64)}}
	c.transfer = stale
	into := plant(t, files{})
	root, err := os.OpenRoot(into)
	must(t, err)
	defer root.Close()
	e, err := c.Get(t.Context(), ID{"p", "k"}, root, nil)
	must(t, err)
	same(t, e.Version, newest.SHA256)
	same(t, harvest(t, into), files{"d/a": "new"})
}

// staleInfo answers the first question with what was there before.
type staleInfo struct {
	*blobtest.Transfer
	first blob.Sum
}

func (s *staleInfo) Info(ctx context.Context, key string) (blob.Sum, error) {
	if s.first.Size > 0 {
		first := s.first
		s.first = blob.Sum{}
		return first, nil
	}
	return s.Transfer.Info(ctx, key)
}

// What was restored and not touched is not even packed.
func TestUnchangedIsNotPacked(t *testing.T) {
	t.Parallel()
	c, transfer := newRemote(t)
	req := cacheOf("k", "d")
	job(t, c, req, write(t, files{"d/a": "1", "d/l": "-> a", "d/e/": "", "d/s/b": "2"}))
	c.temp = "/nonexistent" // a large one could not be spooled
	c.limits.Entries = 0    // and a small one not be packed
	req.Workspace = t.TempDir()
	before, err := Restore(t.Context(), &Remote{transfer: transfer, name: c.name, limits: archive.DefaultLimits}, req)
	must(t, err)
	before.restored.Seen = workspace.Seen{Files: before.restored.Seen.Files, Until: before.restored.Seen.Until.Add(time.Hour)}
	saved, err := Save(t.Context(), c, req, before)
	must(t, err)
	if !strings.Contains(saved.Notes[0], "unchanged") {
		t.Errorf("notes: %q", saved.Notes)
	}
	for name, change := range map[string]files{"a file more": {"d/new": "x"}, "a directory more": {"d/f/": ""}, "a file written": {"d/a": "1"}} {
		t.Run(name, func(t *testing.T) {
			req := req
			req.Workspace = t.TempDir()
			before, err := Restore(t.Context(), &Remote{transfer: transfer, name: c.name, limits: archive.DefaultLimits}, req)
			must(t, err)
			plantIn(t, req.Workspace, change)
			if _, err := Save(t.Context(), c, req, before); err == nil {
				t.Error("it was taken for unchanged")
			}
		})
	}
}

func TestSameCacheIsNotSentAgain(t *testing.T) {
	t.Parallel()
	c, transfer := newRemote(t)
	req := cacheOf("k", "d")
	req.Workspace = plant(t, files{"d/a": "1"})
	for range 3 {
		_, err := Save(t.Context(), c, req, Report{})
		must(t, err)
	}
	same(t, transfer.Sent, 1)
	// An upload that breaks off keeps what there was.
	broken := errors.New("gone")
	transfer.Content = func(io.Reader) io.Reader { return brokenReader{broken} }
	req.Workspace = plant(t, files{"d/a": "2"})
	if _, err := Save(t.Context(), c, req, Report{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	got, _ := job(t, c, func() Request { r := req; r.Cache.Policy = "pull"; return r }(), nothing)
	same(t, got, files{"d/a": "1"})
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }
