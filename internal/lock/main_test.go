package lock

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets a test start this program again as a process to be killed:
// REFLINE_TEST_ROLE names what it does.
func TestMain(m *testing.M) {
	if role := os.Getenv("REFLINE_TEST_ROLE"); role != "" {
		if err := play(role, os.Getenv("REFLINE_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play holds the folder dir until the test ends. In the role "outlived" it also
// leaves what a process killed while it starts another leaves for a moment: a
// second holder of its lock.
func play(role, dir string) error {
	unlock, err := Folder(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if role == "outlived" {
		unlock()
		held, err := Open(filepath.Join(dir, FileName), ModeTry)
		if err != nil {
			return err
		}
		noteOwner(held)
		heir := exec.Command("cat", os.Getenv("REFLINE_TEST_PIPE"))
		heir.ExtraFiles = []*os.File{held}
		if err := heir.Start(); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o644); err != nil {
		return err
	}
	fmt.Println("held")
	_, err = os.Stdin.Read(make([]byte, 1)) // until the test ends
	return err
}

// startRole starts a role and waits until it holds its folder.
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
		t.Fatalf("%s printed %q, %v", role, line[:n], err)
	}
	return cmd
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
