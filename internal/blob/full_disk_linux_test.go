package blob_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"refline/internal/blob/blobtest"
	"refline/internal/errs"
)

// A full disk is Unavailable, leaves nothing half, and takes blobs again once
// there is space.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	f := openFolder(t, dir)
	data, sum := blobtest.Content(1500 << 10)
	if err := f.Put(t.Context(), "first", sum, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := f.Put(t.Context(), "a/second", sum, bytes.NewReader(data)); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("got %v, want unavailable", err)
		}
	}
	if n := halfWritten(t, dir); n > 0 {
		t.Errorf("%d files are left half written", n)
	}
	if err := f.Delete(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), "a/second", sum, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}
