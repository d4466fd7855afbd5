package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/lock"
	"refline/internal/pipeline"
)

// TestMain lets a test start this program again as a process to be killed:
// REFLINE_TEST_ROLE names what it does.
func TestMain(m *testing.M) {
	if role := os.Getenv("REFLINE_TEST_ROLE"); role != "" {
		if err := roles()[role](os.Getenv("REFLINE_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// roles are what another process may do; each prints a line when it has got
// where it is to be killed, and waits.
func roles() map[string]func(dir string) error {
	return map[string]func(string) error{
		"collect": func(dir string) error {
			fmt.Println("collecting")
			for {
				_, err := Collect(context.Background(), ArtifactRequest{
					Workspace: filepath.Join(dir, "w"), Artifacts: &pipeline.Artifacts{Paths: []string{"**"}},
				}, filepath.Join(dir, "a"))
				if err != nil {
					return err
				}
			}
		},
		"save": func(dir string) error {
			fmt.Println("saving")
			return saveGenerations(dir, os.Getenv("REFLINE_TEST_NAME"), 1<<30)
		},
		"python": func(dir string) error {
			fmt.Println("making")
			_, err := PythonEnv(context.Background(), filepath.Join(dir, "cache"), filepath.Join(dir, "root"), "s.py", io.Discard, os.Environ())
			return err
		},
		"overlay": func(dir string) error {
			unlock, err := lock.Folder(dir)
			if err != nil {
				return err
			}
			defer unlock()
			w, err := NewTree(os.Getenv("REFLINE_TEST_BASE")).Clone(context.Background(), filepath.Join(dir, "jobs", "1", "work"))
			if err != nil {
				return err
			}
			return sayAndWait(fmt.Sprint("overlay ", w.overlay))
		},
	}
}

func sayAndWait(line string) error {
	fmt.Println(line)
	_, err := os.Stdin.Read(make([]byte, 1)) // until the test ends
	return err
}

// startRole runs a role until it has printed its line.
func startRole(t *testing.T, role, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REFLINE_TEST_ROLE="+role, "REFLINE_TEST_DIR="+dir)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var line [64]byte
	if n, err := out.Read(line[:]); err != nil || !strings.HasSuffix(string(line[:n]), "\n") {
		t.Fatalf("%s said %q, %v", role, line[:n], err)
	}
	return cmd
}
