package process_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"refline/internal/executor"
	"refline/internal/executor/process"
	"refline/internal/lock"
)

// A sweep ends what the watcher could not end, and nothing else.
func TestSweepFindsTheMarks(t *testing.T) {
	t.Parallel()
	self, err := lock.Self()
	if err != nil {
		t.Fatal(err)
	}
	dead := self
	dead.Start = "1"
	elsewhere := dead
	elsewhere.Host = "another"
	for _, c := range []struct {
		name, mark string
		killed     bool
	}{
		{"of a dead owner", dead.String() + "/7.1", true},
		{"inside of a dead owner's", dead.String() + "/7.1," + self.String() + "/8.1", true},
		{"of a dead owner inside of a living one's", self.String() + "/7.1," + dead.String() + "/8.1", true},
		{"of a living owner", self.String() + "/7.1", false},
		{"of another host", elsewhere.String() + "/7.1", false},
		{"that is none", "something", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command("cat") // ends with its input
			cmd.Env = []string{"REFLINE_PROCESS=" + c.mark}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := process.New().Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			in.Close()
			_ = cmd.Wait()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if got := status.Signaled() && status.Signal() == syscall.SIGKILL; got != c.killed {
				t.Errorf("killed: %v, want %v", got, c.killed)
			}
		})
	}
}

// A process that leaves its session and wipes its environment is out of reach. It
// must neither keep a command from ending nor lose its output.
func TestHiddenProcessHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	e := process.New()
	defer e.Close()
	s, err := e.Start(t.Context(), executor.Spec{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code, err := s.Exec(t.Context(), executor.Command{
		Args: []string{"sh", "-c", "env -i setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3; echo last"},
		Dir:  "/", Env: os.Environ(), Stdout: &out, Stderr: &out,
	})
	if code != 0 || err != nil || !strings.HasSuffix(out.String(), "last\n") {
		t.Errorf("got %d, %v, %q", code, err, &out)
	}
	pid, err := strconv.Atoi(strings.Fields(out.String())[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("it was not left, so this test shows nothing: %v", err)
	}
}
