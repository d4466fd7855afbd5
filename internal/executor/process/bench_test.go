//go:build linux || darwin

package process_test

import (
	"io"
	"os"
	"os/exec"
	"testing"

	"refline/internal/executor"
	"refline/internal/executor/process"
)

// BenchmarkExec runs one echo in a shell, by the executor and by os/exec alone.
func BenchmarkExec(b *testing.B) {
	args := []string{"sh", "-c", "echo hello"}
	env := os.Environ()
	b.Run("executor", func(b *testing.B) {
		e := process.New()
		defer e.Close()
		for b.Loop() {
			s, err := e.Start(b.Context(), executor.Spec{Log: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Exec(b.Context(), executor.Command{Args: args, Env: env, Dir: "/", Stdout: writer{}, Stderr: writer{}}); err != nil {
				b.Fatal(err)
			}
			if err := s.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("os-exec", func(b *testing.B) {
		for b.Loop() {
			c := exec.Command(args[0], args[1:]...)
			c.Env, c.Dir, c.Stdout, c.Stderr = env, "/", writer{}, writer{}
			if err := c.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type writer struct{} // io.Discard would be a shortcut for both

func (writer) Write(p []byte) (int, error) { return len(p), nil }
