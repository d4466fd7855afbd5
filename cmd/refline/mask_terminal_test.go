//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// onTerminal runs a command line on a terminal of 40 columns, presses keys, and
// returns what it shows and the exit code.
func onTerminal(t *testing.T, env []string, keys string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Environ(), env...)
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 25, Cols: 40})
	if err != nil {
		t.Skipf("needs a terminal to be made: %v", err)
	}
	defer master.Close()
	var shown bytes.Buffer
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		shown.Write(buf[:n])
		// Keys are pressed once the command says that it waits for them.
		if keys != "" && strings.Contains(shown.String(), "waits") {
			_, _ = io.WriteString(master, keys)
			keys = ""
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			break
		}
	}
	_ = cmd.Wait()
	return shown.String(), cmd.ProcessState.ExitCode()
}

func TestMaskKeepsTerminals(t *testing.T) {
	t.Parallel()
	secret := []string{"TOKEN=hunter2-hunter2"}
	mask := func(script string) []string {
		return []string{"refline", "mask", "--env", "TOKEN", "--", "sh", "-c", script}
	}
	t.Run("all three are one of the same size", func(t *testing.T) {
		t.Parallel()
		shown, code := onTerminal(t, secret, "", mask("test -t 0 && test -t 1 && test -t 2 && stty size; echo $TOKEN")...)
		if !strings.Contains(shown, "25 40\r\n[masked]\r\n") || strings.Contains(shown, "hunter2") || code != 0 {
			t.Errorf("got %q, exit code %d", shown, code)
		}
	})
	t.Run("keys reach the command and their echo is masked", func(t *testing.T) {
		t.Parallel()
		shown, code := onTerminal(t, secret, "hunter2-hunter2\n", mask(`printf 'waits: '; read x; test "$x" = "$TOKEN" && exit 9`)...)
		if !strings.Contains(shown, "[masked]") || strings.Contains(shown, "hunter2") || code != 9 {
			t.Errorf("got %q, exit code %d, want 9", shown, code)
		}
	})
	t.Run("Ctrl-C reaches the command once", func(t *testing.T) {
		t.Parallel()
		shown, code := onTerminal(t, secret, "\x03", mask(`n=0; trap 'n=$((n+1))' INT; echo waits; while test $n = 0; do sleep 0.05; done; sleep 0.2; exit $((n+40))`)...)
		if code != 41 {
			t.Errorf("got %q, exit code %d, want 41", shown, code)
		}
	})
	t.Run("Ctrl-Z stops the command and refline, until the shell goes on", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("bash"); err != nil {
			t.Skip("needs bash, for its job control")
		}
		const script = `set -m; refline mask --env TOKEN -- sh -c 'echo waits; read x; echo "got $x $TOKEN"'; echo "stopped $?"; stty -a | grep -o " icanon"; fg`
		shown, code := onTerminal(t, secret, "\x1aabc\n", "bash", "-c", script)
		if !strings.Contains(shown, "stopped 14") || !strings.Contains(shown, " icanon") || !strings.Contains(shown, "got abc [masked]") || code != 0 {
			t.Errorf("got %q, exit code %d", shown, code)
		}
	})
	t.Run("in the background it leaves the terminal alone", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("bash"); err != nil {
			t.Skip("needs bash, for its job control")
		}
		const script = `set -m; refline mask --env TOKEN -- sh -c 'sleep 0.3; echo "background $TOKEN"' & wait; echo "ended $?"`
		shown, code := onTerminal(t, secret, "", "bash", "-c", script)
		if !strings.Contains(shown, "background [masked]") || !strings.Contains(shown, "ended 0") || code != 0 {
			t.Errorf("got %q, exit code %d", shown, code)
		}
	})
	t.Run("a pipe stays a pipe", func(t *testing.T) {
		t.Parallel()
		shown, code := onTerminal(t, secret, "", "sh", "-c",
			`refline mask --env TOKEN -- sh -c 'test -t 1 && echo tty $TOKEN; test -t 2 || echo pipe $TOKEN >&2' 2>err; code=$?; cat err; rm err; exit $code`)
		if !strings.Contains(shown, "tty [masked]") || !strings.Contains(shown, "pipe [masked]") || code != 0 {
			t.Errorf("got %q, exit code %d", shown, code)
		}
	})
}

func TestVarSetAsksOnATerminal(t *testing.T) {
	t.Parallel()
	home := []string{"REFLINE_STATE_DIR=" + t.TempDir(), "REFLINE_VARIABLES="}
	// Both commands in one folder: it is the project.
	shown, code := onTerminal(t, home, "hunter2-hunter2\n", "sh", "-c", "refline var set waits && refline var list")
	if !strings.Contains(shown, "value of waits (not shown): ") || !strings.Contains(shown, "waits  *            15 B  masked") || code != 0 {
		t.Errorf("got %q, exit code %d", shown, code)
	}
}

func TestMaskFilterEndsByTERM(t *testing.T) {
	t.Parallel()
	in, keepOpen, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer keepOpen.Close()
	cmd := exec.Command("refline", "mask", "--env", "TOKEN")
	cmd.Env, cmd.Stdin = append(cmd.Environ(), "TOKEN=hunter2-hunter2"), in
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(keepOpen, "first\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("first\n"))); err != nil { // it is at work
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 143 {
		t.Errorf("exit code %d, want 143", code)
	}
}
