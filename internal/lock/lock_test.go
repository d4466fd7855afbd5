package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x", "lock")
	first, err := Wait(t.Context(), path, nil)
	must(t, err)
	holder := make(chan string, 1)
	got := make(chan error)
	go func() {
		second, err := Wait(t.Context(), path, func(s string) { holder <- s })
		if err == nil {
			_ = second.Close()
		}
		got <- err
	}()
	if s, want := <-holder, fmt.Sprintf("process %d", os.Getpid()); s != want {
		t.Errorf("holder is %q, want %q", s, want)
	}
	_ = first.Close()
	if err := <-got; err != nil {
		t.Error(err)
	}
	third, err := Wait(t.Context(), path, nil)
	must(t, err)
	defer Release(third)
	canceled, cancel := context.WithCancel(t.Context())
	if _, err := Wait(canceled, path, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a held lock: %v, want canceled", err)
	}
}

// The holder of a lock may remove its file with the whole folder. Who waited
// for that file then takes a new one.
func TestWaitForAFolderThatIsRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x", "lock")
	first, err := Try(path)
	must(t, err)
	got := make(chan error, 1)
	go func() {
		second, err := Wait(t.Context(), path, func(string) {
			err := os.RemoveAll(filepath.Dir(path))
			Release(first)
			if err != nil {
				t.Error(err)
			}
		})
		if err == nil {
			if _, other := Try(path); !errors.Is(other, ErrHeld) {
				t.Errorf("the lock was taken twice: %v", other)
			}
			Release(second)
		}
		got <- err
	}()
	must(t, <-got)
}

func TestModes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if _, err := OpenExisting(path, ModeTry); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is missing: %v", err)
	}
	one, err := Open(path, ModeShared)
	must(t, err)
	two, err := OpenExisting(path, ModeShared)
	must(t, err)
	if _, err := Open(path, ModeTry); !errors.Is(err, ErrHeld) {
		t.Errorf("beside shared holders: %v, want ErrHeld", err)
	}
	Release(one)
	time.AfterFunc(20*time.Millisecond, func() { Release(two) })
	three, err := Open(path, ModeExclusive) // waits
	must(t, err)
	Release(three)
}

func TestWaitName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "groups")
	names := []string{"a", "b", "", "../x", strings.Repeat("n", 5000), "nul\x00"}
	for _, name := range names {
		release, err := WaitName(t.Context(), dir, name)
		must(t, err)
		defer release()
	}
	for _, name := range names {
		over := errors.New("no longer wanted")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(over)
		if _, err := WaitName(ctx, dir, name); !errors.Is(err, over) {
			t.Errorf("%.10q was taken twice: %v", name, err)
		}
	}
	free, err := WaitName(t.Context(), dir, "free")
	must(t, err)
	time.AfterFunc(20*time.Millisecond, free)
	again, err := WaitName(t.Context(), dir, "free") // waits
	must(t, err)
	again()
}
