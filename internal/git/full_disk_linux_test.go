package git

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"refline/internal/errs"
)

// smallDisk is a file system of so many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("needs to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	must(t, err)
	defer f.Close()
	for chunk := make([]byte, 64<<10); ; {
		if _, err := f.Write(chunk); err != nil {
			if len(chunk) == 1 {
				return
			}
			chunk = chunk[:len(chunk)/2]
		}
	}
}

// A full disk is reported as such, and the mirror on it stays: what it has is
// still served, and all works again once there is room.
func TestFullDisk(t *testing.T) {
	long(t)
	t.Parallel()
	noise := make([]byte, 3<<20) // does not compress
	_, _ = rand.Read(noise)
	check := func(t *testing.T, err error, notices []string) {
		t.Helper()
		if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "disk is full") || len(notices) > 0 {
			t.Errorf("%v: %v; notices %q", errs.KindOf(err), err, notices)
		}
	}
	for _, full := range []bool{false, true} { // room for a little, and for nothing
		t.Run(map[bool]string{false: "almost full", true: "full"}[full], func(t *testing.T) {
			t.Parallel()
			src := newRepo(t)
			src.commit("one", "a", "1")
			disk := smallDisk(t, "2m")
			var notices []string
			a := localAccess(t)
			a.Notice = func(s string) { notices = append(notices, s) }
			r, err := NewRemote(src.dir, filepath.Join(disk, "cache"), a)
			must(t, err)
			small, err := r.Update(t.Context(), Ref{}, 0)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(src.dir, "large"), noise, 0o644))
			large := Resolved{Kind: KindCommit, Commit: src.commit("two")}
			if full {
				fill(t, disk)
			}
			check(t, r.Fetch(t.Context(), large, 0), notices)
			_, err = r.Update(t.Context(), Ref{}, 0)
			check(t, err, notices)

			reader := r.Reader(t.Context())
			defer reader.Close()
			if got, err := reader.ReadFile(small.Commit, "a"); string(got) != "1" || err != nil {
				t.Errorf("what the mirror has: %q, %v", got, err)
			}
			if full {
				_ = os.Remove(filepath.Join(disk, "filler"))
			}
			if got := tree(t, r.mustCheckout(t, small, CheckoutOptions{}))["a"]; got != "1" {
				t.Errorf("checkout: %q", got)
			}
			must(t, unix.Mount("", disk, "", unix.MS_REMOUNT, "size=20m"))
			if got := tree(t, r.mustCheckout(t, large, CheckoutOptions{}))["large"]; !bytes.Equal([]byte(got), noise) {
				t.Errorf("with room again: %d bytes", len(got))
			}
			if len(notices) > 0 {
				t.Errorf("notices %q", notices)
			}
		})
	}
	t.Run("of the checkout", func(t *testing.T) {
		t.Parallel()
		src := newRepo(t)
		must(t, os.WriteFile(filepath.Join(src.dir, "large"), noise, 0o644))
		src.commit("one", "a", "1")
		var notices []string
		a := localAccess(t)
		a.Notice = func(s string) { notices = append(notices, s) }
		r := remote(t, src.dir, a)
		c, err := r.Update(t.Context(), Ref{}, 0)
		must(t, err)
		for _, fillFirst := range []bool{false, true} {
			disk := smallDisk(t, "1m")
			if fillFirst {
				fill(t, disk)
			}
			check(t, r.Checkout(t.Context(), c, filepath.Join(disk, "ws"), CheckoutOptions{}), notices)
		}
	})
}
