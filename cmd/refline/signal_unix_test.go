//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// silentServer takes connections and never answers; asked gets one value for
// each.
func silentServer(t *testing.T) (address string, asked chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = make(chan struct{}, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = conn.Read(make([]byte, 1))
				asked <- struct{}{}
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), asked
}

// The first signal counts also before a job runs: while a server does not
// answer, and while Jsonnet is evaluated.
func TestFirstSignalEndsACommand(t *testing.T) {
	t.Parallel()
	// A test under nohup would hand its ignored HUP on, and refline honours that.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
	for name, c := range map[string]struct {
		signal syscall.Signal
		code   int
		file   string // what is committed as
		text   string
		args   []string
	}{
		"repo":                          {signal: syscall.SIGINT, code: 130, args: []string{"run", "--repo", "http://SERVER/flows.git", "--branch", "main"}},
		"repo, TERM":                    {signal: syscall.SIGTERM, code: 143, args: []string{"list", "--repo", "http://SERVER/flows.git"}},
		"remote include":                {signal: syscall.SIGINT, code: 130, file: ".gitlab-ci.yml", text: "include: {remote: 'http://SERVER/ci.yml'}\njob: {script: [x]}\n", args: []string{"lint"}},
		"remote include of a run, TERM": {signal: syscall.SIGTERM, code: 143, file: ".gitlab-ci.yml", text: "include: {remote: 'http://SERVER/ci.yml'}\njob: {script: [x]}\n", args: []string{"run"}},
		"other project, HUP":            {signal: syscall.SIGHUP, code: 129, file: ".gitlab-ci.yml", text: "include: {project: a/b, file: ci.yml}\njob: {script: [x]}\n", args: []string{"lint", "--projects", "http://SERVER/"}},
		"jsonnet":                       {signal: syscall.SIGTERM, code: 143, file: ".gitlab-ci.jsonnet", text: "local f(n) = if n == 0 then 0 else f(n - 1) + f(n - 1);\n{ job: { script: ['echo ' + f(60)] } }\n", args: []string{"run"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, asked := silentServer(t)
			fill := func(s string) string { return strings.ReplaceAll(s, "SERVER", server) }
			dir, home := t.TempDir(), t.TempDir()
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(dir, c.file), []byte(fill(c.text)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var args []string
			for _, a := range c.args {
				args = append(args, fill(a))
			}
			cmd := exec.Command("refline", args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+home, "REFLINE_STATE_DIR="+home+"/state", "REFLINE_CACHE_DIR="+home+"/cache",
				"GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "no_proxy=127.0.0.1")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(c.file, ".jsonnet") {
				time.Sleep(time.Second) // nothing shows from outside that it is evaluated
			} else {
				select {
				case <-asked:
				case <-time.After(30 * time.Second):
					t.Error("the server was not asked")
				}
			}
			began := time.Now()
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != c.code {
				t.Errorf("got %v, want exit code %d\n%s", err, c.code, &out)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %s\n%s", took, &out)
			}
			if strings.Contains(out.String(), "canceled") {
				t.Errorf("what the user did is not an error:\n%s", &out)
			}
			if left, _ := filepath.Glob(filepath.Join(home, "state", "work", "*", "*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// What comes after Ctrl-C begins in the first column, whatever the terminal has
// shown of the key.
func TestColumnsAfterCtrlC(t *testing.T) {
	t.Parallel()
	project, env := shellHome(t, "waits: {script: [sleep 100]}\n")
	shown, code := onTerminal(t, env, "\x03", "refline", "-C", project, "run", "--log", "--no-color")
	_, after, ok := strings.Cut(shown, "^C")
	if code != 130 || !ok || !strings.HasPrefix(after, "\r") {
		t.Errorf("exit code %d, shown: %q", code, shown)
	}
}
