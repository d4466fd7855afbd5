//go:build unix

package pythoninputs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/errs"
)

// fakePython puts a shell script before all else in PATH as python3.
func fakePython(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "python3"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestAtOnce: however many sources come at once, few processes read them, and every
// one is read.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	fakePython(t, fmt.Sprintf("mkdir %[1]s/run.$$; ls %[1]s | grep -c run >>%[1]s/counts; cat >/dev/null; sleep 0.05; rmdir %[1]s/run.$$; echo '{}'\n", dir))
	var all sync.WaitGroup
	for i := range 3 * maxAtOnce {
		all.Go(func() {
			if s, err := Read(t.Context(), fmt.Appendf(nil, "# %s %d", dir, i)); err != nil || s.Error != "" {
				t.Errorf("got %+v, %v", s, err)
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(filepath.Join(dir, "counts"))
	counts := strings.Fields(string(text))
	if err != nil || len(counts) != 3*maxAtOnce {
		t.Fatalf("%d processes read, want %d: %v", len(counts), 3*maxAtOnce, err)
	}
	for _, text := range counts {
		if n, err := strconv.Atoi(text); err != nil || n > maxAtOnce {
			t.Errorf("%s processes at the same time, want at most %d", text, maxAtOnce)
		}
	}
}

// TestNoAnswer: a Python that does not answer is an error that asks for another try, one
// that is not there another kind, since scripts run without typed inputs then.
func TestNoAnswer(t *testing.T) {
	fakePython(t, "exec sleep 600\n")
	s, err := read(t.Context(), []byte("# does not answer"), 10*time.Millisecond)
	if !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %+v, %v; want Unavailable", s, err)
	}
	t.Setenv("PATH", t.TempDir())
	if s, err = read(t.Context(), []byte("# is not there"), maxWait); !errs.Is(err, errs.NotFound) {
		t.Errorf("got %+v, %v; want NotFound", s, err)
	}
}
