package workspacetest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Main runs a package's tests, or one of its roles: what a test starts this
// program for again as a process to be killed. A role prints a line when it is
// where it is to be killed, and waits.
func Main(m *testing.M, roles map[string]func(dir string) error) {
	role := os.Getenv("REFLINE_TEST_ROLE")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := roles[role](os.Getenv("REFLINE_TEST_DIR")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// SayAndWait prints a line and waits until the test ends.
func SayAndWait(line string) error {
	fmt.Println(line)
	_, err := os.Stdin.Read(make([]byte, 1))
	return err
}

// StartRole runs a role until it has printed its line.
func StartRole(t *testing.T, role, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REFLINE_TEST_ROLE="+role, "REFLINE_TEST_DIR="+dir)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe()
	Must(t, err)
	out, err := cmd.StdoutPipe()
	Must(t, err)
	Must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var line [64]byte
	if n, err := out.Read(line[:]); err != nil || !strings.HasSuffix(string(line[:n]), "\n") {
		t.Fatalf("%s said %q, %v", role, line[:n], err)
	}
	return cmd
}
